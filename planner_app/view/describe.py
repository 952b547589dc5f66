"""Says an event in a few words, by letting the reducer make an entry of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner_app.view import fields, figures, thoughts
from planner_app.view.clean import clip, one_line
from planner_app.view.entries import Entry
from planner_app.view.reducer import reduce
from planner_app.view.run_view import RunView
from planner_app.view.status import run_look, step_look

if TYPE_CHECKING:
    from planner_app.domain.events import Event

_EMPTY = RunView()
GLYPHS = {"ok": "✓", "bad": "✗", "warn": "!", "ask": "?", "open": "●", "info": "·"}


def lone_entry(event: Event) -> Entry | None:
    """The entry that the event makes by itself; None for one that makes none."""
    timeline = reduce(_EMPTY, event).timeline
    return timeline[len(timeline) - 1] if len(timeline) else None


def what(event: Event, cells: int = 100) -> str:
    """The event in at most `cells` cells, without its time, place and type."""
    data = event.data
    match event.type:
        case "run.claimed":
            said = (
                f"worker {fields.text(data, 'worker_id')}, version {fields.text(data, 'version')}"
            )
        case "run.phase":
            said = " ".join((fields.text(data, "phase"), fields.text(data, "reason")))
        case "step.changed":
            look = step_look(fields.text(data, "status"))
            said = f"{look.glyph} {look.word} {fields.text(data, 'reason')}"
        case "run.finished":
            look = run_look(fields.text(data, "status"))
            said = f"{look.glyph} {look.word} {fields.text(data, 'reason')}"
        case "source.added":
            said = (
                f"[{fields.whole(data, 'n')}] {fields.text(data, 'kind')} "
                f"{fields.text(data, 'title')} {fields.text(data, 'url')}"
            )
        case "question.closed":
            said = f"{fields.text(data, 'how')} {fields.text(data, 'text')}"
        case "attempt.finished":
            said = f"{fields.text(data, 'outcome')} {fields.text(data, 'reason')}"
        case "stall.counted":
            said = f"stalls {fields.whole(data, 'stalls')} {fields.text(data, 'reason')}"
        case "facts.updated":
            facts = fields.table(data, "facts")
            said = f"{len(fields.items(facts, 'verified'))} verified"
        case (
            "model.finished" | "model.failed" | "action.finished" | "tool.finished"
            | "model.orphaned" | "action.orphaned" | "tool.orphaned"
        ):  # fmt: skip
            said = _ended(event)
        case _:
            said = _told(lone_entry(event), event)
    return clip(said, cells)


def _ended(event: Event) -> str:
    data = event.data
    entry = lone_entry(event)
    took = fields.real(data, "ms")
    who = fields.text(data, "role") or fields.text(data, "name") or fields.text(data, "status")
    parts = [who]
    if took:
        parts.append(figures.seconds(took / 1000))
    if thought := thoughts.in_short(fields.table(data, "thinking")):
        parts.append(thought)
    if entry is not None:
        parts += [one_line(note) for note in entry.notes[:1]] or [entry.head]
    return " ".join(part for part in parts if part)


def _told(entry: Entry | None, event: Event) -> str:
    if entry is None:
        return ""
    if not entry.head and entry.notes:
        return f"{entry.title} {entry.notes[0]}"
    return f"{entry.title} {entry.head}" if entry.title != event.type else entry.head
