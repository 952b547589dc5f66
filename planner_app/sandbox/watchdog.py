"""The host's own clock over an operation, for a guest whose clock cannot be believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LEAST_WAIT = 0.02
"""Seconds. Handlers that begin and end within them do not stop the time, however many there are."""


class Watchdog:
    """Calls back when an operation overruns; stands still while a tool handler is at work."""

    def __init__(self, seconds: float, bark: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = seconds
        self._bark = bark
        self._holds = 0
        self._since = self._loop.time()
        """When `_left` was right."""
        self._stopped = False
        """Also once it is sure to bark: nothing puts that off."""
        self._handle: asyncio.Handle | None = None
        self._set()

    def _set(self) -> None:
        if self._stopped:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._left <= 0:
            self._handle = self._loop.call_soon(self._bark)
            self._stopped = True
        elif not self._holds:
            self._handle = self._loop.call_later(self._left, self._bark)

    def _count(self) -> None:
        now = self._loop.time()
        passed = now - self._since
        self._left -= min(passed, LEAST_WAIT) if self._holds else passed
        self._since = now

    def hold(self) -> None:
        self._count()
        self._holds += 1
        self._set()

    def release(self) -> None:
        self._count()
        self._holds -= 1
        self._set()

    def stop(self) -> None:
        """No longer needed; may be called twice."""
        self._stopped = True
        if self._handle is not None:
            self._handle.cancel()
