"""A few bytes that supervisor and worker share: which operation to stop, and which is begun.

The processes that an action starts do not have them, and so cannot stop a later one.
"""

from __future__ import annotations

import mmap

KEY_BYTES = 16
"""An operation's key, in ASCII."""


class Bulletin:
    """Made before the worker is forked."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 2 * KEY_BYTES)

    def keep_from_children(self) -> None:
        """In the worker: what it forks does not share the memory."""
        if hasattr(mmap, "MADV_DONTFORK"):
            self._memory.madvise(mmap.MADV_DONTFORK)

    def stop(self, key: str) -> None:
        """Say that the operation is to stop: signals that nobody announced are not believed."""
        self._memory[:KEY_BYTES] = key.encode("ascii")

    def is_to_stop(self, key: str) -> bool:
        return self._memory[:KEY_BYTES] == key.encode("ascii")

    def begin(self, key: str) -> None:
        """Say that the operation is begun: from here on it may have had effects."""
        self._memory[KEY_BYTES:] = key.encode("ascii")

    def is_begun(self, key: str) -> bool:
        return self._memory[KEY_BYTES:] == key.encode("ascii")

    def close(self) -> None:
        self._memory.close()
