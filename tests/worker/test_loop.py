"""What a person may rely on from the worker: runs are driven, given back, and never forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest

from planner_app.domain.errors import HistoryError
from planner_app.history import History
from planner_app.queue import Lease, Queue
from planner_app.worker import Worker
from planner_app.worker.retries import MAX_FAILURES, Retries
from tests.worker.conftest import Submit
from tests.worker.fakes import CountingDrive, handed
from tests.worker.waiting import status, until_async


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def working(
    history: History,
    queue: Queue,
    drive: CountingDrive,
    *,
    max_runs: int = 4,
    idle_seconds: float = 60.0,
    retries: Retries | None = None,
) -> AsyncIterator[Worker]:
    """A worker at work on this loop; stopped at the end of the block."""
    worker = Worker(
        history,
        queue,
        lambda: handed(drive),
        max_runs=max_runs,
        idle_seconds=idle_seconds,
        retries=retries,
    )
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(task, 20)


@pytest.fixture
def drive(history: History, queue: Queue) -> CountingDrive:
    return CountingDrive(history, queue)


async def test_submitted_runs_are_driven_to_their_end(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    before = submit("count 5 0")
    async with working(history, queue, drive):
        after = await asyncio.to_thread(submit, "count 5 0")
        await until_async(
            history, lambda: {status(history, r) for r in (before, after)} == {"done"}
        )
    assert [event.seq for event in history.events(after)] == list(range(1, 8))


async def test_several_runs_are_driven_at_once_but_no_more_than_allowed(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    runs = [submit("count 8 10") for _ in range(5)]
    async with working(history, queue, drive, max_runs=2):
        await until_async(history, lambda: all(status(history, r) == "done" for r in runs))
    assert drive.most == 2


async def test_stopping_gives_runs_back_for_the_next_worker(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    run = submit("hold")
    async with working(history, queue, drive):
        await until_async(history, lambda: history.run(run).seq == 2)
    assert drive.cancelled == [run]
    assert history.run(run).worker_id is None
    assert queue.workers() == []
    assert queue.claim(queue.join("worker").worker_id)


async def test_a_worker_that_is_asked_to_stop_ends(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    run = submit("hold")
    worker = Worker(history, queue, lambda: handed(drive))
    task = asyncio.create_task(worker.run())
    await until_async(history, lambda: history.run(run).seq == 2)
    (info,) = queue.workers()
    assert info.runs == (run,)
    await asyncio.to_thread(queue.ask_to_stop, info.worker_id)
    await asyncio.wait_for(task, 20)
    assert drive.cancelled == [run]


async def test_a_waiting_run_goes_on_when_a_person_answers(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    run = submit("ask")
    async with working(history, queue, drive):
        await until_async(history, lambda: status(history, run) == "waiting_user")
        await until_async(history, lambda: history.run(run).worker_id is None)
        await asyncio.to_thread(queue.command, run, "answer", {"text": "the first"})
        await until_async(history, lambda: status(history, run) == "done")
    assert drive.calls == [run, run], "it was left alone while it waited"
    assert queue.unread_commands(run) == []


async def test_an_idle_worker_ends_by_itself_and_is_gone(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    run = submit("count 3 0")
    worker = Worker(history, queue, lambda: handed(drive), idle_seconds=0.2)
    await asyncio.wait_for(worker.run(), 20)
    assert status(history, run) == "done"
    assert queue.workers() == []


async def test_a_task_submitted_while_the_worker_is_leaving_is_not_forgotten(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    late: list[str] = []

    class Slow(Queue):
        """Somebody submits between the worker's last look and its leaving."""

        def ask_to_stop(self, worker_id: str, *, stop: bool = True) -> None:
            if stop and not late:
                late.append(submit("count 3 0"))
            super().ask_to_stop(worker_id, stop=stop)

    worker = Worker(history, Slow(history), lambda: handed(drive), idle_seconds=0.1)
    await asyncio.wait_for(worker.run(), 20)
    assert status(history, late[0]) == "done"


class Flaky(Queue):
    """A history that fails for a while."""

    def __init__(self, history: History, *, claims: int = 0, releases: int = 0) -> None:
        super().__init__(history)
        self.left = {"claim": claims, "release": releases}

    def _maybe_fail(self, what: str) -> None:
        self.left[what] -= 1
        if self.left[what] >= 0:
            raise HistoryError("the history is locked by another program")

    def claim(
        self, worker_id: str, run_id: str | None = None, *, skip: Collection[str] = ()
    ) -> Lease | None:
        self._maybe_fail("claim")
        return super().claim(worker_id, run_id, skip=skip)

    def release(self, lease: Lease) -> None:
        self._maybe_fail("release")
        super().release(lease)


async def test_a_history_that_is_locked_for_a_while_ends_no_worker(
    history: History, drive: CountingDrive, submit: Submit
) -> None:
    run = submit("count 3 0")
    async with working(history, Flaky(history, claims=1), drive):
        await until_async(history, lambda: status(history, run) == "done")


async def test_a_run_that_could_not_be_given_back_at_once_is_given_back_later(
    history: History, drive: CountingDrive, submit: Submit
) -> None:
    run = submit("ask")
    async with working(history, Flaky(history, releases=1), drive):
        await until_async(history, lambda: status(history, run) == "waiting_user")
        await until_async(history, lambda: history.run(run).worker_id is None)


async def test_a_history_that_stays_away_ends_the_worker(
    history: History, drive: CountingDrive
) -> None:
    flaky = Flaky(history, claims=1000)
    worker = Worker(history, flaky, lambda: handed(drive), patience_seconds=0.0)
    with pytest.raises(HistoryError, match="locked"):
        await asyncio.wait_for(worker.run(), 20)
    assert flaky.workers() == []


async def test_one_runs_fault_is_noted_and_does_not_disturb_the_others(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    bad, good = submit("fail"), submit("count 3 0")
    async with working(history, queue, drive):
        await until_async(history, lambda: status(history, good) == "done")
        await until_async(history, lambda: history.run(bad).seq == 2)
    note = history.events(bad)[-1]
    assert note.type == "note.added"
    assert "RuntimeError: no luck" in note.data["text"]


async def test_a_run_that_fails_again_and_again_is_ended_with_its_reason(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    clock = Clock()
    bad = submit("fail")
    async with working(history, queue, drive, retries=Retries(clock)):
        for times in range(1, MAX_FAILURES + 1):
            await until_async(history, lambda n=times: history.run(bad).seq == 1 + n)
            clock.now += 100
    row = history.run(bad)
    assert row.summary.status == "failed"
    assert "no luck" in row.summary.reason
    assert history.events(bad)[-1].type == "run.finished"


async def test_a_drive_that_brings_nothing_is_not_repeated_at_once(
    history: History, queue: Queue, drive: CountingDrive, submit: Submit
) -> None:
    clock = Clock()
    empty = submit("nothing")
    retries = Retries(clock)
    async with working(history, queue, drive, retries=retries):
        await until_async(history, lambda: empty in retries.waiting())
        other = await asyncio.to_thread(submit, "count 3 0")
        await until_async(history, lambda: status(history, other) == "done")
        assert drive.calls.count(empty) == 1


def test_retries_wait_longer_each_time_and_forget_after_progress() -> None:
    clock = Clock()
    retries = Retries(clock)
    pauses = []
    for _ in range(6):
        retries.failed("r")
        pauses.append(retries.seconds_to_next())
        clock.now += 100
        assert retries.waiting() == frozenset()
    assert pauses == [5, 10, 20, 40, 60, 60]
    retries.returned("r", appended=True)
    assert retries.failed("r") == 1
