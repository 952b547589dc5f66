"""All keys of the screen that was in front, and what the signs mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from planner_app.tui.keys import keys_that_hold
from planner_app.tui.widgets.panes import Pane
from planner_app.view.clean import clip, pad
from planner_app.view.status import RUN_LOOKS
from planner_app.view.wrap import Line

MORE: tuple[tuple[str, str], ...] = (
    ("Tab", "the next part of the screen"),
    ("↑ ↓ j k", "move in lists; the wheel scrolls"),
    ("Ctrl+P", "all commands"),
    ("mouse", "click, double click, drag to select; Ctrl+C copies"),
)


class HelpScreen(ModalScreen[None]):
    """Lists keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "close", "Close")
    ]

    def __init__(self, front: Screen[object]) -> None:
        super().__init__()
        self._keys = keys_of(front)

    def compose(self) -> ComposeResult:
        """The keys, in a pane that scrolls."""
        with Vertical(classes="dialog tall"):
            yield Static("Keys", classes="dialog-title", markup=False)
            yield Pane(self._lines, id="help-lines")
            yield Static("Esc  close", classes="dialog-keys", markup=False)

    def _lines(self, cells: int) -> Sequence[Line]:
        lines: list[Line] = [
            ((pad(key, 16), "step"), (clip(said, cells - 17), "text"))
            for key, said in (*self._keys, *MORE)
        ]
        lines += [(("", "text"),), (("Signs", "title"),)]
        looks = list(
            dict.fromkeys((look.glyph, look.word, look.tone) for look in RUN_LOOKS.values())
        )
        lines += [((f"{glyph} ", tone), (word, "text")) for glyph, word, tone in looks]
        return lines

    def action_close(self) -> None:
        """Back."""
        self.dismiss(None)


def keys_of(front: Screen[object]) -> list[tuple[str, str]]:
    """(keys, what they do) that hold on a screen now; keys for the same action in one line."""
    found: dict[str, tuple[list[str], str]] = {}
    for active in keys_that_hold(front):
        binding = active.binding
        keys, _said = found.setdefault(binding.action, ([], binding.tooltip or binding.description))
        shown = front.app.get_key_display(binding)
        if shown not in keys:
            keys.append(shown)
    return [(" ".join(keys), said) for keys, said in found.values()]
