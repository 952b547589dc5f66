"""What the worker is busy with: one operation's clock and the account of its output."""

from __future__ import annotations

import os
from time import monotonic

STREAMS = ("stdout", "stderr")
MAX_DISPLAYS = 32
MAX_DISPLAY_BYTES = 16 << 20


LEAST_WAIT = 0.02


class Clock:
    """Run time against a limit; stands still while a tool call waits for the host.

    Calls that come and go within `LEAST_WAIT` seconds wait for nothing: a stream of them, from
    many threads, does not stop the time.
    """

    def __init__(self, seconds: float | None) -> None:
        self._left = seconds
        self._since = monotonic()
        """When `_left` was right."""
        self._holds = 0

    @property
    def deadline(self) -> float | None:
        """When the time is up, by the monotonic clock; None: never, or not while held."""
        if self._left is None or (self._holds and self._left > 0):
            return None
        return self._since + self._left

    def hold(self) -> None:
        self._count()
        self._holds += 1

    def release(self) -> None:
        self._count()
        self._holds -= 1

    def _count(self) -> None:
        now = monotonic()
        if self._left is not None:
            passed = now - self._since
            self._left -= min(passed, LEAST_WAIT) if self._holds else passed
        self._since = now


class Output:
    """Forwards the first bytes, keeps the last ones of each stream, counts the rest."""

    def __init__(self, cap: int, tail: int) -> None:
        self._room = cap
        self._tail = tail
        self._ends = {name: bytearray() for name in STREAMS}
        self._missing = dict.fromkeys(STREAMS, 0)

    def take(self, stream: str, data: bytes) -> bytes:
        """The part of `data` to forward now."""
        if len(data) <= self._room:
            self._room -= len(data)
            return data
        now, rest = data[: self._room], data[self._room :]
        self._room = 0
        self._missing[stream] += len(rest)
        end = self._ends[stream]
        end += rest[-self._tail :] if self._tail else b""
        if len(end) > 4 * self._tail:
            del end[: len(end) - self._tail]
        return now

    def last(self) -> list[tuple[str, int, bytes]]:
        """For each stream over the cap: its name, the bytes lost, and its kept end."""
        ends = []
        for name in STREAMS:
            if self._missing[name]:
                end = bytes(self._ends[name][-self._tail :]) if self._tail else b""
                ends.append((name, self._missing[name] - len(end), end))
        return ends


class Operation:
    """One request of the host that the worker serves."""

    def __init__(
        self, number: int, kind: str, seconds: float | None, grace: float, cap: int, tail: int
    ) -> None:
        self.number = number
        self.kind = kind
        self.key = os.urandom(8).hex()
        """Echoed by the worker in each frame, so that none can be forged for a later operation."""
        self.grace = grace
        self.started = monotonic()
        self.clock = Clock(seconds)
        self.output = Output(cap, tail)
        self.cause = ""
        """Why it was stopped: interrupt, timeout or end; empty while nobody did."""
        self.displays = 0
        self.display_bytes = 0

    @property
    def ms(self) -> float:
        return round((monotonic() - self.started) * 1e3, 3)

    def may_display(self, size: int) -> bool:
        """Count a display, and say whether it may be forwarded."""
        self.displays += 1
        self.display_bytes += size
        return self.displays <= MAX_DISPLAYS and self.display_bytes <= MAX_DISPLAY_BYTES
