"""The worker as a process: its log, its signals, and the parts that driving needs."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

from planner_app.history import History
from planner_app.queue import Lease, Queue
from planner_app.queue.start import START_FD
from planner_app.settings import Settings
from planner_app.worker.logs import removed, to_file, to_stderr
from planner_app.worker.loop import Drive, OpenDrive, Worker

STOP_SECONDS = 30.0
"""How long drives may take to close their sandboxes once the worker is told to stop."""
_log = logging.getLogger(__name__)


def run_worker(settings: Settings, *, detached: bool = False) -> int:
    """Works until it is told to stop or has long had no work; returns the exit code.

    Detached, it survives the end of its terminal and logs to `logs/worker.log`; in the foreground
    it logs to stderr. Raises HistoryError when the history cannot be used.
    """
    let_go = _inherited_start_lock()
    log = to_file(settings.paths.logs / "worker.log") if detached else to_stderr()
    if detached:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with History.open(settings.database_url or settings.paths.database) as history:
            history.be_patient(_log.warning)
            queue = Queue(history)
            worker_of = _worker_of(settings, history, queue, engine_drive(settings, history, queue))
            asyncio.run(_run(worker_of, let_go, detached=detached))
    except Exception:
        if detached:  # in the foreground the command line says it
            _log.exception("the worker failed")
        raise
    finally:
        let_go()
        removed(log)
    return 0


def engine_drive(settings: Settings, history: History, queue: Queue) -> OpenDrive:
    """Drives with the real engine, which is imported when the worker begins its work."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Drive]:
        from planner_app.engine.driver import drive
        from planner_app.engine.services import open_services

        async with open_services(settings, history, queue) as services:

            async def one(lease: Lease) -> object:
                return await drive(lease, services)

            yield one

    return opened


def _worker_of(
    settings: Settings, history: History, queue: Queue, open_drive: OpenDrive
) -> Callable[[Callable[[], None]], Worker]:
    def make(on_joined: Callable[[], None]) -> Worker:
        return Worker(
            history,
            queue,
            open_drive,
            max_runs=settings.worker.max_runs,
            idle_seconds=settings.worker.idle_minutes * 60,
            on_joined=on_joined,
        )

    return make


async def _run(
    worker_of: Callable[[Callable[[], None]], Worker],
    let_go: Callable[[], None],
    *,
    detached: bool,
) -> None:
    worker = worker_of(let_go)
    loop = asyncio.get_running_loop()
    told = False

    def stop(name: str) -> None:
        nonlocal told
        _log.info("got %s", name)
        if told:
            _leave_at_once()
        told = True
        worker.stop()
        # Sandboxes that do not close must not keep the process for ever.
        loop.call_later(STOP_SECONDS, _leave_at_once)

    signals = [signal.SIGTERM, signal.SIGINT, *([] if detached else [signal.SIGHUP])]
    for each in signals:
        loop.add_signal_handler(each, stop, each.name)
    try:
        await worker.run()
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


def _leave_at_once() -> NoReturn:
    """The lock file is let go with the process, so its runs are free at once."""
    _log.warning("ends without waiting for its runs")
    logging.shutdown()
    os._exit(1)


def _inherited_start_lock() -> Callable[[], None]:
    """What lets go of the start lock that `ensure_worker` handed down, if there is one."""
    text = os.environ.pop(START_FD, "")
    fd = int(text) if text.isdigit() else -1
    if fd > 2:
        try:
            flags = fcntl.fcntl(fd, fcntl.F_GETFD)
            fcntl.fcntl(fd, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)
        except OSError:
            fd = -1

    def let_go() -> None:
        nonlocal fd
        if fd > 2:
            with contextlib.suppress(OSError):
                os.close(fd)
        fd = -1

    return let_go
