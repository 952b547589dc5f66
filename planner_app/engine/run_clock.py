"""The time by which one process drives one run: it goes on evenly, whatever the wall clock does."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", None)


def even_seconds() -> float:
    """Seconds that no setting of the clock changes, and that pass while the machine sleeps."""
    return time.monotonic() if _COUNTS_SLEEP is None else time.clock_gettime(_COUNTS_SLEEP)


class RunClock:
    """The wall's time when the drive began, and what has passed since.

    A clock that is set right in the middle of a call neither uses up the run's time nor holds it
    up. `not_before` is the time of the run's last event: its time never goes back.
    """

    def __init__(
        self,
        not_before: datetime,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        even: Callable[[], float] = even_seconds,
    ) -> None:
        self._even = even
        self._began = max(wall(), not_before)
        self._began_even = even()

    def now(self) -> datetime:
        """The time of this moment, UTC."""
        return self._began + timedelta(seconds=self._even() - self._began_even)
