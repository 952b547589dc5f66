"""What a move has written so far while it still goes on. Its own module: screens need it early."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Live:
    """What a model or an action has written so far in a move that still goes on."""

    reasoning: str = ""
    text: str = ""
    output: str = ""
