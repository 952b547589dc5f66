"""Searches all runs as one types; Enter opens the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from planner_app.tui.gateway import Found
from planner_app.tui.screens.base import HasNews
from planner_app.tui.widgets.picker import Picker
from planner_app.view.clean import clip, one_line, width
from planner_app.view.wrap import Line, Span

QUIET_SECONDS = 0.15
"""The search begins when nothing was typed for so long."""


class FindScreen(HasNews, ModalScreen[None]):
    """Words above, places below."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Close")]
    AUTO_FOCUS = "#words"

    def __init__(self) -> None:
        super().__init__()
        self._found: Sequence[Found] = ()
        self._asked = 0

    def compose(self) -> ComposeResult:
        """The box for words and the results."""
        with Vertical(classes="dialog tall"):
            yield Input(
                placeholder="Words in tasks, plans, code, output, pages, answers", id="words"
            )
            yield Picker(self._items, id="picker")
            yield Static(
                "Enter  open      ↓  results      Esc  close", classes="dialog-keys", markup=False
            )

    def news(self, _news: object) -> None:
        """Results do not change while they are looked at."""

    def on_input_changed(self, message: Input.Changed) -> None:
        """Searches a moment after the last key."""
        self._asked += 1
        number, words = self._asked, message.value
        self.set_timer(QUIET_SECONDS, lambda: self._search(number, words))

    def _search(self, number: int, words: str) -> None:
        if number != self._asked:
            return
        self.planner.in_thread(
            lambda gateway: gateway.find(words), lambda found: self._show(number, found)
        )

    def _show(self, number: int, found: object) -> None:
        if number != self._asked or not self.is_mounted:
            return
        self._found = cast("Sequence[Found]", found)
        self.query_one(Picker).set_items(self._items)

    def _items(self, cells: int) -> Sequence[Sequence[Line]]:
        if self._found or not self.query_one(Input).value.strip():
            return [self._lines(each, cells) for each in self._found]
        return [[(("Nothing found.", "dim"),)]]

    @staticmethod
    def _lines(found: Found, cells: int) -> tuple[Line, ...]:
        first: Line = ((clip(found.title, cells - 14), "title"), (f"  {found.kind}", "dim"))
        spans: list[Span] = [("  ", "text")]
        at = 0
        for start, end in found.marks:
            spans += [(found.snippet[at:start], "dim"), (found.snippet[start:end], "match")]
            at = end
        spans.append((found.snippet[at:], "dim"))
        safe: list[Span] = []
        left = cells
        for text, role in spans:
            piece = one_line_keep(text)
            if width(piece) >= left:
                safe.append((clip(piece, left), role))
                break
            safe.append((piece, role))
            left -= width(piece)
        return (first, tuple(safe))

    def on_key(self, event: events.Key) -> None:
        """Arrows go from the words to the results."""
        if event.key == "down" and isinstance(self.focused, Input) and self._found:
            event.stop()
            self.query_one(Picker).focus()

    def on_input_submitted(self) -> None:
        """Opens the best result."""
        if self._found:
            self._open(0)

    def on_picker_picked(self, message: Picker.Picked) -> None:
        """Opens this result."""
        if message.place < len(self._found):
            self._open(message.place)

    def _open(self, place: int) -> None:
        run_id = self._found[place].run_id
        planner = self.planner
        self.dismiss(None)
        planner.open_run(run_id)

    def action_close(self) -> None:
        """Back to where one was."""
        self.dismiss(None)


def one_line_keep(text: str) -> str:
    """The text made safe, with a space kept at either end: it is a piece of a line."""
    said = one_line(text)
    lead = " " if text[:1].isspace() else ""
    trail = " " if said and text[-1:].isspace() else ""
    return f"{lead}{said}{trail}"
