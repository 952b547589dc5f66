"""Which keys hold on a screen now, for the help and for the command palette."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.binding import ActiveBinding
    from textual.screen import Screen

_NOISE = ("scroll_", "page_", "cursor_", "app.focus_", "screen.")


def keys_that_hold(front: Screen[object]) -> Iterator[ActiveBinding]:
    """The screen's own keys first, then those of what has the focus and of the app."""
    active = list(front.active_bindings.values())
    own = [each for each in active if each.node is front]
    for each in (*own, *(each for each in active if each.node is not front)):
        binding = each.binding
        if binding.system or not binding.description or not each.enabled:
            continue
        if not binding.action.startswith(_NOISE):
            yield each
