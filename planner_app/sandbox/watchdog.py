"""The host's own clock over an operation, for a guest whose clock cannot be believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Watchdog:
    """Calls back when an operation overruns; stands still while a tool handler is at work."""

    def __init__(self, seconds: float, bark: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = seconds
        self._bark = bark
        self._holds = 0
        self._since = self._loop.time()
        self._handle: asyncio.TimerHandle | None = None
        self._set()

    def _set(self) -> None:
        self._since = self._loop.time()
        self._handle = self._loop.call_later(max(0.0, self._left), self._bark)

    def hold(self) -> None:
        self._holds += 1
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._left -= self._loop.time() - self._since

    def release(self) -> None:
        self._holds -= 1
        if self._holds == 0 and self._handle is None:
            self._set()

    def stop(self) -> None:
        """No longer needed; may be called twice."""
        self._holds += 1_000_000
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
