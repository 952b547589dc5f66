"""The worker's stdin, stdout and stderr: real descriptors, put back after each action."""

from __future__ import annotations

import io
import sys
from os import _exit, dup2

SAVED_OUT, SAVED_ERR = 201, 202
NO_KEYBOARD = (
    "nobody is at a keyboard in the sandbox, so input() and sys.stdin cannot be read;"
    " ask the person with ask_user(question) where that tool is given"
)


class NoKeyboard(io.TextIOBase):
    """A stdin that says why it is closed."""

    name = "<stdin>"
    encoding = "utf-8"

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
    return io.TextIOWrapper(buffered, "utf-8", "backslashreplace", line_buffering=True)


class Streams:
    """Replaces the interpreter's streams and repairs them."""

    def __init__(self) -> None:
        dup2(1, SAVED_OUT, False)
        dup2(2, SAVED_ERR, False)
        self._fresh()

    def _fresh(self) -> None:
        self._out, self._err = _writer(1), _writer(2)
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
        except OSError:
            _exit(71)  # the action closed our spare descriptors: nothing can be shown any more
        try:
            whole = not (self._out.closed or self._err.closed)
        except ValueError:  # detached from its buffer
            whole = False
        if not whole:
            self._fresh()
        else:
            sys.stdout, sys.stderr = self._out, self._err
