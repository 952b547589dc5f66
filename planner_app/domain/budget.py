"""Whether the next call or action can be paid, and a reserve for the answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from planner_app.domain.catalogue import Purpose
from planner_app.domain.state import RunState

Which = Literal["usd", "tokens", "seconds", "calls", "actions"]

RESERVE_CALLS = 2
"""One answer and one check."""
RESERVE_TOKENS = 16_000
"""For both; of a small budget at most a quarter is kept."""
RESERVE_USD = 0.20
"""For both; of a small budget at most a quarter is kept."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """A limit that the next call would pass."""

    which: Which
    detail: str


def kept_back(limit: float, most: float) -> float:
    """What of a limit is kept for the answer and its check."""
    return min(most, limit / 4)


def _share(purpose: Purpose) -> float:
    """How much of the reserve must be left after a call: a check may spend all of it."""
    if purpose == "check":
        return 0.0
    return 0.5 if purpose in {"answer", "correct"} else 1.0


def shortage(
    state: RunState,
    now: datetime,
    purpose: Purpose,
    tokens: int = 0,
    usd: float | None = 0.0,
) -> Shortage | None:
    """The limit that a call with this worst case would pass; None: it can be paid.

    `tokens` are those of the prompt and the longest reply, `usd` their price (None: unknown, so
    only the other limits can hold). Calls under way count with their reservations.
    """
    limits, spent, share = state.budget, state.spent, _share(purpose)
    under_way = [m for m in state.open.values() if m.kind == "model"]
    if limits.calls is not None:
        kept = round(RESERVE_CALLS * share)
        if spent.calls + len(under_way) + 1 + kept > limits.calls:
            return Shortage("calls", f"{spent.calls} of {limits.calls} model calls")
    if limits.tokens is not None:
        kept_tokens = kept_back(limits.tokens, RESERVE_TOKENS) * share
        if spent.tokens + sum(m.tokens for m in under_way) + tokens + kept_tokens > limits.tokens:
            return Shortage("tokens", f"{spent.tokens} of {limits.tokens} tokens")
    if limits.usd is not None and usd is not None:
        kept_usd = kept_back(limits.usd, RESERVE_USD) * share
        promised = sum(m.usd or 0.0 for m in under_way)
        if spent.usd + promised + usd + kept_usd > limits.usd and (usd or spent.usd):
            return Shortage("usd", f"${spent.usd:.4f} of ${limits.usd:g}")
    if share == 1.0 and (ends := time_ends(state)) is not None and now >= ends:
        return Shortage("seconds", f"{limits.seconds:g} seconds of work")
    return None


def action_shortage(state: RunState) -> Shortage | None:
    """Whether one more action passes the limit."""
    limit = state.budget.actions
    if limit is not None and state.spent.actions + 1 > limit:
        return Shortage("actions", f"{state.spent.actions} of {limit} actions")
    return None


def time_ends(state: RunState) -> datetime | None:
    """When the run's time is up if it works without a break; None: there is no limit."""
    if state.budget.seconds is None:
        return None
    return state.last_at + timedelta(seconds=state.budget.seconds - state.active_seconds)
