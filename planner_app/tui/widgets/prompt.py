"""A box to type into: Enter sends, pasted line breaks stay, it grows with its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

NEW_LINE = frozenset({"shift+enter", "alt+enter", "ctrl+j"})


class Prompt(TextArea):
    """Text of one or more lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", key_display="Enter"),
    ]

    @dataclass
    class Sent(Message):
        """The person pressed Enter. `text` may be empty."""

        prompt: Prompt
        text: str

        @property
        def control(self) -> Prompt:
            """The prompt it came from, for selectors."""
            return self.prompt

    @dataclass
    class LeftUpward(Message):
        """The cursor went up from the first line."""

        prompt: Prompt

    def __init__(self, placeholder: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(
            "",
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            compact=True,
            highlight_cursor_line=False,
            placeholder=placeholder,
        )
        self.cursor_blink = False  # a steady cursor is calmer, and leaves an idle screen idle

    def on_key(self, event: events.Key) -> None:
        """Keys that mean something else here than in a text of many lines."""
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_send()
        elif event.key in NEW_LINE:
            event.stop()
            event.prevent_default()
            self.insert("\n")
        elif event.key == "up" and self.cursor_location[0] == 0 and not self.text.strip():
            event.stop()
            event.prevent_default()
            self.post_message(self.LeftUpward(self))

    def action_send(self) -> None:
        """Says that the text is ready. It stays until the receiver clears it."""
        self.post_message(self.Sent(self, self.text))
