"""The worker's stdin, stdout and stderr: real descriptors, put back after each action."""

from __future__ import annotations

import io
import sys
from fcntl import F_SETFL, fcntl
from os import _exit, dup2, fstat

SAVED_OUT, SAVED_ERR = 201, 202
DAMAGED_EXIT = 71
"""Exit code of a worker that found its own machinery damaged."""
NO_KEYBOARD = (
    "nobody is at a keyboard in the sandbox, so input() and sys.stdin cannot be read;"
    " ask the person with ask_user(question) where that tool is given"
)


class NoBytes(io.RawIOBase):
    """What lies under a stdin that is closed."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise EOFError(NO_KEYBOARD)


class NoKeyboard(io.TextIOBase):
    """A stdin that says why it is closed."""

    name = "<stdin>"
    encoding = "utf-8"
    buffer = NoBytes()

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        raise EOFError(NO_KEYBOARD)

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        raise EOFError(NO_KEYBOARD)

    def close(self) -> None:
        """It stays: `exit()` closes the streams, and libraries ask them whether they are closed."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation(NO_KEYBOARD)


def _writer(fd: int) -> io.TextIOWrapper:
    raw = io.FileIO(fd, "w", closefd=False)
    buffered = io.BufferedWriter(raw, 1 << 16)
    return io.TextIOWrapper(buffered, "utf-8", "backslashreplace", "\n", line_buffering=True)


def _look_of(stream: io.TextIOWrapper) -> tuple[object, ...]:
    """What an action may have changed of it, and what would change what the next one prints."""
    buffer = stream.buffer
    patches = len(vars(stream)), len(vars(buffer)), len(vars(buffer.raw))  # type: ignore[attr-defined]
    settings = stream.encoding, stream.errors, stream.line_buffering, stream.write_through
    return (stream.closed, buffer, *patches, *settings)


class Streams:
    """Replaces the interpreter's streams and repairs them."""

    def __init__(self) -> None:
        dup2(1, SAVED_OUT, False)
        dup2(2, SAVED_ERR, False)
        self._pipes = fstat(SAVED_OUT).st_ino, fstat(SAVED_ERR).st_ino
        self._fresh()

    def _fresh(self) -> None:
        self._out, self._err = _writer(1), _writer(2)
        self._looks = _look_of(self._out), _look_of(self._err)
        sys.stdin = sys.__stdin__ = NoKeyboard()  # type: ignore[assignment, misc]
        sys.stdout = sys.__stdout__ = self._out  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._err  # type: ignore[misc]

    def flush(self) -> None:
        """Send what is buffered, also by streams that the action put in place of ours."""
        for stream in (self._out, self._err, sys.stdout, sys.stderr):
            try:
                stream.flush()
            except KeyboardInterrupt:
                raise
            except BaseException:
                continue  # closed, or an object of the action that is no stream

    def restore(self) -> None:
        """After an action that may have closed, replaced or redirected the streams."""
        try:
            dup2(SAVED_OUT, 1)
            dup2(SAVED_ERR, 2)
            if (fstat(1).st_ino, fstat(2).st_ino) != self._pipes:
                _exit(DAMAGED_EXIT)  # they lead elsewhere
            for fd in (1, 2):
                fcntl(fd, F_SETFL, 0)  # they wait, and send no signals
        except OSError:
            _exit(DAMAGED_EXIT)  # closed: nothing can be shown any more
        # Before the look: an action's wrapper around the bytes of ours closes them as it goes.
        sys.stdout, sys.stderr = self._out, self._err
        try:
            whole = (_look_of(self._out), _look_of(self._err)) == self._looks
        except BaseException:  # detached from its buffer, or patched
            whole = False
        if not whole:
            self._fresh()
        else:
            for stream in (self._out, self._err):
                stream.reconfigure(newline="\n")  # nothing tells what it was
