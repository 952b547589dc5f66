"""Panes whose lines are made anew for their width: the run's header, plan, sources, answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from planner_app.tui.widgets.lines import LinesView
from planner_app.view.wrap import Line

Produce = Callable[[int], Sequence[Line]]
"""Cells to lines."""


class Pane(LinesView):
    """Shows what a function makes of its width."""

    def __init__(self, produce: Produce, *, title: str = "", id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._produce = produce
        if title:
            self.border_title = title

    def redo(self) -> None:
        """Makes the lines anew; to be called when what they tell has changed."""
        if self.text_cells > 0 and self.display:
            self.show(self._produce(max(8, self.text_cells)))

    def on_resize(self, _event: events.Resize) -> None:
        """Lines are broken anew for the new width."""
        self.redo()

    def on_show(self) -> None:
        """It may have missed changes while it was hidden."""
        self.redo()


class Strap(Pane, can_focus=False):
    """A pane of fixed height that cannot be scrolled or focused: headers and status lines."""

    def redo(self) -> None:
        """Makes the lines anew."""
        if self.size.width > 0:
            self.show(self._produce(self.size.width))
