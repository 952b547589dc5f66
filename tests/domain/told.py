"""A run that a test makes up: its events, numbered and dated, and the state that they fold to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

from planner_app.domain.events import Event, EventDraft
from planner_app.domain.fold import apply
from planner_app.domain.state import RunState

START = datetime(2026, 1, 1, tzinfo=UTC)

Watch = Callable[[RunState | None, Event, RunState], None]
"""Sees each event with the state before and after it."""


class Told:
    """One run, as far as it was told."""

    def __init__(self, run_id: str, watch: Watch | None = None) -> None:
        self.events: list[Event] = []
        self.now = START
        self._run_id = run_id
        self._watch = watch
        self._state: RunState | None = None

    @property
    def state(self) -> RunState:
        assert self._state is not None
        return self._state

    def append(self, *drafts: EventDraft) -> Self:
        """These facts alone, without what follows from them."""
        for draft in drafts:
            event = Event.of(draft, self._run_id, len(self.events) + 1, self.now)
            self.events.append(event)
            before, self._state = self._state, apply(self._state, event)
            if self._watch is not None:
                self._watch(before, event, self._state)
        return self
