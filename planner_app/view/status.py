"""Glyph, word and place in the inbox for every status: never colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NEEDS_YOU: Final = 0
FAILED: Final = 1
RUNNING: Final = 2
DONE: Final = 3
CANCELLED: Final = 4


@dataclass(frozen=True, slots=True)
class Look:
    """How a status is shown."""

    glyph: str
    """One cell wide."""
    word: str
    tone: str
    """Name of a colour role: ask, bad, busy, good, warn or calm."""
    place: int
    """Group in the inbox, smallest first."""


RUN_LOOKS: Final[dict[str, Look]] = {
    "waiting_user": Look("?", "needs you", "ask", NEEDS_YOU),
    "failed": Look("✗", "failed", "bad", FAILED),
    "planning": Look("●", "planning", "busy", RUNNING),
    "executing": Look("●", "working", "busy", RUNNING),
    "reviewing": Look("●", "reviewing", "busy", RUNNING),
    "answering": Look("●", "answering", "busy", RUNNING),
    "checking": Look("●", "checking", "busy", RUNNING),
    "queued": Look("○", "queued", "calm", RUNNING),
    "paused": Look("‖", "paused", "calm", RUNNING),
    "done": Look("✓", "done", "good", DONE),
    "partial": Look("◐", "partial", "warn", DONE),
    "cancelled": Look("-", "cancelled", "calm", CANCELLED),
}
STEP_LOOKS: Final[dict[str, Look]] = {
    "pending": Look("○", "pending", "calm", 0),
    "running": Look("●", "running", "busy", 0),
    "done": Look("✓", "done", "good", 0),
    "failed": Look("✗", "failed", "bad", 0),
    "blocked": Look("!", "blocked", "bad", 0),
    "skipped": Look("-", "skipped", "calm", 0),
}
ENDED: Final = frozenset({"done", "partial", "failed", "cancelled"})
WORKING: Final = frozenset({"planning", "executing", "reviewing", "answering", "checking"})


def run_look(status: str) -> Look:
    """The look of a run's status; an unknown one is shown by its own name."""
    return RUN_LOOKS.get(status) or Look("·", status, "calm", RUNNING)


def step_look(status: str) -> Look:
    """The look of a step's status; an unknown one is shown by its own name."""
    return STEP_LOOKS.get(status) or Look("·", status, "calm", 0)
