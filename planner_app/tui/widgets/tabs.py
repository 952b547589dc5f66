"""One line of names, one of which is chosen; a click or a number key chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.message import Message

from planner_app.tui.widgets.panes import Strap
from planner_app.view.wrap import Line, Span

GAP = 2


class Tabs(Strap, can_focus=False):
    """Names of panes with their number keys."""

    @dataclass
    class Chosen(Message):
        """A name was clicked."""

        name: str

    def __init__(self, names: Sequence[tuple[str, str]], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(self._names_line, id=id)
        self._labels = tuple(names)
        self._shown: Sequence[str] = [name for _label, name in names]
        self._chosen = self._shown[0]
        self.note = ""
        """Said at the right end, such as how much is new."""

    def show_names(self, names: Sequence[str], chosen: str) -> None:
        """Which of the names are shown, and which is chosen."""
        self._shown, self._chosen = names, chosen
        self.redo()

    def say(self, note: str) -> None:
        """Another note at the right end."""
        if note != self.note:
            self.note = note
            self.redo()

    def _places(self) -> list[tuple[str, str, int, int]]:
        """(label, name, from, to) of each shown name."""
        places, at = [], 0
        for number, (label, name) in enumerate(self._labels, 1):
            if name in self._shown:
                text = f"{number} {label}"
                places.append((text, name, at, at + len(text)))
                at += len(text) + GAP
        return places

    def _names_line(self, cells: int) -> Sequence[Line]:
        spans: list[Span] = []
        for text, name, _start, _end in self._places():
            spans += [(text, "title" if name == self._chosen else "dim"), (" " * GAP, "text")]
        used = sum(len(text) for text, _ in spans)
        if self.note and used + len(self.note) < cells:
            spans += [(" " * (cells - used - len(self.note)), "text"), (self.note, "ask")]
        return [tuple(spans)]

    def on_click(self, event: events.Click) -> None:
        """Chooses the name under the mouse."""
        for _text, name, start, end in self._places():
            if start <= event.x < end:
                self.post_message(self.Chosen(name))
