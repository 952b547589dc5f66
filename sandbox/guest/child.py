"""Forks the worker and holds the supervisor's ends of its pipes."""

from __future__ import annotations

import os
import sys
from _signal import (  # type: ignore[import-not-found]  # signal is slow to import
    SIG_DFL,
    SIGCHLD,
    SIGINT,
    set_wakeup_fd,
)
from _signal import signal as set_handler
from _socket import socketpair
from os import _exit

from . import lockdown
from .bulletin import Bulletin
from .config import Place
from .frames import MAX_CALL_BYTES, Message, Parser, pack
from .loop import Loop, Outbox
from .worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CONTROL_FD = 200
"""Out of the way of the small numbers that code closes or reuses."""
READ_SIZE = 1 << 16
DRAIN_READS = 64


class Child:
    """A worker process seen from the supervisor."""

    def __init__(
        self,
        loop: Loop,
        place: Place,
        on_frame: Callable[[Message, bytes], None],
        on_output: Callable[[str, bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._on_frame = on_frame
        self._on_output = on_output
        self._on_lost = on_lost
        ours, theirs = socketpair()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self._bulletin = Bulletin()
        try:
            self.pid = os.fork()
        except OSError:
            for fd in (ours.detach(), out_read, err_read):
                os.close(fd)
            raise
        else:
            if self.pid == 0:
                _become_worker(place, theirs.fileno(), out_write, err_write, self._bulletin)
        finally:
            theirs.close()
            os.close(out_write)
            os.close(err_write)
        ours.setblocking(False)
        self._control = ours
        self._parser = Parser(MAX_CALL_BYTES)  # some room is left for what is added
        self._outbox = Outbox(loop, ours.fileno(), self._unwritable, lambda: None)
        self._pipes = {"stdout": out_read, "stderr": err_read}
        for fd in self._pipes.values():
            os.set_blocking(fd, False)
        self._listening = False
        self._paused = False
        self.ready = False
        self.closed = False
        loop.on_readable(ours.fileno(), self._read_control)

    def send(self, message: Message, blob: bytes = b"") -> None:
        self._outbox.push(pack(message, blob))

    def has_begun(self, key: str) -> bool:
        """Whether the operation may have had effects."""
        return self._bulletin.is_begun(key)

    def interrupt(self, key: str) -> None:
        """Stop the operation of this key."""
        self._bulletin.stop(key)
        try:
            os.kill(self.pid, SIGINT)
        except ProcessLookupError:
            pass  # its end is on the way to us as SIGCHLD

    def listen(self, wanted: bool) -> None:
        """Read its output, or leave it in the pipes until the next operation."""
        self._listening = wanted
        self._watch()

    def pause(self, wanted: bool) -> None:
        """Stop reading from it while the host is slow."""
        self._paused = wanted
        self._watch()
        if not self.closed:
            self._loop.on_readable(self._control.fileno(), None if wanted else self._read_control)

    def _watch(self) -> None:
        wanted = self._listening and not self._paused
        for name, fd in self._pipes.items():
            self._loop.on_readable(fd, self._reader(name) if wanted else None)

    def _reader(self, name: str) -> Callable[[], bool]:
        return lambda: self._read_pipe(name)

    def _read_pipe(self, name: str) -> bool:
        fd = self._pipes.get(name)
        if fd is None:
            return False
        try:
            data = os.read(fd, READ_SIZE)
        except BlockingIOError:
            return False
        if not data:  # closed by every process that had it
            self._loop.on_readable(fd, None)
            os.close(self._pipes.pop(name))
            return False
        self._on_output(name, data)
        return True

    def drain(self) -> None:
        """Read what the pipes hold now; bounded, since somebody may be filling them."""
        for name in ("stdout", "stderr"):
            for _ in range(DRAIN_READS):
                if not self._read_pipe(name):
                    break

    def _read_control(self) -> None:
        try:
            data = self._control.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost("it closed its control channel")
            return
        try:
            for message, blob in self._parser.feed(data):
                if self.closed:
                    return
                self._on_frame(message, blob)
        except Exception as error:  # a forged frame may be wrong in every way
            self._lost(f"it broke the protocol ({type(error).__name__}: {error})"[:200])

    def _unwritable(self) -> None:
        self._lost("it closed its control channel")

    def _lost(self, why: str) -> None:
        if not self.closed:
            self._on_lost(why)

    def close(self) -> None:
        """Let go of its pipes; the process must have ended."""
        if self.closed:
            return
        self.closed = True
        self._outbox.close()
        self._loop.on_readable(self._control.fileno(), None)
        self._control.close()
        self._bulletin.close()
        for fd in self._pipes.values():
            self._loop.on_readable(fd, None)
            os.close(fd)
        self._pipes.clear()


def _become_worker(place: Place, control: int, out: int, err: int, bulletin: Bulletin) -> None:
    """In the forked child: shed everything of the supervisor, then run the worker. No return."""
    status = 70
    try:
        set_wakeup_fd(-1)
        set_handler(SIGCHLD, SIG_DFL)
        os.setsid()
        if place.uid is not None:
            lockdown.drop_powers(place.uid)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.dup2(control, CONTROL_FD)
        os.set_inheritable(CONTROL_FD, False)
        os.closerange(3, CONTROL_FD)
        os.closerange(CONTROL_FD + 1, 4096)
        if place.contained:
            lockdown.confine(traceable=True)
        bulletin.keep_from_children()
        Worker(place, CONTROL_FD, bulletin).serve()
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        _exit(status)
