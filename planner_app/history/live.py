"""Text that is still growing, for other processes to read; derived data that may be lost.

It has a database of its own, so that it never waits for, or delays, the history's writer. Each
stream gets at most about ten rows a second however fast its text comes. When a call ends its rows
go; its text is in the log then, and how it was paced is handed back.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from planner_app.history.times import now_us
from planner_app.history.watch import Watcher

FLUSH_SECONDS = 0.1
MAX_CHARS = 2_000_000
"""Of one move; what comes after it is not shown live."""
RESTART = "restart"
"""Kind of a row that says: forget the move's text so far, it begins anew."""
_KEPT_US = 24 * 3600 * 1_000_000
_VERSION = 1
_SCHEMA = (
    """CREATE TABLE live (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL,
    move_id TEXT NOT NULL, kind TEXT NOT NULL, at_us INTEGER NOT NULL, text TEXT NOT NULL)""",
    "CREATE INDEX ix_live_run ON live(run_id, id)",
    f"PRAGMA user_version={_VERSION}",
)
_TRIES = 5
"""How often a flush is tried, 0.1 s apart, before its text is lost."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A piece of growing text."""

    id: int
    """Grows; what was read up to one id is not read again."""
    run_id: str
    move_id: str
    kind: str
    """`text`, `reasoning`, `stdout`, `stderr`, or `restart`."""
    at_us: int
    text: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How much came until when."""

    ms: int
    """Since the stream's first text."""
    kind: str
    chars: int


@dataclass(slots=True)
class _Stream:
    """One move's text on its way."""

    began: float
    pending: dict[str, list[str]] = field(default_factory=dict)
    paces: list[Pace] = field(default_factory=list)
    chars: int = 0

    def elapsed_ms(self) -> int:
        """Milliseconds since its first text."""
        return int((time.monotonic() - self.began) * 1000)


def live_file(history_file: Path) -> Path:
    """The live database that goes with a history."""
    return history_file.with_name("live.db")


def _open(path: Path) -> sqlite3.Connection:
    """The live database, made if it is not there. Raises sqlite3.Error, OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        if _version(connection) != _VERSION:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            if _version(connection) != _VERSION:
                connection.execute("DROP TABLE IF EXISTS live")
                for statement in _SCHEMA:
                    connection.execute(statement)
            connection.execute("COMMIT")
        connection.execute("PRAGMA synchronous=OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


class LiveWriter:
    """Takes text as it comes, without blocking, and writes it in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._work: list[Callable[[sqlite3.Connection], object]] = []
        self._lock = threading.Lock()
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._told = False

    def write(self, run_id: str, move_id: str, kind: str, text: str) -> None:
        """More text of a move. Returns at once; readers see it within about 0.1 s."""
        if not text:
            return
        with self._lock:
            stream = self._streams.get((run_id, move_id))
            if stream is None:
                stream = self._streams[run_id, move_id] = _Stream(time.monotonic())
            stream.chars += len(text)
            if stream.chars <= MAX_CHARS:
                stream.pending.setdefault(kind, []).append(text)
        self._wake()

    def restart(self, run_id: str, move_id: str) -> None:
        """The move's text so far does not count: a retry begins it anew."""
        with self._lock:
            self._streams[run_id, move_id] = _Stream(time.monotonic())
            self._drop(run_id, move_id)
            self._work.append(partial(_insert, (run_id, move_id, RESTART, now_us(), "")))
        self._wake()

    def pacing(self, run_id: str, move_id: str) -> tuple[Pace, ...]:
        """How the move's text has come so far, in steps of about 0.1 s; for its final event."""
        with self._lock:
            stream = self._streams.get((run_id, move_id))
            if stream is None:
                return ()
            waiting = [
                Pace(stream.elapsed_ms(), kind, sum(map(len, texts)))
                for kind, texts in stream.pending.items()
            ]
            return (*stream.paces, *waiting)

    def end(self, run_id: str, move_id: str) -> None:
        """The move's text is in the log now: its rows and its pacing go."""
        with self._lock:
            if self._streams.pop((run_id, move_id), None) is None:
                return
            self._drop(run_id, move_id)
        self._wake()

    def forget(self, run_id: str) -> None:
        """Takes away what an earlier driver of the run left, and whatever is over a day old."""
        with self._lock:
            old = now_us() - _KEPT_US
            self._work.append(
                lambda c: c.execute("DELETE FROM live WHERE run_id=? OR at_us<?", (run_id, old))
            )
        self._wake()

    def _drop(self, run_id: str, move_id: str) -> None:
        query = "DELETE FROM live WHERE run_id=? AND move_id=?"
        self._work.append(lambda c: c.execute(query, (run_id, move_id)))

    def close(self) -> None:
        """Writes what is pending and ends the thread."""
        self._closing.set()
        self._due.set()
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _wake(self) -> None:
        if not self._due.is_set():  # setting it anew takes longer than all else that a token costs
            self._due.set()
        if self._thread is None and not self._closing.is_set():
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        work: list[Callable[[sqlite3.Connection], object]] = []
        closing = False
        tries = 0
        while not closing:
            self._due.wait()
            self._due.clear()
            # In this order, for close() says that it closes, and then that there is work.
            closing = self._closing.is_set()
            work += self._take()
            if work:
                connection = self._flush(connection, work)
                tries = 0 if connection is not None or tries >= _TRIES else tries + 1
                if tries:
                    self._due.set()
                else:
                    work = []
            if not closing:
                # The pause is what makes ten rows a second of any number of tokens.
                self._closing.wait(FLUSH_SECONDS)
        if connection is not None:
            connection.close()

    def _take(self) -> list[Callable[[sqlite3.Connection], object]]:
        with self._lock:
            work, self._work = self._work, []
            now = now_us()
            for (run_id, move_id), stream in self._streams.items():
                for kind, text in _pace(stream).items():
                    work.append(partial(_insert, (run_id, move_id, kind, now, text)))
            return work

    def _flush(
        self,
        connection: sqlite3.Connection | None,
        work: list[Callable[[sqlite3.Connection], object]],
    ) -> sqlite3.Connection | None:
        """Writes all of it or nothing; None: it failed, which the log tells once."""
        try:
            connection = connection or _open(self._path)
            connection.execute("BEGIN IMMEDIATE")
            for piece in work:
                piece(connection)
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            if not self._told:
                self._told = True
                _log.warning("live text cannot be shown: %s: %s", self._path, error)
            if connection is not None:
                connection.close()
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORR", "SQLITE_NOTADB")):
                self._path.unlink(missing_ok=True)
            return None
        return connection


def _insert(row: tuple[str, str, str, int, str], connection: sqlite3.Connection) -> None:
    columns = "run_id, move_id, kind, at_us, text"
    connection.execute(f"INSERT INTO live({columns}) VALUES (?, ?, ?, ?, ?)", row)


def _pace(stream: _Stream) -> dict[str, str]:
    """Takes what is pending, by kind, and notes when it came."""
    ms = stream.elapsed_ms()
    taken = {
        kind: "".join(texts).encode("utf-8", "replace").decode()
        for kind, texts in stream.pending.items()
    }
    stream.pending = {}
    stream.paces += [Pace(ms, kind, len(text)) for kind, text in taken.items()]
    return taken


class LiveReader:
    """Reads growing text of any process's runs. A live database that is unusable has no text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._watcher: Watcher | None = None

    def read(self, run_id: str, after: int = 0, limit: int = 2_000) -> list[LiveRow]:
        """Pieces with an id over `after`, in order; a `restart` row voids its move's before it."""
        query = (
            "SELECT id, run_id, move_id, kind, at_us, text FROM live"
            " WHERE run_id=? AND id>? ORDER BY id LIMIT ?"
        )
        with self._lock:
            try:
                if self._connection is None:
                    # The writer makes the file; without one nothing is live.
                    self._connection = sqlite3.connect(
                        f"file:{quote(str(self._path))}?mode=rw",
                        uri=True,
                        timeout=1.0,
                        isolation_level=None,
                        check_same_thread=False,
                    )
                rows = self._connection.execute(query, (run_id, after, limit)).fetchall()
            except sqlite3.Error as error:
                if self._path.exists() and "no such table" not in str(error):
                    _log.warning("live text cannot be read: %s: %s", self._path, error)
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                return []
        return [LiveRow(*row) for row in rows]

    def count(self) -> int:
        """A number that grows when there may be something new; cheap enough for 20 times a second.

        0 until a writer made the file. Raises HistoryError when it cannot be opened.
        """
        if self._watcher is None:
            if not self._path.exists():
                return 0
            self._watcher = Watcher(self._path)
        return self._watcher.count()

    def close(self) -> None:
        """Lets go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        if self._watcher is not None:
            self._watcher.close()
