"""Who drives a run: one living worker at a time, whatever happens to the others."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from planner_app.domain.catalogue import NoteAdded
from planner_app.domain.errors import FenceLost, HistoryError
from planner_app.domain.summary import RunSummary
from planner_app.history import History
from planner_app.queue import Lease, Queue, Submission, clock, leases
from planner_app.settings import Settings

NOTE = [NoteAdded(text="x").draft()]


@pytest.fixture
def run_id(queue: Queue, settings: Settings) -> str:
    return queue.submit(Submission("Count the words"), settings).run_id


def stands(history: History, lease: Lease, status: str, wake_at: datetime | None = None) -> None:
    wake = wake_at.isoformat() if wake_at else None
    summary = RunSummary(status=status, phase="executing", title="x", wake_at=wake)
    history.append_now(lease.run_id, lease.fence, NOTE, summary=summary)


def test_a_submitted_run_is_claimed_once(queue: Queue, run_id: str) -> None:
    one, two = queue.join("worker"), queue.join("worker")
    lease = queue.claim(one.worker_id)
    assert lease == Lease(run_id, one.worker_id, 1)
    assert queue.claim(two.worker_id) is None
    assert queue.claim(two.worker_id, run_id) is None


def test_a_run_claimed_with_its_submission_is_never_anyone_elses(
    queue: Queue, settings: Settings
) -> None:
    one, two = queue.join("run"), queue.join("worker")
    submitted = queue.submit(Submission("Mine"), settings, worker_id=one.worker_id)
    assert submitted.lease == Lease(submitted.run_id, one.worker_id, 1)
    assert queue.claim(two.worker_id) is None
    one.leave()
    assert queue.claim(two.worker_id) == Lease(submitted.run_id, two.worker_id, 2)


def test_a_released_run_goes_to_the_next_with_a_higher_fence(queue: Queue, run_id: str) -> None:
    one, two = queue.join("worker"), queue.join("worker")
    first = queue.claim(one.worker_id)
    assert first
    queue.release(first)
    second = queue.claim(two.worker_id)
    assert second
    assert second.fence == first.fence + 1
    queue.release(first)  # too late: without effect
    assert queue.claim(one.worker_id) is None


def test_who_lost_a_lease_can_append_nothing(queue: Queue, history: History, run_id: str) -> None:
    one, two = queue.join("worker"), queue.join("worker")
    first = queue.claim(one.worker_id)
    assert first
    queue.release(first)
    with pytest.raises(FenceLost):
        history.append_now(run_id, first.fence, NOTE)
    second = queue.claim(two.worker_id)
    assert second
    with pytest.raises(FenceLost):
        history.append_now(run_id, first.fence, NOTE)
    history.append_now(run_id, second.fence, NOTE)
    with pytest.raises(FenceLost):
        history.append_now(run_id, None, NOTE)
    assert [event.seq for event in history.events(run_id)] == [1, 2]


def test_a_worker_that_does_not_renew_loses_its_runs(
    queue: Queue, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = queue.join("worker"), queue.join("worker")
    assert queue.claim(one.worker_id)
    now = clock.steady_seconds()
    monkeypatch.setattr(clock, "steady_seconds", lambda: now + 50)
    assert queue.renew(two.worker_id)
    monkeypatch.setattr(clock, "steady_seconds", lambda: now + 70)
    taken = queue.claim(two.worker_id)
    assert taken
    assert taken.run_id == run_id
    assert not queue.renew(one.worker_id)
    assert queue.claim(one.worker_id) is None, "a worker taken for dead claims nothing"


def test_a_worker_taken_for_dead_joins_under_another_name(
    queue: Queue, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = queue.join("worker"), queue.join("worker")
    now = clock.steady_seconds()
    old = one.worker_id
    monkeypatch.setattr(clock, "steady_seconds", lambda: now + 70)
    two.renew()
    queue.claim(two.worker_id)
    assert not one.renew()
    assert one.worker_id != old
    assert {w.worker_id for w in queue.workers()} == {one.worker_id, two.worker_id}


def test_a_restart_of_the_machine_ends_every_lease(
    queue: Queue, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = queue.join("worker")
    assert queue.claim(one.worker_id)
    monkeypatch.setattr(clock, "boot_id", lambda: "another start")
    two = queue.join("worker")
    assert queue.claim(two.worker_id)


def test_claims_from_many_processes_at_once_never_meet(
    queue: Queue, history: History, settings: Settings
) -> None:
    runs = {queue.submit(Submission(f"Task {n}"), settings).run_id for n in range(40)}

    def claim_all(_: int) -> list[Lease]:
        with History.open(history.path) as own:
            theirs = Queue(own)
            me = theirs.join("worker")
            start.wait()
            found = []
            while lease := theirs.claim(me.worker_id):
                found.append(lease)
            return found

    start = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        claimed = [lease for found in pool.map(claim_all, range(4)) for lease in found]
    assert len(claimed) == 40
    assert {lease.run_id for lease in claimed} == runs
    assert {lease.fence for lease in claimed} == {1}


def test_leaving_gives_everything_back(queue: Queue, run_id: str) -> None:
    one = queue.join("worker")
    assert queue.claim(one.worker_id)
    one.leave()
    one.leave()
    assert queue.workers() == []
    assert queue.claim(queue.join("worker").worker_id)


def test_who_left_while_the_history_was_locked_is_known_to_be_dead_at_once(
    queue: Queue, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise HistoryError("the history is locked by another program")

    one, two = queue.join("worker"), queue.join("worker")
    assert queue.claim(one.worker_id)
    with monkeypatch.context() as patch:
        patch.setattr(leases, "bury", locked)
        with pytest.raises(HistoryError, match="locked"):
            one.leave()
    assert queue.claim(two.worker_id) == Lease(run_id, two.worker_id, 2)


@pytest.mark.parametrize("status", ["done", "partial", "failed", "cancelled"])
def test_a_run_that_ended_is_never_claimed(
    queue: Queue, history: History, run_id: str, status: str
) -> None:
    worker = queue.join("worker")
    lease = queue.claim(worker.worker_id)
    assert lease
    stands(history, lease, status)
    queue.release(lease)
    assert queue.claim(worker.worker_id) is None
    assert queue.claim(worker.worker_id, run_id) is None


@pytest.mark.parametrize("status", ["waiting_user", "paused"])
def test_a_run_that_waits_is_claimed_when_a_person_said_something(
    queue: Queue, history: History, run_id: str, status: str
) -> None:
    worker = queue.join("worker")
    lease = queue.claim(worker.worker_id)
    assert lease
    stands(history, lease, status, datetime.now(UTC) + timedelta(hours=1))
    queue.release(lease)
    assert queue.claim(worker.worker_id) is None
    queue.command(run_id, "resume")
    assert queue.claim(worker.worker_id)


def test_a_question_whose_deadline_passed_wakes_its_run(
    queue: Queue, history: History, run_id: str
) -> None:
    worker = queue.join("worker")
    lease = queue.claim(worker.worker_id)
    assert lease
    deadline = datetime.now(UTC) - timedelta(seconds=1)
    stands(history, lease, "waiting_user", deadline)
    queue.release(lease)
    assert queue.next_wake() == deadline
    assert queue.claim(worker.worker_id)


def test_a_waiting_run_can_be_claimed_by_name(queue: Queue, history: History, run_id: str) -> None:
    worker = queue.join("run")
    lease = queue.claim(worker.worker_id)
    assert lease
    stands(history, lease, "paused")
    queue.release(lease)
    assert queue.claim(worker.worker_id) is None
    assert queue.claim(worker.worker_id, run_id)


def test_runs_are_claimed_in_the_order_of_submission_but_for_those_skipped(
    queue: Queue, settings: Settings
) -> None:
    runs = [queue.submit(Submission(f"Task {n}"), settings).run_id for n in range(4)]
    worker = queue.join("worker", 4)
    claimed = [queue.claim(worker.worker_id, skip=runs[:1]) for _ in range(3)]
    assert [lease.run_id for lease in claimed if lease] == runs[1:]
    (info,) = queue.workers()
    assert set(info.runs) == set(runs[1:])


def test_a_disk_without_room_for_a_workers_lock_is_told_and_leaves_nothing(
    queue: Queue, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("planner_app.queue.locks.os.pwrite", full)
    with pytest.raises(HistoryError, match="the disk is full"):
        queue.join("run")
    assert list((history.folder / "workers").iterdir()) == []
