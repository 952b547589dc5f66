"""The event log: appending within a transaction, under the fence, and reading back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from planner_app.domain.errors import FenceLost, NotFound
from planner_app.domain.events import MAX_DATA_BYTES, Event, EventDraft
from planner_app.domain.summary import RunSummary
from planner_app.history import search
from planner_app.history.blobs import Packed, store
from planner_app.history.columns import ARTIFACT, COMMAND, EVENT, RUN, SOURCE
from planner_app.history.times import from_us, iso_to_us, now_us

ReadBlob = Callable[[str], bytes]


def clean(text: str) -> str:
    """Text as any database can hold it: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def to_json(value: object) -> str:
    """JSON in ASCII, which holds every string there is."""
    return json.dumps(value, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Append:
    """Facts to add to one run, made ready outside the writer's thread."""

    run_id: str
    fence: int | None
    """None: nobody holds the run yet, and these are its first events."""
    drafts: tuple[EventDraft, ...]
    rows: tuple[dict[str, Any], ...]
    summary: RunSummary | None
    at_us: int | None = None
    """When they happened, by the clock of whoever tells; None: now."""
    packed: tuple[Packed, ...] = ()
    """Bytes that the facts name and that are not stored yet."""

    @classmethod
    def of(
        cls,
        run_id: str,
        fence: int | None,
        drafts: Sequence[EventDraft],
        summary: RunSummary | None,
        at_us: int | None = None,
        packed: Sequence[Packed] = (),
    ) -> Append:
        """Raises ValueError for data over 16 KiB: its big part belongs in a blob."""
        rows = tuple(map(_row, drafts))
        return cls(run_id, fence, tuple(drafts), rows, summary, at_us, tuple(packed))


def _row(draft: EventDraft) -> dict[str, Any]:
    data = to_json(draft.data)
    if len(data) > MAX_DATA_BYTES:
        size = len(json.dumps(draft.data, ensure_ascii=False).encode("utf-8", "replace"))
        if size > MAX_DATA_BYTES:
            raise ValueError(f"{draft.type}: data of {size} bytes, limit {MAX_DATA_BYTES}")
    return {
        "type": draft.type,
        "v": draft.v,
        "move_id": draft.move_id,
        "step_id": draft.step_id,
        "attempt": draft.attempt,
        "cause_seq": draft.cause_seq,
        "command_id": draft.command_id,
        "actor": draft.actor,
        "data": data,
        "blobs": to_json(draft.blobs),
    }


_HEAD = select(RUN.c.seq, RUN.c.last_us, RUN.c.fence, RUN.c.worker_id).where(
    RUN.c.id == bindparam("run")
)
# Built once: taking statements apart anew would cost more than running them.
_INSERT = insert(EVENT)
_ADVANCE = (
    update(RUN)
    .where(RUN.c.id == bindparam("run"))
    .values(seq=bindparam("new_seq"), last_us=bindparam("new_us"))
)
_SUMMARY = (*(name for name in RunSummary.model_fields if name in RUN.c), "wake_us")
_SUMMARIZE = _ADVANCE.values({name: bindparam(f"new_{name}") for name in _SUMMARY})
_READ = (
    update(COMMAND)
    .where(COMMAND.c.id == bindparam("command"), COMMAND.c.read_seq.is_(None))
    .values(read_seq=bindparam("event"))
)


def append(connection: Connection, new: Append, read_blob: ReadBlob) -> list[Event]:
    """Adds the facts: log, summary, indexes and read commands, all or nothing.

    Raises FenceLost when another driver holds the run, or none does; NotFound for an unknown run.
    """
    head = connection.execute(_HEAD, {"run": new.run_id}).first()
    if head is None:
        raise NotFound(f"there is no run {new.run_id}")
    seq, last_us, fence, worker_id = head
    fresh = new.fence is None and seq == 0 and fence == 0
    if not fresh and (new.fence != fence or worker_id is None):
        raise FenceLost(
            f"run {new.run_id} is driven by another process now",
            f"follow it with: planner watch {new.run_id}",
        )
    if not new.drafts:
        return []
    store(connection, new.packed)
    at_us = max(now_us() if new.at_us is None else new.at_us, last_us)
    at = from_us(at_us)
    events = [
        Event.of(draft, new.run_id, seq + i, at) for i, draft in enumerate(new.drafts, start=1)
    ]
    connection.execute(
        _INSERT,
        [
            row | {"run_id": new.run_id, "seq": event.seq, "at_us": at_us}
            for row, event in zip(new.rows, events, strict=True)
        ],
    )
    values: dict[str, Any] = {"run": new.run_id, "new_seq": seq + len(events), "new_us": at_us}
    if new.summary is None:
        connection.execute(_ADVANCE, values)
    else:
        columns = summary_columns(new.summary)
        connection.execute(_SUMMARIZE, values | {f"new_{k}": v for k, v in columns.items()})
    for event in events:
        _index(connection, event)
        search.index(connection, event, read_blob)
    return events


def _index(connection: Connection, event: Event) -> None:
    """The rows that lists read instead of the log."""
    data = event.data
    if event.command_id is not None:
        connection.execute(_READ, {"command": event.command_id, "event": event.seq})
    if event.type == "source.added":
        connection.execute(
            insert(SOURCE).values(
                run_id=event.run_id,
                n=data["n"],
                seq=event.seq,
                kind=data["kind"],
                title=clean(data["title"]),
                url=None if data["url"] is None else clean(data["url"]),
                sha256=data["sha256"],
                text_sha=event.blobs.get("text"),
                mime=clean(data["mime"]),
                weak=data["weak"],
            )
        )
    elif event.type == "artifact.saved":
        connection.execute(
            insert(ARTIFACT).values(
                run_id=event.run_id,
                seq=event.seq,
                name=clean(data["name"]),
                title=clean(data["title"]),
                mime=clean(data["mime"]),
                bytes=data["bytes"],
                sha256=data["sha256"],
                step_id=event.step_id,
            )
        )


def summary_columns(summary: RunSummary) -> dict[str, Any]:
    """The columns of a run's row that its summary fills."""
    values = {
        name: clean(value) if isinstance(value, str) else value
        for name, value in summary.model_dump().items()
        if name in RUN.c
    }
    return values | {"wake_us": iso_to_us(summary.wake_at)}


_EVENTS = (
    select(EVENT)
    .where(EVENT.c.run_id == bindparam("run"), EVENT.c.seq > bindparam("after"))
    .order_by(EVENT.c.seq)
)


_OF_ATTEMPT = _EVENTS.where(EVENT.c.step_id == bindparam("step"), EVENT.c.attempt == bindparam("n"))


def events(
    connection: Connection, run_id: str, after: int = 0, limit: int | None = None
) -> list[Event]:
    """The facts after `after`, in order, each in its newest shape."""
    query = _EVENTS if limit is None else _EVENTS.limit(limit)
    return _read(connection, query, {"run": run_id, "after": after})


def attempt_events(connection: Connection, run_id: str, step_id: str, attempt: int) -> list[Event]:
    """The facts of one attempt, in order."""
    values = {"run": run_id, "after": 0, "step": step_id, "n": attempt}
    return _read(connection, _OF_ATTEMPT, values)


def _read(connection: Connection, query: Select[Any], values: dict[str, Any]) -> list[Event]:
    from planner_app.domain.catalogue import VERSIONS, upcast

    found = [_event(row) for row in connection.execute(query, values)]
    return [e if e.v >= VERSIONS.get(e.type, e.v) else upcast(e) for e in found]


def _event(row: Row[Any]) -> Event:
    values: tuple[Any, ...] = tuple(row)
    (run_id, seq, at_us, kind, v, move, step, attempt, cause, command, actor, data, blobs) = values
    return Event.model_construct(
        None,
        type=kind,
        v=v,
        move_id=move,
        step_id=step,
        attempt=attempt,
        cause_seq=cause,
        command_id=command,
        actor=actor,
        data=json.loads(data),
        blobs=json.loads(blobs) if blobs != "{}" else {},
        run_id=run_id,
        seq=seq,
        at=from_us(at_us),
    )
