"""Learns within about 50 ms that any process changed a database, by one cheap pragma.

`PRAGMA data_version` reads a counter in shared memory: some microseconds, no lock, no disk. One
thread asks it for all who listen, every 25 ms after a change and every 50 ms when all is quiet; it
ends when nobody listens.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from planner_app.domain.errors import HistoryError
from planner_app.history.faults import history_error

BRISK_SECONDS = 0.025
QUIET_SECONDS = 0.05
_BRISK_FOR = 2.0
"""Seconds after a change in which the next one is expected soon."""


class Watcher:
    """Watches one database file. Safe to use from several threads and tasks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._count = 0
        self._changed_at = 0.0
        self._listeners: set[_Listener] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    def count(self) -> int:
        """A number that grows when the database was changed, by this process or another."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = sqlite3.connect(
                        self._path, timeout=0.0, isolation_level=None, check_same_thread=False
                    )
                (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                    return self._count  # being recovered; the next look tells
                raise history_error(error, str(self._path)) from error
            if version != self._version:
                self._version = version
                self._count += 1
                self._changed_at = time.monotonic()
            return self._count

    def pause(self) -> float:
        """Seconds until the next look is due."""
        brisk = time.monotonic() - self._changed_at < _BRISK_FOR
        return BRISK_SECONDS if brisk else QUIET_SECONDS

    async def changes(self) -> AsyncIterator[None]:
        """Yields at once, then after every change; several in a row may count as one.

        The first yield comes when watching has begun: what is read in it misses nothing. Raises
        HistoryError when the database is gone.
        """
        with self._listening() as listener:
            yield
            while True:
                await listener.heard()
                yield

    async def changed(self, seen: int) -> int:
        """Waits until `count()` is no longer `seen`, and returns it."""
        with self._listening() as listener:
            while (count := self.count()) == seen:
                await listener.heard()
            return count

    @contextmanager
    def _listening(self) -> Iterator[_Listener]:
        listener = _Listener(asyncio.get_running_loop())
        seen = self.count()
        with self._lock:
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._tell, args=(seen,), name="watch", daemon=True
                )
                self._thread.start()
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def _tell(self, seen: int) -> None:
        """The thread: looks, and wakes whoever listens."""
        while True:
            error: HistoryError | None = None
            try:
                count = self.count()
            except HistoryError as fault:
                count, error = seen - 1, fault
            with self._lock:
                if not self._listeners or self._closed:
                    self._thread = None
                    return
                listeners = list(self._listeners) if count != seen else []
            for listener in listeners:
                listener.wake(error)
            seen = count
            time.sleep(self.pause())

    def wait(self, timeout: float, seen: int | None = None) -> bool:
        """Blocks until something changed since `seen` (None: since now); False when nothing did."""
        start = self.count() if seen is None else seen
        deadline = time.monotonic() + timeout
        while self.count() == start:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(self.pause(), left))
        return True

    def close(self) -> None:
        """Lets go of the file; listeners hear nothing more."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            thread.join()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class _Listener:
    """One task that waits for changes, on its own event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self._error: HistoryError | None = None

    def wake(self, error: HistoryError | None) -> None:
        """From any thread."""
        self._error = error
        with suppress(RuntimeError):  # a loop that was closed has nobody left to wake
            self._loop.call_soon_threadsafe(self._event.set)

    async def heard(self) -> None:
        """Waits until there is something new."""
        await self._event.wait()
        self._event.clear()
        if self._error is not None:
            raise self._error
