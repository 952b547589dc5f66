"""Reads what people asked for into the log: a command is read once its event is there."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import ValidationError

from planner_app.domain.catalogue import (
    NoteAdded,
    UserAnswered,
    UserApproved,
    UserBudgeted,
    UserCancelled,
    UserInterrupted,
    UserPaused,
    UserRejected,
    UserResumed,
    UserSteered,
)
from planner_app.domain.events import EventData, EventDraft

KINDS: dict[str, type[EventData]] = {
    "cancel": UserCancelled,
    "pause": UserPaused,
    "resume": UserResumed,
    "interrupt": UserInterrupted,
    "steer": UserSteered,
    "answer": UserAnswered,
    "approve": UserApproved,
    "reject": UserRejected,
    "budget": UserBudgeted,
}


class CommandRow(Protocol):
    """A command as the queue has it."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...


def command_draft(command: CommandRow) -> EventDraft:
    """The event that says a command was read; one that cannot be understood becomes a note."""
    known = KINDS.get(command.kind)
    try:
        if known is None:
            raise ValueError(f"unknown command {command.kind!r}")
        return known.model_validate(command.data).draft(command_id=command.id, actor="user")
    except (ValidationError, ValueError) as error:
        why = str(error).splitlines()[0]
        text = f"a command could not be carried out: {why}"
        return NoteAdded(text=text[:500]).draft(command_id=command.id)
