"""The kinds of moves and their ids, `kind/step/attempt/turn/try`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from planner_app.domain.catalogue import Purpose, Role
from planner_app.domain.events import EventDraft
from planner_app.domain.state import Correction, Doubt, RunState


@dataclass(frozen=True, slots=True)
class Record:
    """Facts that follow from the state; they are appended together."""

    drafts: tuple[EventDraft, ...]


@dataclass(frozen=True, slots=True)
class CallModel:
    """A model is to be asked."""

    id: str
    role: Role
    purpose: Purpose
    conversation: str
    turn: int
    step_id: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class RunAction:
    """The code of an attempt's newest turn is to be run."""

    id: str
    step_id: str
    attempt: int
    turn: int
    code: str
    """sha256 of the code."""


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Nothing to do before this time, UTC, unless something new is appended."""

    at: datetime


Move = Record | CallModel | RunAction | WakeAt


class Where(TypedDict):
    """Where a fact belongs, as its event says it."""

    move_id: str
    step_id: str | None
    attempt: int | None


def where(move: CallModel | RunAction) -> Where:
    """Where the facts of a move belong."""
    return {"move_id": move.id, "step_id": move.step_id, "attempt": move.attempt}


def move_id(state: RunState, base: str) -> str:
    """The id of a move: orphaned tries before it make its own number higher."""
    return f"{base}/{state.tries.get(base, 0) + 1}"


def correction_of(state: RunState, purpose: Purpose) -> Correction | None:
    """The unreadable text that such a call is to put right; None: there is none.

    A late one, of a phase that the run has left, concerns nobody.
    """
    wanted = state.correction
    return wanted if wanted is not None and wanted.purpose == purpose else None


def further_call(
    state: RunState, doubt: Doubt, step_id: str | None = None, attempt: int | None = None
) -> CallModel:
    """The call that may better a reply: in its conversation, or in a new short chat."""
    place = f"{step_id or '-'}/{attempt or 0}/{doubt.turn}"
    return CallModel(
        id=move_id(state, f"{doubt.kind}-{doubt.purpose}/{place}"),
        role=doubt.role,
        purpose=doubt.kind,
        conversation=doubt.conversation
        if doubt.kind == "commit"
        else f"translate/{doubt.role}-{place}",
        turn=doubt.turn,
        step_id=step_id,
        attempt=attempt,
    )


def planner_call(state: RunState, purpose: Purpose) -> list[Move]:
    """The planner or checker is asked, unless such a call is under way already.

    While its newest reply is in doubt, that is what it is asked about.
    """
    role: Role = "checker" if purpose == "check" else "planner"
    if any(m.kind == "model" and m.role != "executor" for m in state.open.values()):
        return []
    if state.doubt is not None:
        return [further_call(state, state.doubt)]
    turn = state.role_turns.get(role, 0) + 1
    kind: str = purpose
    if correction_of(state, purpose) is not None:
        # The roles count their turns apart, so the kind says whose text is put right.
        kind = f"correct-{purpose}"
        purpose, conversation = "correct", f"correct/{role}-{turn}"
    elif purpose == "check":
        conversation = f"checker/{turn}"
    else:
        conversation = f"planner/{state.planner_chat}"
    return [
        CallModel(
            id=move_id(state, f"{kind}/-/0/{turn}"),
            role=role,
            purpose=purpose,
            conversation=conversation,
            turn=turn,
        )
    ]
