"""Finds, checks, creates and opens the database file, private and in WAL mode."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from planner_app.domain.errors import BadInput, HistoryError, NotFound
from planner_app.history import schema
from planner_app.history.faults import history_error, storage

BUSY_SECONDS = 5.0
"""How long to wait for another writer before the file counts as locked."""


def database_file(place: str | Path, env: Mapping[str, str] | None = None) -> Path:
    """The file that `place` names: a path, or an address such as `sqlite:////home/me/planner.db`.

    With `env`, PLANNER_DATABASE_URL wins over `place`. Raises BadInput for another database.
    """
    text = (env or {}).get("PLANNER_DATABASE_URL") or str(place)
    if "://" in text:
        scheme, _, rest = text.partition("://")
        if scheme != "sqlite" or not rest.startswith("/") or len(rest) < 2:
            raise BadInput(
                f"PLANNER_DATABASE_URL names {scheme[:40]!r}, which this version cannot use",
                "use sqlite:////absolute/path/planner.db, or leave it unset",
            )
        text = rest[1:].partition("?")[0]
    return Path(text).expanduser().absolute()


def open_engine(path: Path, *, create: bool) -> Engine:
    """An engine on the file, which has this program's schema afterwards.

    Raises NotFound when there is no file and `create` is False, HistoryError when the file or its
    folder cannot be used: read-only, full, locked, corrupt, or newer than this program.
    """
    where = str(path)
    try:
        version = _look(path)
        if version == "new":
            if not create:
                raise NotFound(f"there is no history at {where} yet", "delegate a first task")
            _prepare_folder(path.parent)
        if version != "current":
            with _alone(path):
                version = _look(path)
                _bring_up(path, version)
        _keep_private(path)
    except OSError as error:
        raise history_error(error, where) from error
    return make_engine(path)


def make_engine(path: Path) -> Engine:
    """Connections to the file, one per use at a time, with our settings. Opens nothing yet."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=4,
        max_overflow=12,
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection within one transaction that writes; committed when nothing was raised."""
    with engine.connect().execution_options(planner_write=True) as connection, connection.begin():
        yield connection


def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where `_on_begin` says so
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA journal_size_limit=67108864")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("planner_write", False)
    # A write takes its lock at once: a later upgrade of a read could fail without waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _look(path: Path) -> schema.Version:
    """The version of the file's schema; reads only, so that a newer file is never touched."""
    if not path.exists() or path.stat().st_size == 0:
        return "new"
    if not path.is_file():
        raise HistoryError(f"the history {path} is not a file", "set PLANNER_HOME to a folder")
    # Without a WAL all is in the file itself; then even -shm need not be made to read it.
    alone = not path.with_name(path.name + "-wal").exists()
    uri = f"file:{quote(str(path))}?mode=ro{'&immutable=1' if alone else ''}"
    with storage(str(path)):
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
                version = schema.version_of(connection)
        except sqlite3.OperationalError as error:
            # A WAL file whose folder is read-only cannot even be read.
            if error.sqlite_errorname.startswith("SQLITE_CANTOPEN") and not _writable(path):
                raise _read_only(path) from error
            raise
    if version == "newer":
        raise HistoryError(
            f"the history {path} was written by a newer planner",
            "install that version again, or set PLANNER_HOME to another folder; it was not touched",
        )
    if version == "foreign":
        raise HistoryError(
            f"{path} is another program's database", "set PLANNER_HOME to another folder"
        )
    if not _writable(path):
        raise _read_only(path)
    return version


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


def _read_only(path: Path) -> HistoryError:
    return HistoryError(
        f"the history {path} is read-only",
        "make the file and its folder writable, or set PLANNER_HOME to another folder",
    )


def _prepare_folder(folder: Path) -> None:
    """Makes the folder, for its owner only; an existing one keeps its mode."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else creates or migrates this file meanwhile."""
    fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _bring_up(path: Path, version: schema.Version) -> None:
    if version == "current":
        return
    if version == "new":
        # SQLite gives -wal and -shm the mode of the file, so its mode comes first.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = make_engine(path)
    try:
        with storage(str(path)):
            if version == "older":
                with writing(engine) as connection:
                    schema.migrate(connection)
                return
            with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as plain:
                plain.execute("PRAGMA journal_mode=WAL")
            with writing(engine) as new:
                schema.create(new)
    finally:
        engine.dispose()


def _keep_private(path: Path) -> None:
    for each in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        try:
            mode = each.stat().st_mode
            if mode & 0o077:
                each.chmod(0o600)
        except FileNotFoundError:
            continue
