"""An entry of the timeline as lines with roles: folded to what matters, or whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner_app.view import figures
from planner_app.view.clean import clean, clip, width
from planner_app.view.describe import GLYPHS
from planner_app.view.entries import Body, Entry
from planner_app.view.live import Live
from planner_app.view.prose import prose_of
from planner_app.view.wrap import Line, Span, hard, marked, paragraphs

TextOf = Callable[[Body], "str | None"]
"""A body's whole text; None while its blob is not read."""

TONES = {"ok": "good", "bad": "bad", "warn": "warn", "ask": "ask", "open": "busy", "info": "dim"}
CODE_ROWS = 10
OUTPUT_ROWS = 6
PROSE_ROWS = 4
WHOLE_OUTPUT_ROWS = 400
_OUTPUT = ("output", "observation", "value", "stderr", "traceback")
_QUIET = ("session", "note")
_STRETCHES = ("thought", "step", "plan", "question", "answer", "end")


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one entry."""

    lines: tuple[Line, ...]
    code: tuple[int, int] = (0, 0)
    """Rows from, to (not included) that hold highlighted code after a two-cell bar."""
    moves: bool = False
    """Whether its first line has a glyph that turns."""
    more: bool = False
    """Whether the whole form would show more."""
    lead: int = 0
    """Empty rows before the first line: a pause before a new stretch of the run."""


def block_of(
    entry: Entry, cells: int, text_of: TextOf, *, whole: bool = False, live: Live | None = None
) -> Block:
    """The block of an entry in `cells` cells. `whole` shows all of its bodies."""
    maker = _Maker(entry, cells, text_of, whole)
    lead = 1 if entry.depth == 0 and entry.kind in _STRETCHES else 0
    maker.lines += [(("", "text"),)] * lead
    maker.head()
    for body in entry.bodies:
        maker.body(body)
    if live is not None and not entry.closed:
        maker.live(live)
    maker.notes()
    return Block(tuple(maker.lines), maker.code, entry.state == "open", maker.more, lead)


class _Maker:
    """Collects the lines of one block."""

    def __init__(self, entry: Entry, cells: int, text_of: TextOf, whole: bool) -> None:
        self.entry, self.text_of, self.whole = entry, text_of, whole
        self.indent = "  " * entry.depth
        self.cells = max(12, cells - len(self.indent) - 2)
        self.width = cells
        self.lines: list[Line] = []
        self.code = (0, 0)
        self.more = False

    def head(self) -> None:
        """The first line: sign, step, who does what, and figures at the right end."""
        entry = self.entry
        took = figures.seconds(entry.ms / 1000) if entry.ms is not None and entry.closed else ""
        right = " · ".join(word for word in (*entry.facts, took) if word)
        if width(right) > self.width // 2:
            right = clip(right, self.width // 2)
        role = "title" if entry.kind in ("step", "plan", "answer", "end", "task") else "text"
        role = "dim" if entry.kind in _QUIET else role
        tone = TONES[entry.state]
        spans: list[Span] = [(self.indent, "text"), (GLYPHS[entry.state] + " ", tone)]
        if entry.step_id and entry.depth == 1:
            spans.append((f"{clip(entry.step_id, 10)} ", "step"))
        title = "" if entry.kind == "tool" else entry.title
        spans.append((title, tone if entry.state in ("bad", "ask") else role))
        room = self.width - sum(width(text) for text, _ in spans) - width(right) - 3
        if self._head_beside() and room > 8:
            said = clip(entry.head, room)
            spans.append((f" {said}" if title else said, "code" if entry.kind == "tool" else "dim"))
            self.more = self.more or said.endswith("…")
        if right:
            used = sum(width(text) for text, _ in spans)
            spans += [(" " * max(1, self.width - used - width(right)), "text"), (right, "dim")]
        self.lines.append(tuple(spans))

    def _head_beside(self) -> bool:
        entry = self.entry
        shown_below = any(self.text_of(body) for body in entry.bodies if body.label != "result")
        return bool(entry.head) and not shown_below

    def body(self, body: Body) -> None:
        text = self.text_of(body)
        if text is None or not text.strip():
            return
        text = clean(text).strip("\n")
        if body.label == "code":
            self._code(text)
        elif body.label in _OUTPUT:
            self._output(text, bad=body.label in ("stderr", "traceback"))
        elif body.label == "reasoning":
            self._cut([((row, "thought"),) for row in paragraphs(text, self.cells - 2)], "┊ ", 3)
        elif body.label == "result":
            if self.whole:
                self._output(text, bad=False)
            else:
                self.more = True
        elif body.label in ("list", "task"):
            rows = [((row, "text"),) for row in paragraphs(text, self.cells)]
            self._cut(rows, "", 14)
        else:
            raw = self.whole and self.entry.depth == 0
            said = prose_of(text) if self.entry.kind == "thought" and not raw else text
            limit = 30 if body.label == "answer" else PROSE_ROWS
            if said:
                self._cut(marked(said, self.cells), "", limit)

    def _put(self, lead: str, role: str, line: Line) -> None:
        self.lines.append(((self.indent + "  " + lead, role), *line))

    def _cut(self, rows: Sequence[Line], lead: str, limit: int) -> None:
        shown = rows if self.whole or len(rows) <= limit + 1 else rows[:limit]
        for row in shown:
            self._put(lead, "thought" if lead else "text", row)
        self._rest(len(rows) - len(shown), "more")

    def _rest(self, hidden: int, where: str) -> None:
        if hidden > 0:
            self.more = True
            self._put("", "dim", ((f"… {figures.number_of(hidden, 'line')} {where}", "dim"),))

    def _code(self, text: str) -> None:
        rows = text.split("\n")
        shown = rows if self.whole or len(rows) <= CODE_ROWS + 1 else rows[:CODE_ROWS]
        start = len(self.lines)
        for row in shown:
            for piece in (
                hard(row, self.cells - 2) if self.whole else [clip_code(row, self.cells - 2)]
            ):
                self._put("│ ", "bar", ((piece, "code"),))
        self.code = (start, len(self.lines))
        self._rest(len(rows) - len(shown), "more")

    def _output(self, text: str, *, bad: bool) -> None:
        rows = text.split("\n")
        limit = WHOLE_OUTPUT_ROWS if self.whole else OUTPUT_ROWS
        hidden = len(rows) - limit if len(rows) > limit + 1 else 0
        self._rest(hidden, "before")
        role = "bad" if bad else "output"
        for row in rows[hidden:]:
            for piece in (
                hard(row, self.cells - 2) if self.whole else [clip_code(row, self.cells - 2)]
            ):
                self._put("→ ", "dim", ((piece, role),))

    def live(self, live: Live) -> None:
        """The newest lines of what is being written."""
        for text, role, lead in (
            (live.reasoning, "thought", "┊ "),
            (live.text, "text", ""),
            (live.output, "output", "→ "),
        ):
            if not text:
                continue
            rows = paragraphs(clean(text[-4000:]), self.cells - 2)
            hidden = max(0, len(rows) - 12)
            if role == "thought" and live.text:
                hidden = max(0, len(rows) - 2)
            for row in rows[hidden:]:
                self._put(lead, "thought" if lead == "┊ " else "dim", ((row, role),))

    def notes(self) -> None:
        entry = self.entry
        shown = entry.notes if self.whole else entry.notes[:3]
        role = TONES[entry.state] if entry.state in ("bad", "warn") else "dim"
        for note in shown:
            for row in paragraphs(note, self.cells) if self.whole else [clip(note, self.cells)]:
                self._put("", "text", ((row, role),))
        self._rest(len(entry.notes) - len(shown), "more")
        for detail in entry.details if self.whole else ():
            self._put("", "text", ((clip(detail, self.cells), "dim"),))


def clip_code(row: str, cells: int) -> str:
    """A line of code or output in at most `cells` cells; unlike prose it keeps its spaces."""
    row = row.rstrip()
    return row if width(row) <= cells else hard(row, max(1, cells - 1))[0] + "…"
