"""A very small event loop for the supervisor: readable, writable, and deadlines."""

from __future__ import annotations

import os
from _collections import deque
from select import POLLIN, POLLOUT, poll
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Callback = Callable[[], object]


class Timer:
    """A deadline that can be moved or taken back."""

    __slots__ = ("at", "callback")

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.at: float | None = None
        """Monotonic seconds; None: not set."""


class Loop:
    """Calls back for descriptors and timers, on one thread, until the process ends."""

    def __init__(self) -> None:
        self._poll = poll()  # few descriptors, and quicker to import than selectors
        self._read: dict[int, Callback] = {}
        self._write: dict[int, Callback] = {}
        self._timers: set[Timer] = set()

    def timer(self, callback: Callback) -> Timer:
        timer = Timer(callback)
        self._timers.add(timer)
        return timer

    def forget(self, timer: Timer) -> None:
        self._timers.discard(timer)

    def on_readable(self, fd: int, callback: Callback | None) -> None:
        """Call back while `fd` has something to read; None: no longer."""
        self._set(self._read, fd, callback)

    def on_writable(self, fd: int, callback: Callback | None) -> None:
        """Call back while `fd` has room; None: no longer."""
        self._set(self._write, fd, callback)

    def _set(self, table: dict[int, Callback], fd: int, callback: Callback | None) -> None:
        before = (fd in self._read, fd in self._write)
        if callback is None:
            table.pop(fd, None)
        else:
            table[fd] = callback
        after = (fd in self._read, fd in self._write)
        if before == after:
            return
        events = (POLLIN if after[0] else 0) | (POLLOUT if after[1] else 0)
        if events:
            self._poll.register(fd, events)
        else:
            self._poll.unregister(fd)

    def turn(self) -> None:
        """Wait for something to happen, and call back for it."""
        times = [timer.at for timer in self._timers if timer.at is not None]
        wait = max(0.0, min(times) - monotonic()) * 1000 if times else None
        happened = []
        for fd, events in self._poll.poll(wait):  # a broken one is readable and writable
            if events & ~POLLOUT and fd in self._read:
                happened.append((self._read, fd, self._read[fd]))
            if events & ~POLLIN and fd in self._write:
                happened.append((self._write, fd, self._write[fd]))
        for table, fd, callback in happened:
            if table.get(fd) is callback:  # an earlier callback may have closed or replaced it
                callback()
        if times:
            now = monotonic()
            for timer in [t for t in self._timers if t.at is not None and t.at <= now]:
                if timer.at is not None and timer.at <= now:
                    timer.at = None
                    timer.callback()


class Outbox:
    """Bytes on their way into a descriptor that may be slow, or never read: never blocks."""

    def __init__(self, loop: Loop, fd: int, on_failure: Callback, on_room: Callback) -> None:
        self._loop = loop
        self._fd = fd
        self._on_failure = on_failure
        self._on_room = on_room
        self._queue: deque[memoryview] = deque()
        self._flush = self.flush  # one bound method, so that the loop can compare it
        self.size = 0
        """Bytes that wait."""

    def push(self, data: bytes) -> None:
        self._queue.append(memoryview(data))
        self.size += len(data)
        if len(self._queue) == 1:
            self.flush()

    def flush(self) -> None:
        """Write what fits now."""
        before = self.size
        try:
            while self._queue:
                if len(self._queue) > 1:
                    done = os.writev(self._fd, [self._queue[i] for i in range(self._some())])
                else:
                    done = os.write(self._fd, self._queue[0])
                self.size -= done
                self._drop(done)
        except BlockingIOError:
            pass  # the loop calls again when there is room
        except OSError:
            self.close()
            self._on_failure()
            return
        self._loop.on_writable(self._fd, self._flush if self._queue else None)
        if self.size < before:
            self._on_room()

    def _some(self) -> int:
        return min(len(self._queue), 64)

    def _drop(self, done: int) -> None:
        queue = self._queue
        while done:
            first = queue[0]
            if done < len(first):
                queue[0] = first[done:]
                return
            done -= len(first)
            queue.popleft()

    def close(self) -> None:
        """Forget what waits; the descriptor stays its owner's."""
        self._queue.clear()
        self.size = 0
        self._loop.on_writable(self._fd, None)
