"""Turns what the database library raises into one line that a person can act on."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from planner_app.domain.errors import HistoryError

_LOCKED = ("SQLITE_BUSY", "SQLITE_LOCKED")
_WHAT: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        _LOCKED,
        "is locked by another program",
        "close what has it open (a database browser, a backup) and try again",
    ),
    (
        ("SQLITE_FULL",),
        "cannot grow: the disk is full",
        "free some space and try again; nothing that was saved is lost",
    ),
    (
        ("SQLITE_READONLY",),
        "is read-only",
        "make the file and its folder writable, or set PLANNER_HOME to another folder",
    ),
    (
        ("SQLITE_CORRUPT", "SQLITE_NOTADB"),
        "is damaged or not a history",
        "move it away, and get its events back with: sqlite3 FILE .recover",
    ),
    (
        ("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH"),
        "cannot be opened",
        "check that its folder exists and is yours to write to",
    ),
    (
        ("SQLITE_IOERR", "SQLITE_NOLFS", "SQLITE_PROTOCOL"),
        "cannot be read or written: the disk reports an error",
        "check the disk and its free space",
    ),
    (
        ("SQLITE_TOOBIG",),
        "cannot hold something this large",
        "attach smaller files",
    ),
)


def history_error(error: BaseException, where: str) -> HistoryError:
    """The line for what went wrong with the database at `where`."""
    cause = _cause(error)
    name = _name(cause)
    for prefixes, what, hint in _WHAT:
        if name.startswith(prefixes):
            return HistoryError(f"the history {where} {what}", hint)
    if isinstance(cause, OSError):
        reason = cause.strerror or str(cause)
        return HistoryError(
            f"the history {where} cannot be used: {reason.lower()}",
            "check that its folder is yours to write to, or set PLANNER_HOME to another folder",
        )
    return HistoryError(f"the history {where} failed: {cause}", "details are in the log file")


def is_locked(error: BaseException) -> bool:
    """Whether another program has the database locked: that may pass."""
    return _name(_cause(error)).startswith(_LOCKED)


def _cause(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _name(cause: BaseException) -> str:
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return "SQLITE_FULL"
    return getattr(cause, "sqlite_errorname", None) or ""


@contextmanager
def storage(where: str) -> Iterator[None]:
    """What the database raises inside is raised as HistoryError, with its cause kept."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise history_error(error, where) from error
