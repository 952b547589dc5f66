"""Follows history in one thread and tells the app, in batches, what is new; the loop never waits.

The thread looks only at what is shown: the inbox's rows, or one run's new events and live text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner_app.domain.errors import PlannerError
from planner_app.tui.gateway import Gateway
from planner_app.view.inbox import TaskRow
from planner_app.view.live import Live

if TYPE_CHECKING:
    from planner_app.domain.events import Event

RUN_PAUSE = 0.05
"""Seconds between two batches of a run at least: 20 a second."""
INBOX_PAUSE = 0.25
LOOK = 0.25
"""Seconds after which the thread looks whether it should stop."""
TROUBLE_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class RunNews:
    """What is new in one run."""

    run_id: str
    events: list[Event]
    live: Mapping[str, Live]


@dataclass(frozen=True, slots=True)
class News:
    """One batch for the app."""

    rows: list[TaskRow] | None = None
    """The whole inbox; None: not looked at."""
    run: RunNews | None = None
    trouble: str = ""
    """Why history cannot be read now; empty: it can."""


@dataclass(slots=True)
class _Wanted:
    """What the screen in front shows."""

    rows: bool = False
    run_id: str | None = None
    after: int = 0
    fresh: bool = True
    """Whether no batch has answered it yet."""


class Feed:
    """The thread and what it looks at. `tell` is called in the thread with each batch."""

    def __init__(self, gateway: Gateway, tell: Callable[[News], None]) -> None:
        self._gateway = gateway
        self._tell = tell
        self._wanted = _Wanted(rows=True)
        self._live: Mapping[str, Live] = {}
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="feed", daemon=True)

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; returns when it has ended, or after two seconds."""
        self._stopping.set()
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def look_at_inbox(self) -> None:
        """From now on, rows."""
        self._look(_Wanted(rows=True))

    def look_at_run(self, run_id: str, after: int) -> None:
        """From now on, this run's events after `after`, and its live text."""
        self._look(_Wanted(run_id=run_id, after=after))

    def look_at_nothing(self) -> None:
        """From now on nothing, until asked again."""
        self._look(_Wanted())

    def _look(self, wanted: _Wanted) -> None:
        self._wanted = wanted  # one reference: the thread sees the old or the new, never a mix
        self._asked.set()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._asked.clear()
            wanted = self._wanted
            seen, pause = -1, TROUBLE_PAUSE
            try:
                seen = self._gateway.changes()
                news = self._read(wanted)
                pause = INBOX_PAUSE if wanted.rows else RUN_PAUSE
            except PlannerError as error:
                news, seen = News(trouble=str(error)), -1
            if news is not None and not self._stopping.is_set():
                self._tell(news)
            if not self._asked.wait(pause):
                self._until_changed(seen)

    def _until_changed(self, seen: int) -> None:
        while not self._asked.is_set():
            try:
                if seen < 0 or self._gateway.wait(seen, LOOK):
                    return
            except PlannerError:
                return  # the next reading meets it again and tells it

    def _read(self, wanted: _Wanted) -> News | None:
        fresh, wanted.fresh = wanted.fresh, False
        if wanted.rows:
            return News(rows=self._gateway.rows())
        if wanted.run_id is None:
            return None
        events = self._gateway.events(wanted.run_id, wanted.after)
        live = self._gateway.live(wanted.run_id)
        if not fresh and not events and live == self._live:
            return None
        if events:
            wanted.after = events[-1].seq
        self._live = live
        return News(run=RunNews(wanted.run_id, events, live))
