"""Who drives which run, and what people say to runs: submissions, leases, commands, workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner_app.queue.commands import EVENT_TYPES
from planner_app.queue.embedded import Queue
from planner_app.queue.leases import Membership
from planner_app.queue.port import Command, CommandKind, Lease, QueuePort, WorkerInfo

if TYPE_CHECKING:
    from planner_app.queue.start import Started, ensure_worker, make_way
    from planner_app.queue.submission import Submission, Submitted

__all__ = [
    "EVENT_TYPES",
    "Command",
    "CommandKind",
    "Lease",
    "Membership",
    "Queue",
    "QueuePort",
    "Started",
    "Submission",
    "Submitted",
    "WorkerInfo",
    "ensure_worker",
    "make_way",
]

_LATE = {
    "Submission": "submission",
    "Submitted": "submission",
    "ensure_worker": "start",
    "make_way": "start",
    "Started": "start",
}


def __getattr__(name: str) -> Any:
    """Submitting needs the whole catalogue, which a list of tasks should not pay for."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"planner_app.queue.{_LATE[name]}"), name)
