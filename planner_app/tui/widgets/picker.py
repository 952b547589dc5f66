"""A short list of items of one or two lines, one of which is picked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from planner_app.tui.widgets.lines import LinesView
from planner_app.view.wrap import Line

if TYPE_CHECKING:
    from rich.style import Style

Items = Callable[[int], Sequence[Sequence[Line]]]
"""Cells to the lines of each item."""


class Picker(LinesView):
    """Items with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "pick", "Choose"),
        Binding("down,j", "next(1)", "Next", show=False),
        Binding("up,k", "next(-1)", "Previous", show=False),
    ]

    @dataclass
    class Picked(Message):
        """An item was chosen."""

        place: int

    def __init__(self, items: Items, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.cursor = 0
        self._items = items
        self._owners: list[int] = []

    def set_items(self, items: Items) -> None:
        """Other items; the cursor goes to the first."""
        self.cursor = 0
        self._items = items
        self._place()

    def _place(self) -> None:
        cells = self.text_cells
        if cells <= 0:
            return
        items = self._items(cells)
        self._owners = [place for place, lines in enumerate(items) for _ in lines]
        self.show([line for lines in items for line in lines])

    def on_resize(self) -> None:
        """Lines are broken anew for the new width."""
        self._place()

    def filled_lines(self) -> range:
        own = [y for y, owner in enumerate(self._owners) if owner == self.cursor]
        return range(own[0], own[-1] + 1) if own else range(0)

    def line_style(self, place: int) -> Style:
        if place in self.filled_lines():
            return self.style_of("cursor")
        return super().line_style(place)

    def action_next(self, by: int) -> None:
        """The item after or before."""
        last = self._owners[-1] if self._owners else 0
        self.cursor = max(0, min(self.cursor + by, last))
        own = self.filled_lines()
        self.bring_into_sight(own.start, own.stop)
        self.refresh()

    def action_pick(self) -> None:
        """Chooses the item under the cursor."""
        if self._owners:
            self.post_message(self.Picked(self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Chooses the item under the mouse."""
        y = self.scroll_offset.y + event.y
        if y < len(self._owners):
            self.cursor = self._owners[y]
            self.refresh()
            self.action_pick()
