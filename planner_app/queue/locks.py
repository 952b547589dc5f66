"""Lock files that a process holds for its whole life: one that is free proves its process dead.

The kernel lets go of a lock however the process ends, and a program that it starts does not inherit
it (O_CLOEXEC).
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class HeldLock:
    """A lock that is held until `close`, or until the process ends."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def take(cls, path: Path, text: str = "") -> HeldLock | None:
        """Takes the lock, making its file (0600) and folder (0700); None when another holds it.

        The text is what whoever looks at the file may read while it is held.
        """
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(fd, text.encode(), 0)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd)

    def close(self, *, remove: bool = False) -> None:
        """Lets go; `remove` takes the file away first, while nobody else can hold it."""
        if self.fd < 0:
            return
        if remove:
            with suppress(FileNotFoundError):
                self.path.unlink()
        os.close(self.fd)
        self.fd = -1


def is_free(path: Path) -> bool:
    """Whether the file is there and nobody holds it. A file that is gone proves nothing."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
