"""How long a run is left alone after driving it failed, or brought nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

MAX_FAILURES = 5
"""Failures in a row after which the run is ended."""
_FIRST_SECONDS = 5.0
_IDLE_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 60.0


@dataclass(slots=True)
class _Bad:
    failures: int
    """In a row."""
    empty: int
    """Drives in a row that appended nothing."""
    until: float


class Retries:
    """Remembers, for this process, which runs are not to be claimed yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bad: dict[str, _Bad] = {}

    def failed(self, run_id: str) -> int:
        """Driving it raised. Returns how often in a row; the pause doubles each time."""
        bad = self._bad.setdefault(run_id, _Bad(0, 0, 0.0))
        bad.failures += 1
        self._pause(bad, _FIRST_SECONDS, bad.failures)
        return bad.failures

    def returned(self, run_id: str, *, appended: bool) -> None:
        """Driving it returned. A run that appended nothing would only be claimed again at once."""
        if appended:
            self._bad.pop(run_id, None)
            return
        bad = self._bad.setdefault(run_id, _Bad(0, 0, 0.0))
        bad.empty += 1
        self._pause(bad, _IDLE_FIRST_SECONDS, bad.empty)

    def _pause(self, bad: _Bad, first: float, times: int) -> None:
        bad.until = self._clock() + min(_LONGEST_SECONDS, first * 2.0 ** min(times - 1, 10))

    def waiting(self) -> frozenset[str]:
        """Runs that are left alone for now."""
        now = self._clock()
        return frozenset(run for run, bad in self._bad.items() if bad.until > now)

    def seconds_to_next(self) -> float | None:
        """Until the first of them may be tried again; None: there is none."""
        now = self._clock()
        left = [bad.until - now for bad in self._bad.values() if bad.until > now]
        return min(left) if left else None

    def any_failed(self) -> bool:
        """Whether a run that failed is still to be tried again."""
        now = self._clock()
        return any(bad.failures and bad.until > now for bad in self._bad.values())
