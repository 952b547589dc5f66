"""Says which workspace files an action created or changed."""

from __future__ import annotations

import os
import stat

MAX_WATCHED = 2000
MAX_DEPTH = 8
MAX_TOLD = 200
MAX_NAME = 300
MAX_CHARACTERS = 25_000
"""Of all names that are told: each may take 12 bytes of the result's frame."""

Seen = dict[str, tuple[int, int, int]]


class Workspace:
    """Compares the folder's state before and after; a bounded look, not a full account."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._before: Seen = {}

    def look(self) -> None:
        """Take the present state as known."""
        self._before = self.scan()

    def changes(self) -> list[str]:
        """Names that are new or changed since the last look, which this is, too."""
        before, self._before = self._before, self.scan()
        told: list[str] = []
        room = MAX_CHARACTERS
        for name, seen in self._before.items():
            if before.get(name) != seen and len(name) <= MAX_NAME:
                room -= len(name)
                if room < 0 or len(told) >= MAX_TOLD:
                    break
                told.append(name)
        return told

    def scan(self) -> Seen:
        """The regular files as they are now."""
        found: Seen = {}
        self._scan_folder(self._root, "", 0, found)
        return found

    def _scan_folder(self, path: str, prefix: str, depth: int, found: Seen) -> None:
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if len(found) >= MAX_WATCHED:
                        return
                    info = entry.stat(follow_symlinks=False)
                    name = prefix + entry.name
                    if stat.S_ISREG(info.st_mode):
                        if name.isprintable():
                            found[name] = (info.st_mtime_ns, info.st_size, info.st_ino)
                    elif stat.S_ISDIR(info.st_mode) and depth < MAX_DEPTH:
                        self._scan_folder(entry.path, name + "/", depth + 1, found)
        except OSError:
            return  # a folder that went away or may not be read has nothing to tell
