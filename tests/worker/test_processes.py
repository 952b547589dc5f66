"""Workers as real processes that are killed, stopped and started in the middle of the work."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from planner_app.history import History
from planner_app.queue import Queue
from tests.worker.conftest import Spawn, Submit
from tests.worker.waiting import status, until


def fences(history: History, run_id: str) -> list[tuple[int, int]]:
    """(what was counted, fence) per note."""
    notes = [e.data["text"] for e in history.events(run_id) if e.type == "note.added"]
    return [(int(n), int(fence)) for n, fence in map(str.split, notes)]


def freeze(history: History, process: subprocess.Popen[bytes]) -> None:
    """Stops it at a moment when it does not hold the history's write lock, which would stop all."""
    with closing(sqlite3.connect(history.path, timeout=30, isolation_level=None)) as own:
        own.execute("BEGIN IMMEDIATE")
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        own.execute("ROLLBACK")


def test_a_killed_workers_runs_are_taken_over_and_nothing_is_done_twice(
    history: History, queue: Queue, submit: Submit, spawn: Spawn
) -> None:
    runs = [submit("count 120 3") for _ in range(3)]
    first = spawn()
    until(history, lambda: all(history.run(run).seq > 15 for run in runs))
    first.kill()
    first.wait()
    spawn()
    until(history, lambda: all(status(history, run) == "done" for run in runs))
    for run in runs:
        counted = fences(history, run)
        assert [n for n, _ in counted] == list(range(1, 121)), "each once, none left out"
        numbers = [fence for _, fence in counted]
        assert numbers == sorted(numbers)
        assert len(set(numbers)) == 2


def test_a_living_worker_takes_over_from_a_killed_one_by_itself(
    history: History, queue: Queue, submit: Submit, spawn: Spawn
) -> None:
    first = spawn()
    run = submit("count 150 3")
    until(history, lambda: history.run(run).seq > 10)
    spawn()
    until(history, lambda: len(queue.workers()) == 2)
    first.kill()
    first.wait()
    until(history, lambda: status(history, run) == "done")
    assert [n for n, _ in fences(history, run)] == list(range(1, 151))


def test_a_worker_that_was_frozen_past_its_lease_writes_nothing_more(
    history: History, queue: Queue, submit: Submit, spawn: Spawn
) -> None:
    from planner_app.queue import leases

    run = submit("count 100 5")
    frozen = spawn()
    until(history, lambda: history.run(run).seq > 10)
    freeze(history, frozen)
    (info,) = queue.workers()
    leases.bury(history, info.worker_id)  # as when its lease had ended
    other = spawn()
    until(history, lambda: history.run(run).fence == 2)
    frozen.send_signal(signal.SIGCONT)
    until(history, lambda: status(history, run) == "done")
    assert [n for n, _ in fences(history, run)] == list(range(1, 101))
    assert other.poll() is None


def test_a_worker_ends_cleanly_at_a_signal_and_leaves_no_lock_file(
    history: History, queue: Queue, submit: Submit, spawn: Spawn
) -> None:
    run = submit("hold")
    process = spawn()
    until(history, lambda: history.run(run).seq == 2)
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert history.run(run).worker_id is None
    assert queue.workers() == []
    assert list(Path(history.folder, "workers").iterdir()) == []
