"""The list of runs: what needs the person first, each with glyph and word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from planner_app.tui.widgets.lines import LinesView
from planner_app.view.inbox import TaskRow, inbox_lines, inbox_order
from planner_app.view.wrap import Line

if TYPE_CHECKING:
    from rich.style import Style

EMPTY: Sequence[Line] = (
    (("Nothing delegated yet.", "title"),),
    (("", "text"),),
    (("Type a task below and press Enter. It goes on in the background,", "dim"),),
    (("also when you close this screen.", "dim"),),
    (("", "text"),),
    (("F2 ", "step"), ("plays a bundled example: no key, no network.", "dim")),
)
OPENING: Sequence[Line] = ((("Opening history …", "dim"),),)


class Inbox(LinesView):
    """Shows rows in the inbox's order; the chosen run stays chosen while others move."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", key_display="Enter"),
        Binding("down,j", "next(1)", "Next", show=False),
        Binding("up,k", "next(-1)", "Previous", show=False),
        Binding("home,g", "edge(0)", "First", show=False),
        Binding("end,G", "edge(-1)", "Last", show=False),
        Binding("pagedown", "next(10)", "Page down", show=False),
        Binding("pageup", "next(-10)", "Page up", show=False),
    ]

    @dataclass
    class Opened(Message):
        """A run is to be shown."""

        run_id: str

    class Left(Message):
        """The cursor went past the last row."""

    class Chosen(Message):
        """Another row is the chosen one."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.rows: list[TaskRow] = []
        self._placed: list[tuple[int, Line]] = []
        self._chosen: str | None = None
        self._known = False
        self._instead: Sequence[Line] = EMPTY
        self._now: datetime | None = None
        self.spin = "●"

    # --- content -----------------------------------------------------------------------------

    @property
    def line_count(self) -> int:
        return len(self._placed) if self.rows else len(self._message())

    def line_at(self, y: int) -> Line:
        if not self.rows:
            return self._message()[y]
        place, line = self._placed[y]
        if self.rows[place].works and line[0][0] == "● ":
            return ((f"{self.spin} ", line[0][1]), *line[1:])
        return line

    def _message(self) -> Sequence[Line]:
        return self._instead if self._known else OPENING

    def say_when_empty(self, lines: Sequence[Line]) -> None:
        """What stands here as long as there is no run."""
        self._instead = lines
        self._place()

    def say_instead(self, lines: Sequence[Line]) -> None:
        """What stands here because the runs cannot be had."""
        self._known = True
        self.say_when_empty(lines)

    def update_rows(self, rows: Sequence[TaskRow], now: datetime) -> None:
        """Takes the rows in any order."""
        self._known = True
        self.rows = inbox_order(rows)
        self._now = now
        self._place()

    def _place(self) -> None:
        cells = self.text_cells
        if self._now is not None and cells > 0:
            self._placed = inbox_lines(self.rows, self._now, cells)
        self.resized()
        self.refresh()

    def on_resize(self, _event: events.Resize) -> None:
        """Columns are laid out anew."""
        self._place()

    def turn(self, spin: str) -> None:
        """Another picture of the spinner."""
        self.spin = spin
        top = self.scroll_offset.y
        for y in range(top, min(top + self.size.height, len(self._placed))):
            if self.rows[self._placed[y][0]].works:
                self.refresh_lines(y)

    # --- choosing ----------------------------------------------------------------------------

    @property
    def cursor(self) -> int:
        """Place of the chosen row; -1: there is none."""
        for place, row in enumerate(self.rows):
            if row.run_id == self._chosen:
                return place
        return 0 if self.rows else -1

    @property
    def chosen(self) -> TaskRow | None:
        """The chosen row."""
        return self.rows[self.cursor] if self.rows else None

    def choose(self, place: int) -> None:
        """Puts the cursor on a row and brings it into sight."""
        if not self.rows:
            return
        place = max(0, min(place, len(self.rows) - 1))
        self._chosen = self.rows[place].run_id
        own = self._own_lines(place)
        self.bring_into_sight(own.start, own.stop)
        self.post_message(self.Chosen())
        self.refresh()

    def choose_run(self, run_id: str) -> None:
        """Puts the cursor on a run, now or when its row comes."""
        self._chosen = run_id
        self.refresh()

    def _own_lines(self, place: int) -> range:
        own = [y for y, (owner, _line) in enumerate(self._placed) if owner == place]
        return range(own[0], own[-1] + 1) if own else range(0)

    def filled_lines(self) -> range:
        return self._own_lines(self.cursor) if self.has_focus and self.rows else range(0)

    def line_style(self, place: int) -> Style:
        if place in self.filled_lines():
            return self.style_of("cursor")
        return super().line_style(place)

    def action_next(self, by: int) -> None:
        """The row after or before; past the last one the prompt takes over."""
        if by == 1 and self.cursor >= len(self.rows) - 1:
            self.post_message(self.Left())
        else:
            self.choose(self.cursor + by)

    def action_edge(self, place: int) -> None:
        """The first or the last row."""
        self.choose(len(self.rows) - 1 if place < 0 else place)

    def action_open(self) -> None:
        """Opens the chosen run."""
        if self.chosen is not None:
            self.post_message(self.Opened(self.chosen.run_id))

    def on_click(self, event: events.Click) -> None:
        """Chooses the row under the mouse; a second click opens it."""
        y = self.scroll_offset.y + event.y
        if y < len(self._placed):
            self.choose(self._placed[y][0])
            if event.chain == 2:
                self.action_open()
