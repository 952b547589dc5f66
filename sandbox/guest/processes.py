"""Ends every process that an action may have started, and says how the worker ended."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Protocol

from . import lockdown


class Processes(Protocol):
    """The processes below the supervisor."""

    def end_all(self, worker: int) -> dict[int, int]:
        """Kill and reap all of them; the wait status of each child by pid."""
        ...


class ContainerProcesses:
    """In a container every process but PID 1 belongs to the actions."""

    def end_all(self, worker: int) -> dict[int, int]:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        return _reap_until_childless()


class LocalProcesses:
    """On a person's machine only our own descendants may be touched."""

    def __init__(self) -> None:
        lockdown.adopt_orphans()

    def end_all(self, worker: int) -> dict[int, int]:
        ended: dict[int, int] = {}
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(worker, signal.SIGKILL)
        while True:
            for child in _children_of(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return ended
            ended[pid] = status


def _reap_until_childless() -> dict[int, int]:
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return ended
        ended[pid] = status


def _children_of(parent: int) -> list[int]:
    """Direct children, by /proc where there is one."""
    found = []
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[1]) == parent:
            found.append(int(name))
    return found


def reap_ended() -> dict[int, int]:
    """Wait statuses of the children that have ended, without waiting."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def describe_end(status: int | None) -> str:
    """A wait status in words."""
    if status is None:
        return "its process is gone"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"its process exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"its process was ended by {name}"


def count_oom_kills() -> int:
    """Kills by the container's memory limit so far; 0 where the system does not tell."""
    places = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
    for path in places:
        try:
            with open(path) as file:
                for line in file:
                    name, _, count = line.partition(" ")
                    if name == "oom_kill":
                        return int(count)
        except OSError:
            continue  # the other version of cgroups
    return 0
