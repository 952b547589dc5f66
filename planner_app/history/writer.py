"""The one thread that writes: it commits what several runs ask for at the same time in one go.

A write waits for nobody's commit but the one under way; what arrives meanwhile is the next group.
So the cost of an fsync is shared, and a write never blocks the event loop.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from planner_app.domain.errors import HistoryError
from planner_app.history.faults import history_error, is_locked

T = TypeVar("T")
Work = Callable[[Connection], T]
MAX_GROUP = 256


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    work: Work[T]
    durable: bool
    future: Future[T]


_Result = tuple[_Job[Any], Any, Exception | None]


def _say_nothing(_line: str) -> None:
    """Nobody listens."""


class Writer:
    """Runs pieces of work, each inside a transaction, in the order they were handed in."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._where = where
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._connection: Connection | None = None
        self._synchronous = ""
        self._patience_s = 0.0
        self._on_wait: Callable[[str], object] = _say_nothing

    def be_patient(self, on_wait: Callable[[str], object], seconds: float) -> None:
        """Waits so long for a file that another program has locked; `on_wait` hears of each wait.

        Without it the connection's own few seconds are all.
        """
        self._patience_s, self._on_wait = seconds, on_wait

    def submit(self, work: Work[T], *, durable: bool = False) -> Future[T]:
        """Hands in `work`; its future ends after the commit, or with what it raised.

        `durable` means the commit is on the disk (fsync) and not only safe from a killed process.
        Work that raises changes nothing and does not disturb the others of its group.
        """
        job = _Job(work, durable, Future[T]())
        with self._lock:
            if self._closed:
                raise HistoryError(f"the history {self._where} is closed")
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="history", daemon=True)
                self._thread.start()
        return job.future

    def write(self, work: Work[T], *, durable: bool = False) -> T:
        """The same, waited for. Raises HistoryError when the history cannot be written."""
        return self.submit(work, durable=durable).result()

    def close(self) -> None:
        """Finishes what was handed in. Further work is refused."""
        with self._lock:
            self._closed = True
            thread = self._thread
            if thread is not None:
                self._jobs.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        more = True
        while more:
            first = self._jobs.get()
            group: list[_Job[Any]] = []
            more = self._take(first, group)
            while more and len(group) < MAX_GROUP:
                try:
                    more = self._take(self._jobs.get_nowait(), group)
                except queue.Empty:
                    break
            if group:
                self._commit(group)
        self._disconnect()

    @staticmethod
    def _take(job: _Job[Any] | None, group: list[_Job[Any]]) -> bool:
        if job is None:
            return False
        if job.future.set_running_or_notify_cancel():
            group.append(job)
        return True

    def _commit(self, group: list[_Job[Any]]) -> None:
        """One transaction for the group; each future ends after it, one way or the other."""
        results: list[_Result] = []
        try:
            results = self._patiently(group)
        except _RefusedError as refused:
            results = [(group[0], None, refused.error)]
        except Exception as error:  # noqa: BLE001 - those who wait must learn of it
            self._disconnect()
            fault = error if isinstance(error, HistoryError) else history_error(error, self._where)
            results = [(job, None, fault) for job in group]
        for job, value, failure in results:
            if failure is None:
                job.future.set_result(value)
            else:
                job.future.set_exception(failure)

    def _patiently(self, group: list[_Job[Any]]) -> list[_Result]:
        """The transaction, tried again while the file is locked and patience lasts."""
        began = time.monotonic()
        tell = self._on_wait
        while True:
            try:
                return self._transaction(group)
            except OperationalError as error:
                waited = time.monotonic() - began
                if not is_locked(error) or waited > self._patience_s or self._closed:
                    raise
                tell(f"{history_error(error, self._where).message}; it is waited for")
                tell = _say_nothing

    def _transaction(self, group: list[_Job[Any]]) -> list[_Result]:
        connection = self._connected(durable=any(job.durable for job in group))
        with connection.begin():
            alone = len(group) == 1
            return [(job, *self._attempt(connection, job, alone=alone)) for job in group]

    def _attempt(
        self, connection: Connection, job: _Job[Any], *, alone: bool
    ) -> tuple[Any, Exception | None]:
        """Runs one piece of work. What it refuses is undone: by a savepoint, or, when it is alone,
        with the whole transaction. A fault of the database itself ends the group."""
        try:
            if alone:
                return job.work(connection), None
            with _savepoint(connection):
                return job.work(connection), None
        except (OperationalError, InternalError):
            raise
        except Exception as error:
            fault = history_error(error, self._where) if isinstance(error, DBAPIError) else error
            if alone:
                raise _RefusedError(fault) from error
            return None, fault

    def _connected(self, *, durable: bool) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(planner_write=True)
            self._synchronous = ""
        wanted = "FULL" if durable else "NORMAL"
        if wanted != self._synchronous:
            driver = self._connection.connection.dbapi_connection
            assert driver is not None
            driver.cursor().execute(f"PRAGMA synchronous={wanted}")
            self._synchronous = wanted
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """What is raised inside undoes what was done inside. (`begin_nested` costs five times this.)"""
    connection.exec_driver_sql("SAVEPOINT work")
    try:
        yield
    except (OperationalError, InternalError):
        raise  # the whole transaction is given up, perhaps is already
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT work")
        connection.exec_driver_sql("RELEASE SAVEPOINT work")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT work")


class _RefusedError(Exception):
    """The only work of a group raised; carries what it raised out of the transaction."""

    def __init__(self, error: Exception) -> None:
        self.error = error
