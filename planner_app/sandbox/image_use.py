"""Who needs which image: engines forget, and several data folders share one engine.

In the user's cache, a file for each data folder says what it used last, and a file for each image
is locked by the processes that use it, which the kernel undoes when they end. Where the cache
cannot be written nothing is noted, and images are only safe while a container runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_held: dict[str, IO[str]] = {}
"""Locked by this process, until it ends."""


def cache_folder() -> Path:
    """This user's folder for what can be made again. Raises OSError when it cannot be made."""
    from platformdirs import user_cache_path

    return user_cache_path("planner", ensure_exists=True)


def hold(tag: str) -> None:
    """This process uses the image, until it ends."""
    if tag in _held:
        return
    with contextlib.suppress(OSError):  # a cache that cannot be written
        file = (_folder("held") / _name(tag)).open("a")
        fcntl.flock(file, fcntl.LOCK_SH)
        file.truncate(0)
        file.write(tag)
        file.flush()
        _held[tag] = file


def note_need(home: Path, tags: Sequence[str]) -> None:
    """A data folder needs these images, and no longer those that it needed before.

    It is made if it is not there yet: what a folder needs that does not exist is nobody's.
    """
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [str(home.resolve()), *tags]
        text = "\n".join(lines)
        record = _folder("homes") / _name(lines[0])
        if not record.exists() or record.read_text() != text:
            fresh = record.with_name(f".{record.name}")
            fresh.write_text(text)
            fresh.replace(record)


def used_tags() -> set[str]:
    """Images that a living process uses, or a data folder that is still there.

    Raises OSError when that cannot be known.
    """
    used = set(_held)
    for file in _folder("held").iterdir():
        with file.open("r+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                used.add(handle.read())
    for file in _folder("homes").glob("[!.]*"):
        try:
            home, *tags = file.read_text().splitlines() or [""]
        except FileNotFoundError:  # another process has just found its folder gone
            continue
        if home and Path(home).exists():
            used.update(tags)
        else:
            file.unlink(missing_ok=True)
    return used


def _folder(name: str) -> Path:
    folder = cache_folder() / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
