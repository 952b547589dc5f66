"""The clock of a replay: which events of a saved run are shown at a moment. Time is an argument.

Playing follows the recorded times with idle gaps shortened, so that a run that waited a night for
an answer does not take one to watch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from planner_app.view import fields
from planner_app.view.reducer import reduce
from planner_app.view.run_view import RunView

if TYPE_CHECKING:
    from planner_app.domain.events import Event

LONGEST_GAP: Final = 2.0
"""Seconds; longer pauses between two events are played as this."""
SPEEDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
CHECKPOINT: Final = 64
"""Events between two views that are kept for stepping back."""

_ERRORS = frozenset(
    {
        "model.failed",
        "tool.failed",
        "plan.refused",
        "reply.refused",
        "answer.refused",
        "turn.refused",
        "loop.found",
        "replan.decided",
        "budget.used_up",
        "session.lost",
        "model.orphaned",
        "action.orphaned",
        "tool.orphaned",
    }
)


def is_error(event: Event) -> bool:
    """Whether something went wrong here that a person looks for."""
    data = event.data
    if event.type == "action.finished":
        return fields.text(data, "status") not in ("ok", "ended")
    if event.type == "run.finished":
        return fields.text(data, "status") in ("failed", "partial")
    if event.type == "attempt.finished":
        return fields.text(data, "outcome") != "done"
    if event.type == "answer.checked":
        return not fields.table(data, "verdict").get("ok")
    return event.type in _ERRORS


def is_milestone(event: Event) -> bool:
    """Whether a stretch of the run begins here: a phase, or an attempt at a step."""
    return event.type in ("run.phase", "attempt.started", "run.finished")


class Track:
    """The events of a saved run with the moments at which they are due."""

    def __init__(self, events: Sequence[Event], longest_gap: float = LONGEST_GAP) -> None:
        self.events = tuple(events)
        due, at = [], 0.0
        for before, event in zip((None, *self.events), self.events, strict=False):
            gap = (event.at - before.at).total_seconds() if before is not None else 0.0
            at += min(max(gap, 0.0), longest_gap)
            due.append(at)
        self.due = tuple(due)
        """Seconds from the start at which each event is shown, at speed 1."""
        self.errors = tuple(i for i, event in enumerate(self.events, 1) if is_error(event))
        self.milestones = tuple(i for i, event in enumerate(self.events, 1) if is_milestone(event))
        self._kept: list[RunView] = [RunView()]
        self._last: tuple[int, RunView] = (0, self._kept[0])

    def __len__(self) -> int:
        return len(self.events)

    @property
    def seconds(self) -> float:
        """How long it plays at speed 1."""
        return self.due[-1] if self.due else 0.0

    def view_at(self, position: int) -> RunView:
        """The run after its first `position` events; quick from any position to any other."""
        position = max(0, min(position, len(self.events)))
        at, view = self._last
        checkpoint = min(position // CHECKPOINT, len(self._kept) - 1)
        if at > position or at < checkpoint * CHECKPOINT:
            at, view = checkpoint * CHECKPOINT, self._kept[checkpoint]
        while at < position:
            view = reduce(view, self.events[at])
            at += 1
            if at == len(self._kept) * CHECKPOINT:
                self._kept.append(view)
        self._last = (at, view)
        return view


@dataclass(frozen=True, slots=True)
class Player:
    """Where a replay stands. Every key gives a new one."""

    track: Track
    position: int = 0
    """How many events are shown."""
    playing: bool = False
    speed: float = 1.0
    clock: float = 0.0
    """Seconds of played time at speed 1."""

    @property
    def at_end(self) -> bool:
        """Whether all events are shown."""
        return self.position >= len(self.track)

    @property
    def view(self) -> RunView:
        """The run as it looks here."""
        return self.track.view_at(self.position)

    def seek(self, position: int) -> Player:
        """After exactly so many events, within the run's bounds."""
        position = max(0, min(position, len(self.track)))
        clock = self.track.due[position - 1] if position else 0.0
        return replace(
            self,
            position=position,
            clock=clock,
            playing=self.playing and position < len(self.track),
        )

    def step(self, by: int) -> Player:
        """So many events on (or back), and stand still there."""
        return replace(self.seek(self.position + by), playing=False)

    def tick(self, seconds: float) -> Player:
        """So much time later."""
        if not self.playing:
            return self
        clock = self.clock + max(0.0, seconds) * self.speed
        position = max(self.position, bisect_right(self.track.due, clock))
        return replace(
            self,
            clock=min(clock, self.track.seconds),
            position=position,
            playing=position < len(self.track),
        )

    def until_next(self) -> float | None:
        """Real seconds until the next event is due; None: it does not play."""
        if not self.playing or self.at_end:
            return None
        return max(0.0, self.track.due[self.position] - self.clock) / self.speed

    def toggle(self) -> Player:
        """Play or pause; at the end, play from the start."""
        if self.at_end:
            return replace(self.seek(0), playing=len(self.track) > 0)
        return replace(self, playing=not self.playing)

    def faster(self) -> Player:
        """The next higher speed."""
        return replace(self, speed=next((s for s in SPEEDS if s > self.speed), SPEEDS[-1]))

    def slower(self) -> Player:
        """The next lower speed."""
        lower = [speed for speed in SPEEDS if speed < self.speed]
        return replace(self, speed=lower[-1] if lower else SPEEDS[0])

    def next_error(self) -> Player:
        """At the next thing that went wrong; stays when there is none."""
        return self._jump(self.track.errors)

    def next_milestone(self) -> Player:
        """At the next phase or attempt; at the end when there is none."""
        jumped = self._jump(self.track.milestones)
        return jumped if jumped.position != self.position else self.seek(len(self.track))

    def previous_milestone(self) -> Player:
        """At the phase or attempt before; at the start when there is none."""
        earlier = [place for place in self.track.milestones if place < self.position]
        return replace(self.seek(earlier[-1] if earlier else 0), playing=False)

    def _jump(self, places: tuple[int, ...]) -> Player:
        later = next((place for place in places if place > self.position), None)
        return self if later is None else replace(self.seek(later), playing=False)
