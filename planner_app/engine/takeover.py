"""What a new driver records of the moves and sandboxes that an earlier one left."""

from __future__ import annotations

from planner_app.domain.catalogue import SessionLost, orphaned
from planner_app.domain.events import EventDraft
from planner_app.domain.state import OpenMove, RunState

_ENDED = "the process that performed it ended"


def orphan(move_id: str, move: OpenMove, reason: str = _ENDED) -> EventDraft:
    """The fact that a started move will not finish."""
    lost = orphaned(move.kind, move_id, reason, move.usd)
    return lost.model_copy(update={"step_id": move.step_id, "attempt": move.attempt})


def left_behind(state: RunState) -> list[EventDraft]:
    """All open moves as orphans, and the sandboxes that died with their driver."""
    drafts = [orphan(move_id, move) for move_id, move in state.open.items()]
    for key, step in state.steps.items():
        for attempt in step.attempts:
            if attempt.live and attempt.outcome is None:
                lost = SessionLost(why="the process that drove the run ended")
                drafts.append(lost.draft(step_id=key, attempt=attempt.number))
    return drafts


def calls_under_way(state: RunState) -> list[EventDraft]:
    """Model calls that were started and never told what became of them, as orphans."""
    open_calls = {key: move for key, move in state.open.items() if move.kind == "model"}
    return [orphan(move_id, move, "the run ended") for move_id, move in open_calls.items()]


def orphans_of_ended(state: RunState) -> list[EventDraft]:
    """Open moves of attempts that have ended."""
    return [
        orphan(move_id, move, "its attempt ended")
        for move_id, move in state.open.items()
        if has_ended(state, move.step_id, move.attempt)
    ]


def has_ended(state: RunState, step_id: str | None, attempt: int | None) -> bool:
    """Whether an attempt is over; what is about no attempt is not."""
    if step_id is None or attempt is None:
        return False
    return state.steps[step_id].attempts[attempt - 1].outcome is not None
