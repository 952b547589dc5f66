"""What the queue says of runs, leases and workers, and what any engine of it must do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

CommandKind = Literal[
    "cancel", "pause", "resume", "interrupt", "steer", "answer", "approve", "reject", "budget"
]
WorkerKind = Literal["worker", "run"]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to drive a run, until another claims it."""

    run_id: str
    worker_id: str
    fence: int
    """Goes with every append; an older number is refused."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a person said to a run."""

    id: str
    kind: CommandKind
    data: dict[str, Any]
    """The fields of the matching `user.*` event."""
    at: datetime


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A living process that drives runs."""

    worker_id: str
    kind: WorkerKind
    """`run` drives a run of its own only."""
    pid: int
    host: str
    version: str
    max_runs: int
    started_at: datetime
    stopping: bool
    """Whether it was asked to stop."""
    runs: tuple[str, ...]
    """Ids of the runs that it drives."""
    keys: frozenset[str] | None
    """Names of the variables whose keys it was started with; None: unknown (on another machine)."""


class Member(Protocol):
    """A process that may hold leases."""

    @property
    def worker_id(self) -> str:
        """The name under which it claims."""

    def leave(self) -> None:
        """Gives all its leases back."""


class QueuePort(Protocol):
    """Who drives which run. Every method may block for a commit; call it off the event loop."""

    def join(self, kind: WorkerKind, max_runs: int = 1) -> Member:
        """Makes this process known, so that it may claim."""

    def claim(
        self, worker_id: str, run_id: str | None = None, *, skip: Collection[str] = ()
    ) -> Lease | None:
        """A run that has something to do and no living driver; None when there is none."""

    def renew(self, worker_id: str) -> bool:
        """Says that the worker lives; False when it was taken for dead."""

    def release(self, lease: Lease) -> None:
        """Gives the lease back; without effect when another holds it by now."""

    def command(self, run_id: str, kind: CommandKind, data: Mapping[str, Any]) -> str:
        """Leaves a person's command for the run's driver and returns its id."""

    def unread_commands(self, run_id: str) -> list[Command]:
        """The commands that no event records yet, in the order of arrival."""

    def workers(self) -> list[WorkerInfo]:
        """The living workers."""

    def next_wake(self) -> datetime | None:
        """When the first waiting run is due by itself; None: no run waits for a time."""

    def resolve(self, text: str, cwd: Path | None = None) -> str:
        """The run that a person means."""
