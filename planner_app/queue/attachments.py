"""Reads what a person attaches: bounded, plain files only, under names safe in a workspace."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from planner_app.domain.errors import BadInput

MAX_FILES = 5_000
"""With all folders; a folder of more is data to be packed, and no list for a model to read."""
_SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv"})
_UNSAFE = re.compile(
    r'[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\\:*?"<>|]'
)
_MAX_NAME = 120
_MAX_PARTS = 30
_MAX_PATH = 960
MAX_NOTES = 20


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may be attached, in bytes."""

    file: int
    total: int


@dataclass(frozen=True, slots=True)
class Found:
    """A file to attach, before it is read."""

    path: Path
    name: str
    """Where it goes in the workspace."""


@dataclass(slots=True)
class Listing:
    """All files to attach and what a person should know of them."""

    files: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """A renamed or skipped file, each in one line."""


def size_text(count: int) -> str:
    """Bytes as people read them."""
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("kB", 1024)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def list_files(files: Sequence[Path], dirs: Sequence[Path], taken: set[str]) -> Listing:
    """What is to be attached, by safe and different names; `taken` are used ones, and grows.

    Raises BadInput for what is missing, a folder where a file is meant, or too many files.
    """
    listing = Listing()
    for path in files:
        _check_file(path)
        _add(listing, path, path.name, taken)
    for folder in dirs:
        if not folder.is_dir():
            what = "is a file; attach it with --file" if folder.exists() else "does not exist"
            raise BadInput(
                f"the folder {_shown(folder)} {what}", "" if folder.exists() else "check it"
            )
        before = len(listing.files)
        top = _top(folder, listing, taken)
        for path in _walk(folder, listing):
            _add(listing, path, "/".join((top, *path.relative_to(folder).parts)), taken)
            if len(listing.files) > MAX_FILES:
                break
        if len(listing.files) == before:
            listing.notes.append(f"the folder {_shown(folder)} holds no file to attach")
    if len(listing.files) > MAX_FILES:
        raise BadInput(
            f"over {MAX_FILES:,} files are attached",
            "pack them into an archive: --file files.tar.gz",
        )
    if len(listing.notes) > MAX_NOTES:
        more = len(listing.notes) - MAX_NOTES
        listing.notes[MAX_NOTES:] = [f"and {more:,} more files were renamed or left out"]
    return listing


def _top(folder: Path, listing: Listing, taken: set[str]) -> str:
    """A name for the folder that no other attached one has."""
    name = safe_name(folder.resolve().name or "files")
    top = free_name(name, taken)
    if top != name:
        listing.notes.append(f"attached the folder {_shown(folder)} as {top}")
    taken.add(f"{top}/")
    return top


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise BadInput(f"the file {_shown(path)} does not exist", "check its name") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"the file {_shown(path)} cannot be read: {_why(error)}") from error
    if stat.S_ISDIR(mode):
        raise BadInput(f"{_shown(path)} is a folder", "attach it with --dir")
    if not stat.S_ISREG(mode):
        raise BadInput(
            f"{_shown(path)} is a device or pipe", "copy what it holds into a plain file"
        )


def _walk(folder: Path, listing: Listing) -> Iterator[Path]:
    """Plain files below a folder in a fixed order; links are not followed out of it."""
    for here, names, files in os.walk(folder, onerror=_raise):
        skipped = sorted(name for name in names if name in _SKIPPED_FOLDERS)
        listing.notes += [f"left out the folder {_shown(Path(here) / name)}" for name in skipped]
        kept = sorted(name for name in names if name not in _SKIPPED_FOLDERS)
        links = [name for name in kept if (Path(here) / name).is_symlink()]
        names[:] = [name for name in kept if name not in links]
        for name in sorted((*files, *links)):
            path = Path(here) / name
            if path.is_symlink() or not path.is_file():
                listing.notes.append(f"left out {_shown(path)}: a link, device or pipe")
            else:
                yield path


def _raise(error: OSError) -> None:
    where = _shown(Path(str(error.filename)))
    raise BadInput(f"the folder {where} cannot be read: {_why(error)}") from error


def _add(listing: Listing, path: Path, name: str, taken: set[str]) -> None:
    *folders, last = safe_name(name).split("/")
    safe = ""
    for part in folders:
        safe = f"{_unlike_files(safe + part, taken)}/"
        taken.add(safe)
    safe = free_name(safe + last, taken)
    if safe != name:
        listing.notes.append(f"attached {_shown(path)} as {safe}")
    taken.add(safe)
    listing.files.append(Found(path, safe))


def _unlike_files(folder: str, taken: set[str]) -> str:
    """The folder's name, or the first of `name-2`, ... that is not a file's."""
    number, candidate = 1, folder
    while candidate in taken:
        number += 1
        candidate = f"{folder}-{number}"
    return candidate


def safe_name(name: str) -> str:
    """A relative path with no way out, no control characters and no surprises."""
    parts = [_UNSAFE.sub("_", part).strip() for part in name.split("/")]
    kept = [_short(part) for part in parts if part not in ("", ".", "..")]
    while len(kept) > _MAX_PARTS or len("/".join(kept).encode()) > _MAX_PATH:
        kept.pop(0)
    return "/".join(kept) or "file"


def _short(part: str) -> str:
    if len(part.encode()) <= _MAX_NAME:
        return part
    stem, dot, ending = part.rpartition(".")
    ending = f"{dot}{ending}" if stem and len(ending) <= 10 else ""
    return (stem or part).encode()[: _MAX_NAME - 12].decode(errors="ignore") + ending


def free_name(name: str, taken: set[str]) -> str:
    """The name, or the first of `name-2`, ... that no file has taken, nor a folder as `name/`."""
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    if not stem:
        stem, dot, ending = last, "", ""
    number, candidate = 1, name
    while candidate in taken or f"{candidate}/" in taken:
        number += 1
        candidate = f"{folder}{slash}{stem}-{number}{dot}{ending}"
    return candidate


def read(found: Found, caps: Caps, already: int) -> bytes:
    """The file's bytes. Raises BadInput when it is over a cap, or is no plain file any more."""
    try:
        # A pipe put there meanwhile must not block, nor a device be read.
        fd = os.open(found.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise BadInput(f"{_shown(found.path)} is not a plain file")
            data = file.read(min(caps.file, max(0, caps.total - already)) + 1)
            size = max(os.fstat(fd).st_size, len(data))
    except OSError as error:
        raise BadInput(
            f"the file {_shown(found.path)} cannot be read: {_why(error)}", "check its permissions"
        ) from error
    if size > caps.file:
        raise BadInput(
            f"the file {_shown(found.path)} has {size_text(size)}, over the limit of"
            f" {size_text(caps.file)} for one file",
            "attach a part of it, or raise it with: planner config set attachments.max_file 500m",
        )
    if already + size > caps.total:
        raise BadInput(
            f"the attachments have over {size_text(caps.total)} in all",
            "attach fewer, or raise it with: planner config set attachments.max_total 1g",
        )
    return data


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _shown(path: Path) -> str:
    """A path as one line can hold it."""
    text = _UNSAFE.sub("?", str(path))
    return text if len(text) <= 120 else f"{text[:50]}…{text[-60:]}"
