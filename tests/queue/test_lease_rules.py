"""Whatever workers do, die and come back: one driver per run, and fences only grow."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from planner_app.domain.catalogue import NoteAdded
from planner_app.domain.errors import FenceLost
from planner_app.history import History
from planner_app.queue import Lease, Membership, Queue, Submission
from planner_app.settings import load_settings


class Leases(RuleBasedStateMachine):
    """Workers that claim, append, release, leave, and are killed at any moment."""

    workers = Bundle("workers")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.history = History.open(self.folder / "planner.db")
        self.queue = Queue(self.history)
        self.alive: set[int] = set()
        self.members: list[Membership] = []
        self.leases: list[Lease] = []
        self.holder: dict[str, Lease] = {}
        self.fences: dict[str, int] = {}
        self.appended: dict[str, int] = {}

    @initialize(count=st.integers(1, 3))
    def runs(self, count: int) -> None:
        settings = load_settings(self.folder, {"PLANNER_HOME": str(self.folder)})
        for n in range(count):
            run_id = self.queue.submit(Submission(f"Task {n}"), settings).run_id
            self.appended[run_id] = 1

    @rule(target=workers)
    def join(self) -> int:
        self.members.append(self.queue.join("worker"))
        self.alive.add(len(self.members) - 1)
        return len(self.members) - 1

    @rule(worker=workers)
    def claim(self, worker: int) -> None:
        lease = self.queue.claim(self.members[worker].worker_id)
        if lease is None:
            free = self.appended.keys() - self.holder.keys()
            assert worker not in self.alive or not free
            return
        assert worker in self.alive, "a dead worker's name takes nothing"
        assert lease.run_id not in self.holder, "one driver at a time"
        assert lease.fence > self.fences.get(lease.run_id, 0)
        self.fences[lease.run_id] = lease.fence
        self.holder[lease.run_id] = lease
        self.leases.append(lease)

    @rule(pick=st.integers(0, 50))
    def append(self, pick: int) -> None:
        """By anyone who ever had a lease; only the present holder succeeds."""
        if not self.leases:
            return
        lease = self.leases[pick % len(self.leases)]
        try:
            self.history.append_now(lease.run_id, lease.fence, [NoteAdded(text="x").draft()])
        except FenceLost:
            assert self.holder.get(lease.run_id) != lease
        else:
            assert self._may_write(lease)
            self.appended[lease.run_id] += 1

    def _may_write(self, lease: Lease) -> bool:
        """The holder, or the last one whose death nobody has noticed yet."""
        return self.fences[lease.run_id] == lease.fence and lease.run_id not in (
            run for run, held in self.holder.items() if held != lease
        )

    @rule(pick=st.integers(0, 50))
    def release(self, pick: int) -> None:
        if not self.leases:
            return
        lease = self.leases[pick % len(self.leases)]
        self.queue.release(lease)
        if self.holder.get(lease.run_id) == lease:
            del self.holder[lease.run_id]

    @rule(worker=workers)
    def leave(self, worker: int) -> None:
        if worker in self.alive:
            self.members[worker].leave()
            self._gone(worker)

    @rule(worker=workers)
    def killed(self, worker: int) -> None:
        """The kernel lets go of its lock; nothing else happens."""
        lock = self.members[worker]._lock
        if worker in self.alive and lock is not None:
            lock.close()
            self._gone(worker)

    def _gone(self, worker: int) -> None:
        self.alive.discard(worker)
        name = self.members[worker].worker_id
        self.holder = {r: held for r, held in self.holder.items() if held.worker_id != name}

    @invariant()
    def logs_have_no_gap_and_only_what_was_appended(self) -> None:
        for run_id, count in self.appended.items():
            events = self.history.events(run_id)
            assert [event.seq for event in events] == list(range(1, count + 1))

    @invariant()
    def only_the_living_are_listed(self) -> None:
        names = {self.members[worker].worker_id for worker in self.alive}
        assert {info.worker_id for info in self.queue.workers()} == names

    def teardown(self) -> None:
        for worker in self.alive:
            self.members[worker].leave()
        self.history.close()
        shutil.rmtree(self.folder)


TestLeases = Leases.TestCase
TestLeases.settings = hypothesis_settings(max_examples=25, stateful_step_count=25, deadline=None)
