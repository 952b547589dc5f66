"""Whether the next call or action can be paid, and a reserve for the answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from planner_app.domain.catalogue import BETTERS, Purpose
from planner_app.domain.state import RunState

Which = Literal["usd", "tokens", "seconds", "calls", "actions", "daily_usd"]

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


def _share(state: RunState, purpose: Purpose) -> float:
    """How much of the reserve must be left after a call: a check may spend all of it.

    A correction may spend what the call may whose text it puts right.
    """
    about: str = purpose
    if purpose == "correct" and state.correction is not None:
        about = state.correction.purpose
    if purpose in BETTERS and state.doubt is not None:
        about = state.doubt.purpose
    return {"answer": 0.5, "check": 0.0}.get(about, 1.0)


def shortage(
    state: RunState,
    now: datetime,
    purpose: Purpose,
    tokens: int = 0,
    usd: float | None = 0.0,
    ahead: int = 0,
) -> Shortage | None:
    """The limit that a call with this worst case would pass; None: it can be paid.

    `tokens` are those of the prompt and the longest reply, `usd` their price (None: unknown, so
    only the other limits can hold), `ahead` how many calls are to be started before it. Calls
    under way count with their reservations.
    """
    limits, spent, share = state.budget, state.spent, _share(state, purpose)
    under_way = [m for m in state.open.values() if m.kind == "model"]
    if limits.calls is not None:
        kept = round(RESERVE_CALLS * share)
        if spent.calls + len(under_way) + ahead + 1 + kept > limits.calls:
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
    return time_shortage(state, now) if share == 1.0 else None


def raised(state: RunState, which: Which) -> dict[str, float | None]:
    """The limit with as much again, as a person allows it."""
    limit = state.budget.model_dump().get(which)
    return {} if limit is None else {which: limit * 2}


def time_shortage(state: RunState, now: datetime) -> Shortage | None:
    """Whether the run has worked for as long as it may."""
    ends = time_ends(state)
    if ends is None or now < ends:
        return None
    return Shortage("seconds", f"{state.budget.seconds:g} seconds of work")


def action_shortage(state: RunState, ahead: int = 0) -> Shortage | None:
    """Whether one more action passes the limit, after `ahead` others that are to be started."""
    limit = state.budget.actions
    if limit is not None and state.spent.actions + ahead + 1 > limit:
        return Shortage("actions", f"{state.spent.actions} of {limit} actions")
    return None


def time_ends(state: RunState) -> datetime | None:
    """When the run's time is up if it works without a break.

    None: there is no limit, or the run does not work now and so uses up no time.
    """
    if state.budget.seconds is None or not state.works:
        return None
    return state.last_at + timedelta(seconds=state.budget.seconds - state.active_seconds)
