"""One entry of a run's timeline: what happened, in a head that fits a line, and bodies by blob."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Blobs = Callable[[str], bytes]
"""Gives the bytes of a blob by its sha256. Raises KeyError or a HistoryError when it is gone."""

Kind = Literal[
    "task",
    "thought",
    "plan",
    "question",
    "user",
    "step",
    "action",
    "output",
    "tool",
    "report",
    "review",
    "replan",
    "artifact",
    "answer",
    "check",
    "note",
    "trouble",
    "session",
    "end",
]
State = Literal["open", "ok", "bad", "warn", "info", "ask"]


@dataclass(frozen=True, slots=True)
class Body:
    """A part of an entry that may be long."""

    label: str
    """One of: task, reasoning, text, code, output, stderr, value, traceback, observation, result,
    answer, list."""
    sha: str | None = None
    """Blob that holds it whole; None: `text` is the whole."""
    text: str = ""
    """All of it, or its head while the blob is not read."""


@dataclass(frozen=True)
class Entry:
    """Something that happened in a run, from its first event to its last."""

    seq: int
    """The event that began it."""
    last_seq: int
    """The newest event that changed it."""
    at: datetime
    kind: Kind
    title: str
    """Who does what, a few words."""
    state: State = "info"
    head: str = ""
    """The first words of what it holds, one line."""
    bodies: tuple[Body, ...] = ()
    facts: tuple[str, ...] = ()
    """Short figures for the end of its line: tokens, cost, sources."""
    notes: tuple[str, ...] = ()
    """Lines about it: retries, problems, verdicts."""
    details: tuple[str, ...] = ()
    """Lines for those who look closer: shown with the whole of it only."""
    step_id: str | None = None
    attempt: int | None = None
    move_id: str | None = None
    actor: str = "engine"
    ms: float | None = None
    """How long it took; None: still open, or it takes no time."""
    depth: int = 0
    """0: of the run; 1: within a step; 2: within an action."""

    @property
    def closed(self) -> bool:
        """Whether nothing more is expected of it."""
        return self.state not in ("open", "ask")


@dataclass(frozen=True)
class OpenEntry:
    """An entry that waits for its end."""

    family: str
    """model, action or tool."""
    seq: int
    index: int
    """Place in the timeline."""
    move_id: str | None
    name: str
    """Of the tool; of an action, whether it called one: `calls`; empty otherwise."""
    step_id: str | None
    attempt: int | None
    at: datetime
    tokens: int = 0
    """What a model call may take at most, charged when nobody learns what it took."""
    usd: float | None = 0.0
    """What that costs; None: unknown."""
