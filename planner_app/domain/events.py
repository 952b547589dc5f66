"""The envelope of an event and the way new events are drafted, written out and read back.

An event is an immutable fact about a run. `(run_id, seq)` names it. Its `data` is small JSON
(at most 16 KiB); anything bigger is a blob that `blobs` names by sha256. The types themselves
stand in `catalogue.py`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

MAX_DATA_BYTES = 16 * 1024

Actor = Literal["engine", "planner", "executor", "checker", "user", "tool"]


class EventDraft(BaseModel):
    """A fact that has not been appended yet: no run, number or time of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    """Dotted name from the catalogue, such as `action.finished`."""
    v: int = 1
    """Version of the data's shape; upcasters turn older ones into the newest on read."""
    move_id: str | None = None
    """The move that brought this fact about: `kind/step/attempt/turn/try`. None: no move did."""
    step_id: str | None = None
    attempt: int | None = None
    """1-based try at the step; None where the fact is not about an attempt."""
    cause_seq: int | None = None
    """`seq` of the event of the same run that led to this one."""
    command_id: str | None = None
    """The person's command that this event records as read."""
    actor: Actor = "engine"
    data: dict[str, Any] = Field(default_factory=dict)
    blobs: dict[str, str] = Field(default_factory=dict)
    """Name to sha256 of bytes that belong to the fact."""


class Event(EventDraft):
    """A fact in a run's log."""

    run_id: str
    seq: int
    """1-based, without gaps within the run."""
    at: datetime
    """UTC, microseconds."""

    @field_validator("at")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    @field_serializer("at")
    def _at_text(self, value: datetime) -> str:
        return value.isoformat(timespec="microseconds")

    @classmethod
    def of(cls, draft: EventDraft, run_id: str, seq: int, at: datetime) -> Event:
        """The draft as the `seq`-th fact of a run. The draft was validated, so this does not."""
        return cls.model_construct(
            None,
            type=draft.type,
            v=draft.v,
            move_id=draft.move_id,
            step_id=draft.step_id,
            attempt=draft.attempt,
            cause_seq=draft.cause_seq,
            command_id=draft.command_id,
            actor=draft.actor,
            data=draft.data,
            blobs=draft.blobs,
            run_id=run_id,
            seq=seq,
            at=at,
        )

    def to_json(self) -> str:
        """One line of JSON, keys in a fixed order."""
        return self.model_dump_json()


class EventData(BaseModel):
    """What a type of event says; subclasses are the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def draft(
        self,
        *,
        move_id: str | None = None,
        step_id: str | None = None,
        attempt: int | None = None,
        cause_seq: int | None = None,
        command_id: str | None = None,
        actor: Actor = "engine",
        blobs: dict[str, str] | None = None,
    ) -> EventDraft:
        """This fact, ready to be appended.

        Halves of surrogate pairs become question marks, so that every event can be written.
        Raises ValueError when the data is over 16 KiB as JSON: its big part belongs in a blob.
        """
        from planner_app.domain.catalogue import type_name

        data = self.model_dump(mode="json")
        name = type_name(type(self))
        text = json.dumps(data, ensure_ascii=False)
        try:
            written = text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, as code may print it
            written = text.encode("utf-8", "replace")
            data = json.loads(written)
        if len(written) > MAX_DATA_BYTES:
            raise ValueError(
                f"{name}: data of {len(written)} bytes, limit {MAX_DATA_BYTES}; use a blob"
            )
        return EventDraft(
            type=name,
            move_id=move_id,
            step_id=step_id,
            attempt=attempt,
            cause_seq=cause_seq,
            command_id=command_id,
            actor=actor,
            data=data,
            blobs=blobs or {},
        )
