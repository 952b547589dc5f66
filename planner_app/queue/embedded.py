"""The queue in the history's own SQLite file: no server, no second database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner_app.history import History
from planner_app.queue import commands, leases, resolve
from planner_app.queue.leases import Membership
from planner_app.queue.port import Command, CommandKind, Lease, WorkerInfo, WorkerKind

if TYPE_CHECKING:
    from planner_app.queue.submission import Submission, Submitted
    from planner_app.settings import Settings


class Queue:
    """Who drives which run. Methods block for a commit: call them off the event loop."""

    def __init__(self, history: History) -> None:
        self.history = history

    def submit(
        self, submission: Submission, settings: Settings, *, worker_id: str | None = None
    ) -> Submitted:
        """Records a task and queues its run. Raises BadInput for what cannot be used.

        With `worker_id` that worker has claimed the run before another one can see it.
        """
        from planner_app.queue.submission import submit

        return submit(self.history, submission, settings, worker_id)

    # --- drivers -------------------------------------------------------------------------------

    def join(self, kind: WorkerKind, max_runs: int = 1) -> Membership:
        """Makes this process known, so that it may claim; `leave` it, or use `joined`."""
        return Membership(self.history, kind, max_runs)

    def joined(
        self, kind: WorkerKind, max_runs: int = 1
    ) -> AbstractAsyncContextManager[Membership]:
        """`async with queue.joined("run") as me`: joins, renews every 10 s, leaves."""
        return leases.joined(self.history, kind, max_runs)

    def claim(
        self, worker_id: str, run_id: str | None = None, *, skip: Collection[str] = ()
    ) -> Lease | None:
        """A run that has something to do and no living driver; None when there is none.

        With `run_id`, that run if it has not ended and nobody living drives it, whatever it waits
        for. Dead workers lose what they held first. `skip` names runs that are not wanted now.
        """
        return leases.claim(self.history, worker_id, run_id, skip)

    def renew(self, worker_id: str) -> bool:
        """Says that the worker lives; False when it was taken for dead."""
        return leases.renew(self.history, worker_id)

    def release(self, lease: Lease) -> None:
        """Gives the lease back; without effect when another holds it by now."""
        leases.release(self.history, lease)

    def workers(self) -> list[WorkerInfo]:
        """The living workers, the oldest first."""
        return leases.workers(self.history)

    def ask_to_stop(self, worker_id: str, *, stop: bool = True) -> None:
        """Leaves word for a worker to give its runs back and end; `stop=False` takes it back."""
        leases.ask_to_stop(self.history, worker_id, stop)

    def next_wake(self) -> datetime | None:
        """When the first waiting run has something to do by itself; None: none waits for a time."""
        return leases.next_wake(self.history)

    # --- people --------------------------------------------------------------------------------

    def command(self, run_id: str, kind: CommandKind, data: Mapping[str, Any] | None = None) -> str:
        """Leaves a command for the run's driver, safe on the disk; returns its id.

        `data` are the fields of the matching `user.*` event. Raises BadInput, NotFound.
        """
        return commands.send(self.history, run_id, kind, data or {})

    def unread_commands(self, run_id: str) -> list[Command]:
        """The commands that no event records yet, in the order of arrival."""
        return commands.unread(self.history, run_id)

    def resolve(self, text: str, cwd: Path | None = None) -> str:
        """The run that a person means by an id, the beginning of one, or `last`."""
        return resolve.resolve(self.history, text, cwd)
