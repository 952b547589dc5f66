"""A saved run told from its first event to its last, with code and output: `replay --no-tui`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from planner_app.view import figures
from planner_app.view.clean import clean, one_line, tail
from planner_app.view.delta import changed_places
from planner_app.view.describe import GLYPHS
from planner_app.view.entries import Blobs, Body, Entry
from planner_app.view.prose import prose_of
from planner_app.view.reducer import reduce
from planner_app.view.run_view import RunView

if TYPE_CHECKING:
    from planner_app.domain.events import Event

OUTPUT_LINES = 20


def replay_lines(events: Iterable[Event], blobs: Blobs, tz: tzinfo | None = UTC) -> Iterator[str]:
    """The lines of a run in the order in which its entries closed."""
    view = RunView()
    for event in events:
        before, view = view, reduce(view, event)
        for place in changed_places(before, view):
            entry = view.timeline[place]
            old = before.timeline[place] if place < len(before.timeline) else None
            if old is not None and old.closed:
                yield from _added_lines(old, entry)
            elif entry.closed or (old is None and entry.kind == "question"):
                yield from entry_lines(entry, blobs, tz)


def _added_lines(old: Entry, new: Entry) -> list[str]:
    """What a later event added to an entry that was told already."""
    added = [fact for fact in new.facts if fact not in old.facts]
    added += [note for note in new.notes if note not in old.notes]
    return [f"{' ' * 11}{'  ' * new.depth}{said}" for said in added]


def entry_lines(entry: Entry, blobs: Blobs, tz: tzinfo | None = UTC) -> list[str]:
    """An entry with all its bodies; output is cut to its tail, and says so."""
    indent = "  " * entry.depth
    took = figures.seconds(entry.ms / 1000) if entry.ms else ""
    place = f"{entry.step_id} " if entry.step_id and entry.depth else ""
    tail_words = " · ".join(word for word in (took, *entry.facts) if word)
    line = f"{figures.clock(entry.at, tz)} {indent}{GLYPHS[entry.state]} {place}{entry.title}"
    if entry.kind not in ("action", "thought", "plan", "answer", "task") and entry.head:
        line += f": {entry.head}"
    lines = [line + (f"  ({tail_words})" if tail_words else "")]
    for body in entry.bodies:
        if body.sha is None and one_line(body.text) == entry.head and line.endswith(entry.head):
            continue
        lines += _body_lines(body, blobs, " " * 11 + indent)
    lines += [f"{' ' * 11}{indent}{note}" for note in (*entry.notes, *entry.details)]
    return lines


def body_text(body: Body, blobs: Blobs) -> str:
    """A body's whole text, cleaned; bytes that are not text are shown as such."""
    if body.sha is None:
        return clean(body.text)
    return clean(blobs(body.sha).decode("utf-8", "replace"))


def _body_lines(body: Body, blobs: Blobs, indent: str) -> list[str]:
    if body.label == "answer":
        text = clean(body.text)
    elif body.label == "result":
        return []
    else:
        text = body_text(body, blobs)
    if body.label == "text":
        text = prose_of(text)
    bar = {"code": "│ ", "reasoning": "┊ "}.get(body.label, "")
    if body.label in ("output", "stderr", "observation", "value", "traceback"):
        rows, hidden = tail(text, OUTPUT_LINES)
        rows = ["→ " + row for row in rows]
        rows = [f"… {figures.number_of(hidden, 'line')} before", *rows] if hidden else rows
    else:
        rows = text.strip("\n").split("\n")
    return [f"{indent}{bar}{row}".rstrip() for row in rows if text.strip()]
