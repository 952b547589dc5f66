"""Picks one of the bundled examples; they need no key and no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from planner_app.tui.gateway import ExampleCard
from planner_app.tui.widgets.picker import Picker
from planner_app.view.clean import clean, clip
from planner_app.view.wrap import Line, paragraphs


class ExamplesScreen(ModalScreen["str | None"]):
    """Answers the name of the chosen example, None when it was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "close", "Close")]

    def __init__(self, cards: object) -> None:
        super().__init__()
        self._cards = tuple(cast("Sequence[ExampleCard]", cards))

    def compose(self) -> ComposeResult:
        """What they are, and the list."""
        with Vertical(classes="dialog wide"):
            yield Static("Bundled examples", classes="dialog-title", markup=False)
            yield Static(
                "The models' replies are scripted; plan, sandbox, pages and checks are real.",
                classes="dialog-about",
                markup=False,
            )
            yield Picker(self._items, id="picker")
            yield Static("Enter  run it      Esc  close", classes="dialog-keys", markup=False)

    def _items(self, cells: int) -> list[list[Line]]:
        return [
            [
                *(((row, "title"),) for row in paragraphs(clean(card.title or card.name), cells)),
                *((((clip(card.about, cells), "dim"),),) if card.about else ()),
            ]
            for card in self._cards
        ]

    def on_picker_picked(self, message: Picker.Picked) -> None:
        """Closes with the choice."""
        self.dismiss(self._cards[message.place].name)

    def action_close(self) -> None:
        """Closes without a choice."""
        self.dismiss(None)
