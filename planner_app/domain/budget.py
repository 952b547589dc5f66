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

LEAST = {"usd": 0.005, "tokens": 5_000, "seconds": 60, "calls": 3, "actions": 1}
"""Under which a run can do about nothing."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """A limit that the next call would pass."""

    which: Which
    detail: str
    """How it stands, as a clause of a sentence for the person."""


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
            held = f", and {kept} are kept for the answer and its check" if kept else ""
            return Shortage("calls", f"{spent.calls} of {limits.calls} model calls are made{held}")
    if limits.tokens is not None:
        kept_tokens = kept_back(limits.tokens, RESERVE_TOKENS) * share
        if spent.tokens + sum(m.tokens for m in under_way) + tokens + kept_tokens > limits.tokens:
            may = f", and the next call may take {tokens:,}" if tokens else ""
            return Shortage("tokens", f"{spent.tokens:,} of {limits.tokens:,} tokens are used{may}")
    left = usd_left(state, purpose)
    if left is not None and usd is not None and usd > left and (usd or spent.usd):
        may = f", and the next call may cost ${usd:.4f}" if usd else ""
        return Shortage("usd", f"${spent.usd:.4f} of ${limits.usd:g} are spent{may}")
    return time_shortage(state, now) if share == 1.0 else None


def usd_left(state: RunState, purpose: Purpose) -> float | None:
    """US dollars that a call may cost at most; None: there is no limit."""
    limit = state.budget.usd
    if limit is None:
        return None
    promised = sum(m.usd or 0.0 for m in state.open.values() if m.kind == "model")
    return (
        limit - state.spent.usd - promised - kept_back(limit, RESERVE_USD) * _share(state, purpose)
    )


def raised(state: RunState, which: Which) -> dict[str, float | None]:
    """The limit with as much again, as a person allows it: of what is used, where that is more.

    A limit of next to nothing is not doubled again and again.
    """
    limit = state.budget.model_dump().get(which)
    used = state.active_seconds if which == "seconds" else state.spent.model_dump().get(which, 0)
    return {} if limit is None else {which: 2 * max(limit, used, LEAST[which])}


def time_shortage(state: RunState, now: datetime) -> Shortage | None:
    """Whether the run has worked for as long as it may."""
    ends = time_ends(state)
    if ends is None or now < ends:
        return None
    return Shortage("seconds", f"all {state.budget.seconds:g} seconds of work are used")


def action_shortage(state: RunState, ahead: int = 0) -> Shortage | None:
    """Whether one more action passes the limit, after `ahead` others that are to be started."""
    limit = state.budget.actions
    if limit is not None and state.spent.actions + ahead + 1 > limit:
        return Shortage("actions", f"{state.spent.actions} of {limit} actions are taken")
    return None


def time_ends(state: RunState) -> datetime | None:
    """When the run's time is up if it works without a break.

    None: there is no limit, or the run does not work now and so uses up no time.
    """
    if state.budget.seconds is None or not state.works:
        return None
    return state.last_at + timedelta(seconds=state.budget.seconds - state.active_seconds)
