"""What `planner worker` does: start, stop, list, or be a worker."""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from planner_app.cli.context import Context, emit, say
from planner_app.cli.reading import open_or_none

if TYPE_CHECKING:
    from planner_app.queue import Queue, WorkerInfo

JOIN_SECONDS = 15.0


def start(args: argparse.Namespace, context: Context) -> int:
    """Start a detached worker unless one lives, and wait until it has joined."""
    from planner_app.queue import Queue, ensure_worker

    with context.history() as history:
        queue = Queue(history)
        started = ensure_worker(queue, context.paths(), context.env)
        worker = _wait_for_worker(queue, JOIN_SECONDS)
    if worker is None:
        from planner_app.domain.errors import Missing

        raise Missing("the background worker did not come up", f"read {started.log}")
    if args.json:
        emit({"started": started.pid is not None, "pid": worker.pid, "log": str(started.log)})
    elif started.pid is None:
        print(f"a worker runs already (pid {worker.pid})")
    else:
        print(f"started a worker (pid {worker.pid}), log {started.log}")
    return 0


def stop(args: argparse.Namespace, context: Context) -> int:
    """Ask the workers to end, and wait for it."""
    from planner_app.domain.errors import BadInput, PlannerError
    from planner_app.queue import Queue
    from planner_app.settings_units import read_seconds

    try:
        patience = read_seconds(args.wait)
    except ValueError as error:
        raise BadInput(f"--wait cannot be {args.wait[:40]!r}", str(error)) from None
    history = open_or_none(context)
    asked: list[WorkerInfo] = []
    left: list[WorkerInfo] = []
    if history is not None:
        with history:
            queue = Queue(history)
            asked = _background(queue)
            for worker in asked:
                queue.ask_to_stop(worker.worker_id)
            left = _wait_until_gone(queue, asked, patience)
    if args.json:
        emit({"stopped": [w.pid for w in asked if w not in left], "running": [w.pid for w in left]})
    elif not asked:
        say("no worker runs")
    else:
        for worker in asked:
            if worker not in left:
                print(f"stopped the worker with pid {worker.pid}")
    if left:
        pids = ", ".join(str(worker.pid) for worker in left)
        raise PlannerError(f"the worker with pid {pids} has not ended yet", "it was asked to")
    return 0


def show(args: argparse.Namespace, context: Context) -> int:
    """Print the living workers."""
    from planner_app.queue import Queue

    history = open_or_none(context)
    found: list[WorkerInfo] = []
    if history is not None:
        with history:
            found = Queue(history).workers()
    if args.json:
        emit({"workers": [_as_json(worker) for worker in found]})
        return 0
    if not found:
        say("no worker runs; one starts when a task is handed to the background")
    for worker in found:
        runs = ", ".join(worker.runs) or "nothing to do"
        what = "worker" if worker.kind == "worker" else "planner run"
        ending = ", ending" if worker.stopping else ""
        print(f"{what} pid {worker.pid} on {worker.host}{ending}: {runs}")
    return 0


def run(args: argparse.Namespace, context: Context) -> int:
    """Be a worker in the foreground, until it is told to stop or idles."""
    from planner_app.settings import Flag
    from planner_app.worker import run_worker

    settings = context.settings(
        [
            Flag("--max-runs", "worker.max_runs", args.max_runs),
            Flag("--idle-minutes", "worker.idle_minutes", args.idle_minutes),
        ]
    )
    return run_worker(settings)


def _background(queue: Queue) -> list[WorkerInfo]:
    return [worker for worker in queue.workers() if worker.kind == "worker"]


def _wait_for_worker(queue: Queue, seconds: float) -> WorkerInfo | None:
    deadline = time.monotonic() + seconds
    while not (found := _background(queue)):
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        queue.history.wait_for_change(min(left, 1.0))
    return found[0]


def _wait_until_gone(queue: Queue, asked: list[WorkerInfo], seconds: float) -> list[WorkerInfo]:
    """Those of them that still live after the time."""
    deadline = time.monotonic() + seconds
    while True:
        living = {worker.worker_id for worker in queue.workers()}
        left = [worker for worker in asked if worker.worker_id in living]
        remaining = deadline - time.monotonic()
        if not left or remaining <= 0:
            return left
        queue.history.wait_for_change(min(remaining, 1.0))


def _as_json(worker: WorkerInfo) -> dict[str, Any]:
    row = dataclasses.asdict(worker)
    row["started_at"] = worker.started_at.isoformat()
    return row
