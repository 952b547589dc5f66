"""Leases: which worker drives which run, who is dead, and whose fence number is the newest.

A worker is dead when its lock file is free, when the machine was started anew, or when it did not
renew for 60 s of a clock that does not count sleep. What a dead worker held is free at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, or_, select, update

from planner_app import __version__
from planner_app.domain.errors import HistoryError
from planner_app.domain.ids import new_id
from planner_app.history import ENDED, History
from planner_app.history.columns import COMMAND, RUN, WORKER
from planner_app.history.faults import history_error
from planner_app.history.times import from_us, now_us
from planner_app.queue import clock
from planner_app.queue.locks import HeldLock, is_free
from planner_app.queue.port import Lease, WorkerInfo, WorkerKind
from planner_app.settings_keys import keys_in_environment

LEASE_SECONDS = 60.0
RENEW_SECONDS = 10.0
_KEYS = "keys: "
_STILL = ("waiting_user", "paused")
_log = logging.getLogger(__name__)


def lock_path(history: History, worker_id: str) -> Path:
    """The file that a worker keeps locked while it lives; beside the database that it serves."""
    return history.folder / "workers" / f"{worker_id}.lock"


class Membership:
    """This process as a worker: its name, its lock file and its row."""

    def __init__(self, history: History, kind: WorkerKind, max_runs: int) -> None:
        self._history = history
        self._kind: WorkerKind = kind
        self._max_runs = max_runs
        self._worker_id = ""
        self._lock: HeldLock | None = None
        self._join()

    @property
    def worker_id(self) -> str:
        """The name under which it claims; another one after it was taken for dead."""
        return self._worker_id

    def _join(self) -> None:
        worker_id = new_id("w")
        # The lock comes before the row: a row whose lock is free is a dead worker's.
        path = lock_path(self._history, worker_id)
        try:
            lock = HeldLock.take(path, _KEYS + " ".join(keys_in_environment(os.environ)))
        except OSError as error:
            path.unlink(missing_ok=True)
            raise history_error(error, str(self._history.path)) from error
        assert lock is not None, "the name is new, so nobody else can hold its lock"
        row = {
            "id": worker_id,
            "kind": self._kind,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "boot": clock.boot_id(),
            "version": __version__,
            "max_runs": self._max_runs,
            "started_us": now_us(),
            "renewed_s": clock.steady_seconds(),
            "stop_asked": False,
        }
        try:
            self._history.write(lambda connection: connection.execute(insert(WORKER), row))
        except BaseException:
            lock.close(remove=True)
            raise
        self._worker_id, self._lock = worker_id, lock

    def renew(self) -> bool:
        """Says that it lives. After it was taken for dead it joins anew, holds nothing: False."""
        if renew(self._history, self._worker_id):
            return True
        self._drop_lock()
        self._join()
        return False

    async def keep_renewed(self) -> None:
        """Renews for ever; a fault of the history is logged and tried again."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                if not await asyncio.to_thread(self.renew):
                    _log.warning("was taken for dead; goes on as %s", self._worker_id)
            except HistoryError as error:
                _log.warning("could not renew: %s", error)

    def stop_asked(self) -> bool:
        """Whether someone asked this worker to stop."""
        with self._history.reading() as connection:
            query = select(WORKER.c.stop_asked).where(WORKER.c.id == self._worker_id)
            return bool(connection.execute(query).scalar())

    def leave(self) -> None:
        """Gives all leases back and is gone. Safe to call twice."""
        if self._lock is None:
            return
        buried = False
        try:
            bury(self._history, self._worker_id)
            buried = True
        finally:
            self._drop_lock(remove=buried)  # where its row stays, a free lock proves it dead

    def _drop_lock(self, *, remove: bool = True) -> None:
        if self._lock is not None:
            self._lock.close(remove=remove)
            self._lock = None


@asynccontextmanager
async def joined(
    history: History, kind: WorkerKind, max_runs: int = 1
) -> AsyncIterator[Membership]:
    """This process as a worker for the length of the block, renewed meanwhile."""
    async with kept(await asyncio.to_thread(Membership, history, kind, max_runs)) as member:
        yield member


@asynccontextmanager
async def kept(member: Membership) -> AsyncIterator[Membership]:
    """A worker that joined before, renewed for the length of the block, which it leaves with."""
    renewal = asyncio.create_task(member.keep_renewed(), name="renew leases")
    try:
        yield member
    finally:
        renewal.cancel()
        await asyncio.wait([renewal])
        await asyncio.to_thread(member.leave)


def renew(history: History, worker_id: str) -> bool:
    """Says that a worker lives; False when it was taken for dead."""
    query = update(WORKER).where(WORKER.c.id == worker_id).values(renewed_s=clock.steady_seconds())
    return history.write(lambda connection: connection.execute(query).rowcount == 1)


def claim(
    history: History, worker_id: str, run_id: str | None, skip: Collection[str]
) -> Lease | None:
    """Takes a run that no living worker holds; see `QueuePort.claim`."""
    bury_the_dead(history)
    with history.reading() as connection:
        found = _candidates(connection, run_id)
    for candidate in found:
        if candidate in skip:
            continue
        lease = history.write(partial(take, run_id=candidate, worker_id=worker_id))
        if lease is not None:
            return lease
    return None


def _candidates(connection: Connection, run_id: str | None) -> list[str]:
    query = select(RUN.c.id).where(RUN.c.worker_id.is_(None), RUN.c.status.not_in(ENDED))
    if run_id is not None:
        query = query.where(RUN.c.id == run_id)
    else:
        unread = exists().where(COMMAND.c.run_id == RUN.c.id, COMMAND.c.read_seq.is_(None))
        due = (RUN.c.status != "paused") & (RUN.c.wake_us <= now_us())
        query = query.where(or_(RUN.c.status.not_in(_STILL), due, unread))
    return list(connection.execute(query.order_by(RUN.c.created_us).limit(200)).scalars())


def take(connection: Connection, run_id: str, worker_id: str) -> Lease | None:
    """Nobody else can take it meanwhile: this has the write lock. A dead worker takes nothing."""
    taken = connection.execute(
        update(RUN)
        .where(
            RUN.c.id == run_id,
            RUN.c.worker_id.is_(None),
            RUN.c.status.not_in(ENDED),
            exists().where(WORKER.c.id == worker_id),
        )
        .values(worker_id=worker_id, fence=RUN.c.fence + 1)
    )
    if taken.rowcount != 1:
        return None
    fence = connection.execute(select(RUN.c.fence).where(RUN.c.id == run_id)).scalar_one()
    return Lease(run_id, worker_id, fence)


def release(history: History, lease: Lease) -> None:
    """Gives a lease back, if it is still held."""
    query = (
        update(RUN)
        .where(
            RUN.c.id == lease.run_id,
            RUN.c.worker_id == lease.worker_id,
            RUN.c.fence == lease.fence,
        )
        .values(worker_id=None)
    )
    history.write(lambda connection: connection.execute(query))


def bury(history: History, worker_id: str) -> None:
    """Frees what a worker held and takes its row away: from here on its appends are refused."""

    def work(connection: Connection) -> None:
        connection.execute(update(RUN).where(RUN.c.worker_id == worker_id).values(worker_id=None))
        connection.execute(delete(WORKER).where(WORKER.c.id == worker_id))

    history.write(work)
    lock_path(history, worker_id).unlink(missing_ok=True)


def bury_the_dead(history: History) -> list[str]:
    """Buries every worker that is dead; returns their names."""
    with history.reading() as connection:
        rows = connection.execute(select(WORKER)).all()
    dead = [row.id for row in rows if not _lives(history, row)]
    for worker_id in dead:
        _log.info("worker %s is dead; its runs are free", worker_id)
        bury(history, worker_id)
    return dead


def _lives(history: History, row: Row[Any]) -> bool:
    if row.boot != clock.boot_id():
        return False
    if clock.steady_seconds() - row.renewed_s > LEASE_SECONDS:
        return False
    return not is_free(lock_path(history, row.id))


def workers(history: History) -> list[WorkerInfo]:
    """The living workers, the oldest first."""
    with history.reading() as connection:
        rows = connection.execute(select(WORKER).order_by(WORKER.c.started_us)).all()
        held = select(RUN.c.worker_id, RUN.c.id).where(RUN.c.worker_id.is_not(None))
        pairs = connection.execute(held.order_by(RUN.c.created_us)).all()
    return [
        WorkerInfo(
            worker_id=row.id,
            kind=row.kind,
            pid=row.pid,
            host=row.host,
            version=row.version,
            max_runs=row.max_runs,
            started_at=from_us(row.started_us),
            stopping=row.stop_asked,
            runs=tuple(run for worker, run in pairs if worker == row.id),
            keys=_keys(lock_path(history, row.id)),
        )
        for row in rows
        if _lives(history, row)
    ]


def _keys(lock: Path) -> frozenset[str] | None:
    """The names of the keys that a worker wrote into its lock file; the keys are never in it."""
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError:
        return None
    return frozenset(text.removeprefix(_KEYS).split()) if text.startswith(_KEYS) else None


def ask_to_stop(history: History, worker_id: str, stop: bool) -> None:
    """Leaves word for a worker to end, or takes it back."""
    query = update(WORKER).where(WORKER.c.id == worker_id).values(stop_asked=stop)
    history.write(lambda connection: connection.execute(query))


def next_wake(history: History) -> datetime | None:
    """When the first waiting run is due by itself; None: none waits for a time."""
    with history.reading() as connection:
        query = select(func.min(RUN.c.wake_us)).where(
            RUN.c.status == "waiting_user", RUN.c.wake_us.is_not(None)
        )
        us = connection.execute(query).scalar()
    return None if us is None else from_us(us)
