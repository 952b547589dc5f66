"""Count what a call used and what that costs, and say who said so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from planner_app.models.port import Cost, Message, Price, Usage
from planner_app.models.tokens import estimate_messages, estimate_tokens

_LOOKED_AT = 16
"""Usage stands in one of the last chunks; no further ones are searched."""
_MOST = 10_000_000
"""Tokens that no model takes or gives in one call: a count beyond is a mistake."""


def count_usage(
    chunks: Sequence[object],
    messages: Sequence[Message],
    text: str,
    reasoning: str,
    *,
    tells_reasoning: bool = True,
) -> Usage:
    """Tokens of a call: the provider's count where it sent one, else our estimate.

    `tells_reasoning` is False for a provider that does not count thoughts apart: what litellm
    then gives for them is its own estimate.
    """
    found = provider_usage(chunks)
    prompt, completion = _count(found, "prompt_tokens"), _count(found, "completion_tokens")
    told = _inner(found, "completion_tokens_details", "reasoning_tokens")
    if told and _count(found, "total_tokens") == (prompt or 0) + (completion or 0) + told:
        completion = (completion or 0) + told  # some count thoughts beside the reply, and bill both
    if not completion and (text or reasoning):
        completion, told = None, None  # "nothing" of what is there was never counted
    thought = estimate_tokens(reasoning) if reasoning else None
    given = prompt or estimate_messages(messages)
    taken = estimate_tokens(text) + (thought or 0) if completion is None else completion
    thought = thought if told is None else told
    cached = _inner(found, "prompt_tokens_details", "cached_tokens")
    return Usage(
        prompt_tokens=given,
        completion_tokens=taken,
        reasoning_tokens=None if thought is None else min(thought, taken),
        cached_tokens=None if cached is None else min(cached, given),
        source="provider" if prompt and completion is not None else "estimated",
        reasoning_source=_reasoning_source(told, thought, tells_reasoning),
    )


def _reasoning_source(
    told: int | None, thought: int | None, tells: bool
) -> Literal["provider", "estimated", "none"]:
    if told is not None and tells:
        return "provider"
    return "none" if told is None and thought is None else "estimated"


def provider_usage(chunks: Sequence[object]) -> object | None:
    """The usage that the provider sent itself, or None."""
    for chunk in reversed(chunks[-_LOOKED_AT:]):
        usage: object = getattr(chunk, "usage", None)
        if _count(usage, "prompt_tokens") is not None:
            return usage
    return None


def cost_of(usage: Usage, price: Price | None, chunks: Sequence[object] = ()) -> Cost:
    """US dollars of a call: the provider's own figure, else by price, else unknown."""
    told = getattr(provider_usage(chunks), "cost", None)
    if isinstance(told, (int, float)) and not isinstance(told, bool) and 0 <= told < math.inf:
        return Cost(usd=float(told), source="provider")
    if price is None:
        return Cost(usd=None, source="unknown")
    usd = price.cost(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens or 0,
        usage.reasoning_tokens or 0,
    )
    return Cost(usd=usd, source=price.source)


def _count(usage: object, name: str) -> int | None:
    """A number of tokens; None where it is left out, or is none that a call can have."""
    value = getattr(usage, name, None)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return value
    return None


def _inner(usage: object, details: str, name: str) -> int | None:
    return _count(getattr(usage, details, None), name)
