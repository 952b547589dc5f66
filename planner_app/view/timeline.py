"""The two ways a timeline grows: a new entry, or an end for one that was open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner_app.view import fields
from planner_app.view.clean import one_line
from planner_app.view.entries import Body, Entry, Kind, OpenEntry, State
from planner_app.view.replacing import replace
from planner_app.view.run_view import RunView

if TYPE_CHECKING:
    from planner_app.domain.events import Event


def entry_of(
    event: Event,
    kind: Kind,
    title: str,
    *,
    state: State = "info",
    head: str = "",
    bodies: tuple[Body, ...] = (),
    facts: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    depth: int | None = None,
) -> Entry:
    """An entry begun by this event; notes that say no more than its head are left out."""
    return Entry(
        seq=event.seq,
        last_seq=event.seq,
        at=event.at,
        kind=kind,
        title=one_line(title),
        state=state,
        head=one_line(head),
        bodies=bodies,
        facts=_lines(facts),
        notes=tuple(note for note in _lines(notes) if note and note != head),
        step_id=event.step_id,
        attempt=event.attempt,
        move_id=event.move_id,
        actor=event.actor,
        depth=(1 if event.step_id else 0) if depth is None else depth,
    )


def _lines(said: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one_line(line) for line in said)


def add(view: RunView, entry: Entry) -> RunView:
    """The view with one more entry."""
    return replace(view, timeline=view.timeline.append(entry))


def put(view: RunView, index: int, entry: Entry) -> RunView:
    """The view with another entry at this place; what was added is safe to show."""
    entry = replace(entry, facts=_lines(entry.facts), notes=_lines(entry.notes))
    return replace(view, timeline=view.timeline.replace(index, entry))


def begin(view: RunView, event: Event, family: str, entry: Entry, name: str = "") -> RunView:
    """The view with an open entry that a later event of the same move will close."""
    waiting = OpenEntry(
        family=family,
        seq=event.seq,
        index=len(view.timeline),
        move_id=event.move_id,
        name=name,
        step_id=event.step_id,
        attempt=event.attempt,
        at=event.at,
        tokens=fields.whole(event.data, "reserved_tokens"),
        usd=fields.real(event.data, "reserved_usd"),
    )
    return replace(
        view,
        timeline=view.timeline.append(replace(entry, state="open")),
        open=(*view.open, waiting),
    )


def find_open(view: RunView, event: Event, family: str, name: str = "") -> OpenEntry | None:
    """The open entry that this event is about: by cause, then by move, then the oldest alike."""
    alike = [
        waiting
        for waiting in view.open
        if waiting.family == family and (not name or waiting.name == name)
    ]
    for waiting in alike:
        if event.cause_seq is not None and waiting.seq == event.cause_seq:
            return waiting
    for waiting in alike:
        if event.move_id is not None and waiting.move_id == event.move_id:
            return waiting
    if event.move_id is not None and any(waiting.move_id is not None for waiting in alike):
        return None
    return next((w for w in alike if w.step_id == event.step_id), None)


def without_open(view: RunView, waiting: OpenEntry) -> RunView:
    """The view in which this entry no longer waits."""
    return replace(view, open=tuple(other for other in view.open if other is not waiting))
