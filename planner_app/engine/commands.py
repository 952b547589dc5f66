"""Reads what people asked for into the log: a command is read once its event is there."""

from __future__ import annotations

from planner_app.domain.catalogue import TYPES, NoteAdded
from planner_app.domain.events import EventDraft
from planner_app.queue.commands import EVENT_TYPES
from planner_app.queue.port import Command


def command_draft(command: Command) -> EventDraft:
    """The event that says a command was read; one that cannot be understood becomes a note."""
    try:
        if command.kind not in EVENT_TYPES:
            raise ValueError(f"unknown command {command.kind!r}")
        said = TYPES[EVENT_TYPES[command.kind]].model_validate(command.data)
        return said.draft(command_id=command.id, actor="user")
    except ValueError as error:  # pydantic's is one
        why = str(error).splitlines()[0]
        text = f"a command could not be carried out: {why}"
        return NoteAdded(text=text[:500]).draft(command_id=command.id)
