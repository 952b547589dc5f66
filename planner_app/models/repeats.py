"""Notice a text that has become the same piece over and over: a model caught in a loop."""

from __future__ import annotations

WINDOW = 16_000
"""Characters that must be nothing but the repeated piece."""
LONGEST = 1_600
"""Characters of the longest piece: it stands in the window ten times at least."""
_STRIDE = 4_000
"""Characters between two looks."""


class Repeats:
    """Watches one growing text."""

    __slots__ = ("_chars", "_parts", "_tail")

    def __init__(self) -> None:
        self._tail = ""
        self._parts: list[str] = []
        self._chars = 0

    def add(self, text: str) -> bool:
        """Take in more text; True when its end repeats one piece for a whole window."""
        self._parts.append(text)
        self._chars += len(text)
        if self._chars < _STRIDE:
            return False
        self._tail = (self._tail + "".join(self._parts))[-WINDOW:]
        self._parts, self._chars = [], 0
        return len(self._tail) == WINDOW and _is_one_piece(self._tail)


def _is_one_piece(text: str) -> bool:
    """Whether a text is one piece of at most `LONGEST` characters, again and again."""
    period = text.find(text[:-LONGEST], 1)
    return period > 0 and text[period:] == text[:-period]
