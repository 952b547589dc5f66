"""Claims runs and drives them, several at once, until it is told to stop or has long had no work.

It wakes for a change of the database, for the end of a drive, for a deadline that a run waits for,
and, beside other workers, once a second to see whether one of them died. It owns every drive that
it starts: when it ends, all have ended and their runs are free.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol

from planner_app.domain.catalogue import NoteAdded, RunFinished
from planner_app.domain.errors import FenceLost, HistoryError
from planner_app.history import History
from planner_app.queue import Lease, Membership, Queue
from planner_app.worker.retries import MAX_FAILURES, Retries

LOOK_SECONDS = 1.0
"""How often to see whether another worker died: its lock tells, but nobody announces it."""
LONG_LOOK_SECONDS = 10.0
"""The same when there is no other worker; one that joins changes the database, which wakes us."""
BREATH_SECONDS = 0.03
"""Least time between two looks at the queue, while runs append all the time."""
_log = logging.getLogger(__name__)


class Drive(Protocol):
    """Drives one run until it ends or rests. Cancelled, it stops cleanly and leaves it resumable.

    Raises FenceLost when another driver has the run.
    """

    async def __call__(self, lease: Lease) -> object: ...


OpenDrive = Callable[[], AbstractAsyncContextManager[Drive]]
"""Opens what driving needs, for the worker's life."""


class Worker:
    """One worker process's work."""

    def __init__(
        self,
        history: History,
        queue: Queue,
        open_drive: OpenDrive,
        *,
        max_runs: int = 4,
        idle_seconds: float = 600.0,
        on_joined: Callable[[], None] = lambda: None,
        retries: Retries | None = None,
        patience_seconds: float = 60.0,
    ) -> None:
        self._history = history
        self._queue = queue
        self._open_drive = open_drive
        self._max_runs = max_runs
        self._idle_seconds = idle_seconds
        self._on_joined = on_joined
        self._retries = retries or Retries()
        self._patience_seconds = patience_seconds
        self._wake = asyncio.Event()
        self._stopping = False
        self._drives: dict[str, asyncio.Task[None]] = {}
        self._kept: list[Lease] = []
        """Leases that could not be given back yet."""
        self._busy_at = time.monotonic()

    def stop(self) -> None:
        """Ends soon: drives are cancelled, their runs given back. For signal handlers."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Works until told to stop, or idle for too long. Raises HistoryError when it is gone."""
        async with self._queue.joined("worker", self._max_runs) as me:
            _log.info("worker %s is ready for %d runs at once", me.worker_id, self._max_runs)
            self._on_joined()
            watcher = asyncio.create_task(self._watch(), name="watch the queue")
            try:
                async with self._open_drive() as drive:
                    try:
                        await self._work(me, drive)
                    finally:
                        await self._end_drives()
            finally:
                watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watcher
        _log.info("worker ended")

    async def _watch(self) -> None:
        async for _ in self._history.changes():
            self._wake.set()

    async def _work(self, me: Membership, drive: Drive) -> None:
        """Looks and rests, in turn. A history that fails is asked again for a minute."""
        failing_since: float | None = None
        while not self._stopping:
            self._wake.clear()
            try:
                if await self._look(me, drive):
                    return
                await self._rest(me)
                failing_since = None
            except HistoryError as error:
                now = time.monotonic()
                if failing_since is None:
                    failing_since = now
                    _log.warning("will try again: %s", error)
                if now - failing_since > self._patience_seconds:
                    raise
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, me: Membership, drive: Drive) -> bool:
        """Claims what there is; True: it is time to end."""
        while self._kept:
            await asyncio.to_thread(self._queue.release, self._kept[-1])
            self._kept.pop()
        await self._fill(me, drive)
        if await asyncio.to_thread(me.stop_asked):
            _log.info("was asked to stop")
            return True
        if self._is_idle() and await self._may_leave(me, drive):
            _log.info("had no work for %.0f s", self._idle_seconds)
            return True
        return False

    async def _fill(self, me: Membership, drive: Drive) -> None:
        """Claims as many runs as there is room for."""
        while len(self._drives) < self._max_runs and not self._stopping:
            skip = self._retries.waiting() | self._drives.keys()
            lease = await asyncio.to_thread(self._queue.claim, me.worker_id, skip=skip)
            if lease is None:
                return
            _log.info("drives %s (fence %d)", lease.run_id, lease.fence)
            task = asyncio.create_task(self._drive(lease, drive), name=lease.run_id)
            self._drives[lease.run_id] = task
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._drives.pop(task.get_name(), None)
        self._busy_at = time.monotonic()
        self._wake.set()

    async def _drive(self, lease: Lease, drive: Drive) -> None:
        """Drives one run and gives it back, whatever happens."""
        try:
            before = (await asyncio.to_thread(self._history.run, lease.run_id)).seq
            await drive(lease)
            row = await asyncio.to_thread(self._history.run, lease.run_id)
            self._retries.returned(lease.run_id, appended=row.seq > before)
            _log.info("%s rests: %s", lease.run_id, row.summary.status)
        except FenceLost:
            _log.warning("%s is driven by another process now", lease.run_id)
        except Exception as error:  # noqa: BLE001 - one run's fault must not end the others
            _log.exception("driving %s failed", lease.run_id)
            await self._record_failure(lease, error)
        finally:
            await asyncio.to_thread(self._give_back, lease)

    def _give_back(self, lease: Lease) -> None:
        try:
            self._queue.release(lease)
        except HistoryError as error:
            _log.warning("%s could not be given back yet: %s", lease.run_id, error)
            self._kept.append(lease)

    async def _record_failure(self, lease: Lease, error: Exception) -> None:
        """Leaves a note in the run's log; a run that fails again and again is ended."""
        times = self._retries.failed(lease.run_id)
        text = f"the worker could not drive it: {type(error).__name__}: {error}"[:900]
        try:
            if times < MAX_FAILURES or isinstance(error, HistoryError):
                note = NoteAdded(text=text).draft()
                await self._history.append(lease.run_id, lease.fence, [note])
                return
            row = await asyncio.to_thread(self._history.run, lease.run_id)
            ended = datetime.now(UTC).isoformat()
            reason = f"{text}; {times} times in a row"
            summary = row.summary.model_copy(
                update={"status": "failed", "reason": reason, "needs": "", "ended_at": ended}
            )
            final = RunFinished(status="failed", reason=reason).draft()
            await self._history.append(
                lease.run_id, lease.fence, [final], summary=summary, durable=True
            )
        except (FenceLost, HistoryError) as fault:
            _log.warning("%s: the failure could not be recorded: %s", lease.run_id, fault)

    def _is_idle(self) -> bool:
        if self._drives or self._retries.any_failed():
            self._busy_at = time.monotonic()
        return time.monotonic() - self._busy_at >= self._idle_seconds

    async def _may_leave(self, me: Membership, drive: Drive) -> bool:
        """Whether nothing is due; then nobody counts on this worker any more.

        It says that it is leaving before it looks a last time. So a task is either seen by that
        look, or submitted after it, and then whoever submits it starts another worker.
        """
        if await asyncio.to_thread(self._queue.next_wake) is not None:
            self._busy_at = time.monotonic()
            return False
        await asyncio.to_thread(self._queue.ask_to_stop, me.worker_id)
        await self._fill(me, drive)
        if not self._drives:
            return True
        await asyncio.to_thread(self._queue.ask_to_stop, me.worker_id, stop=False)
        return False

    async def _rest(self, me: Membership) -> None:
        """Waits until something may have changed."""
        timeout = LONG_LOOK_SECONDS
        if len(self._drives) < self._max_runs:
            workers = await asyncio.to_thread(self._queue.workers)
            if any(worker.worker_id != me.worker_id for worker in workers):
                timeout = LOOK_SECONDS
            if (retry := self._retries.seconds_to_next()) is not None:
                timeout = min(timeout, retry)
        wake = await asyncio.to_thread(self._queue.next_wake)
        if wake is not None:
            timeout = min(timeout, max(0.0, (wake - datetime.now(UTC)).total_seconds()))
        if not self._drives:
            left = self._busy_at + self._idle_seconds - time.monotonic()
            timeout = min(timeout, max(0.0, left))
        await asyncio.sleep(BREATH_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()

    async def _end_drives(self) -> None:
        """Cancels what is under way and waits for it."""
        tasks = list(self._drives.values())
        for task in tasks:
            task.cancel()
        if tasks:
            _log.info("gives %d runs back", len(tasks))
            await asyncio.gather(*tasks, return_exceptions=True)
