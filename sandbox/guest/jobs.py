"""Runs file work in forked children of the worker's user, and relays its data piece by piece.

Tar archives and paths come from untrusted sides, so the supervisor touches neither. A job child
reads raw bytes from one pipe and writes frames to another. Each side grants the other credit in
bytes, so that 100 MB pass without being held anywhere.
"""

from __future__ import annotations

import os
import sys
from _signal import (  # type: ignore[import-not-found]  # signal is slow to import
    SIG_DFL,
    SIGCHLD,
    SIGKILL,
    set_wakeup_fd,
)
from _signal import signal as set_handler

from . import lockdown
from .config import Place
from .frames import MAX_CALL_BYTES, Message, Parser, ProtocolError
from .loop import Loop, Outbox
from .processes import describe_end
from .quiet import suppress
from .transfer import perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[Message, bytes], None]

MAX_JOBS = 4
"""Under way at once; one that has said its end has made room, though its child is still there."""
READ_SIZE = 1 << 18


class Job:
    """One child at work."""

    def __init__(self, loop: Loop, place: Place, request: Message, number: int, send: Send) -> None:
        feed_read, feed_write = os.pipe()
        product_read, product_write = os.pipe()
        try:
            self.pid = os.fork()
        except OSError:
            os.close(feed_write)
            os.close(product_read)
            raise
        else:
            if self.pid == 0:
                _become_job(place, request, feed_read, product_write)
        finally:
            os.close(feed_read)
            os.close(product_write)
        for fd in (feed_write, product_read):
            os.set_blocking(fd, False)
        self.number = number
        self.ended = False
        """The child has said how it went."""
        self._loop = loop
        self._send = send
        self._parser = Parser(MAX_CALL_BYTES)
        self._feed: int | None = feed_write
        self._outbox = Outbox(loop, feed_write, self._feed_broken, self._fed)
        self._fed_bytes = 0
        self._all_fed = False
        self._product = product_read
        self._credit = 0
        self._paused = False
        self._watch()

    def chunk(self, data: bytes) -> None:
        """Data for the child."""
        if self._feed is None:
            return  # it has stopped reading; its own frame says why
        self._fed_bytes += len(data)
        self._outbox.push(data)
        self._fed()

    def _fed(self) -> None:
        done = self._fed_bytes - self._outbox.size
        if done > 0:
            self._fed_bytes -= done
            self._send({"t": "credit", "id": self.number, "n": done}, b"")
        if self._all_fed and not self._outbox.size:
            self._close_feed()

    def eof(self) -> None:
        self._all_fed = True
        self._fed()

    def _feed_broken(self) -> None:
        waiting, self._fed_bytes = self._fed_bytes, 0
        self._close_feed()
        if waiting:
            self._send({"t": "credit", "id": self.number, "n": waiting}, b"")

    def _close_feed(self) -> None:
        if self._feed is not None:
            self._outbox.close()
            os.close(self._feed)
            self._feed = None

    def credit(self, size: int) -> None:
        """The host has room for so many more bytes."""
        self._credit += size
        self._watch()

    def pause(self, wanted: bool) -> None:
        self._paused = wanted
        self._watch()

    def _watch(self) -> None:
        wanted = not self.ended and not self._paused and self._credit >= 0
        self._loop.on_readable(self._product, self._read if wanted else None)

    def _read(self) -> None:
        try:
            data = os.read(self._product, READ_SIZE)
        except BlockingIOError:
            return
        if not data:
            self._loop.on_readable(self._product, None)
            return  # its end as a process says the rest
        try:
            for message, blob in self._parser.feed(data):
                if message.get("t") == "chunk":
                    self._credit -= len(blob)
                elif message.get("t") in ("done", "failed"):
                    self.ended = True
                self._send({**message, "id": self.number}, blob)
        except ProtocolError as error:
            self.fail(str(error))
        self._watch()

    def fail(self, why: str) -> None:
        """Tell the host, once, that nothing more will come."""
        if not self.ended:
            self.ended = True
            self._send({"t": "failed", "id": self.number, "kind": "lost", "error": why}, b"")

    def read_rest(self) -> None:
        """The child has ended: take what it wrote before."""
        self._credit = max(self._credit, 0)
        for _ in range(16):
            if self.ended:
                break
            self._read()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, SIGKILL)

    def close(self) -> None:
        self._close_feed()
        self._loop.on_readable(self._product, None)
        os.close(self._product)


class Jobs:
    """The jobs under way."""

    def __init__(self, loop: Loop, place: Place, send: Send) -> None:
        self._loop = loop
        self._place = place
        self._send = send
        self._jobs: dict[int, Job] = {}

    def serve(self, number: int, message: Message, blob: bytes) -> None:
        """A frame of the host about a job."""
        kind, job = message.get("t"), self._jobs.get(number)
        if kind == "job":
            self._start(number, message)
        elif job is None:
            return  # it has ended, and the host will hear of it
        elif kind == "chunk":
            job.chunk(blob)
        elif kind == "eof":
            job.eof()
        elif kind == "credit":
            size = message.get("n")
            job.credit(size if isinstance(size, int) else 0)
        elif kind == "stop":
            job.ended = True
            job.kill()

    def _start(self, number: int, request: Message) -> None:
        failure: Message = {"t": "failed", "id": number, "kind": "busy"}
        under_way = sum(not job.ended for job in self._jobs.values())
        if number in self._jobs or under_way >= MAX_JOBS:
            self._send({**failure, "error": "too many file transfers at once"}, b"")
            return
        try:
            self._jobs[number] = Job(self._loop, self._place, request, number, self._send)
        except OSError as error:
            self._send({**failure, "error": f"no process could be started: {error}"}, b"")

    def pids(self) -> set[int]:
        """Their processes, which are no business of the actions."""
        return {job.pid for job in self._jobs.values()}

    def pause(self, wanted: bool) -> None:
        for job in self._jobs.values():
            job.pause(wanted)

    def child_ended(self, pid: int, status: int) -> None:
        """A child of the supervisor was reaped; perhaps one of the jobs."""
        for number, job in list(self._jobs.items()):
            if job.pid == pid:
                job.read_rest()
                job.fail(describe_end(status))
                job.close()
                del self._jobs[number]

    def children_killed(self) -> None:
        for job in self._jobs.values():
            job.fail("the sandbox was reset")
            job.close()
        self._jobs.clear()


def _become_job(place: Place, request: Message, feed: int, product: int) -> None:
    """In the forked child: shed what is the supervisor's, do the work, and leave. No return."""
    status = 70
    try:
        set_wakeup_fd(-1)
        set_handler(SIGCHLD, SIG_DFL)
        os.setsid()
        if place.uid is not None:
            lockdown.drop_powers(place.uid)
        os.dup2(feed, 0)
        os.dup2(product, 1)
        os.closerange(3, 4096)
        if place.contained:
            lockdown.confine(traceable=False)
        perform(request, place.workspace)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(status)
