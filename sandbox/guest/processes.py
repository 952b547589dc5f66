"""Ends every process that an action may have started, and says how the worker ended."""

from __future__ import annotations

import os
import time
from _signal import SIGKILL, SIGSTOP  # type: ignore[import-not-found]  # signal is slow to import

from . import lockdown
from .quiet import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STOP_ROUNDS = 20


class Processes:
    """The processes below the supervisor."""

    def end_all(self, worker: int) -> dict[int, int]:
        """Kill and reap all of them; the wait status of each child by pid."""
        raise NotImplementedError

    def end_younger(self, age: float, spared: set[int]) -> None:
        """Kill those that were started in the last `age` seconds, but for the spared ones."""
        raise NotImplementedError


class ContainerProcesses(Processes):
    """In a container every process but PID 1 belongs to the actions."""

    def end_all(self, worker: int) -> dict[int, int]:
        with suppress(ProcessLookupError):
            os.kill(-1, SIGKILL)
        return _reap_until_childless()

    def end_younger(self, age: float, spared: set[int]) -> None:
        since = _ticks_ago(age)
        _stop_and_kill(
            lambda: {p.pid for p in _all_processes() if p.started >= since and p.pid not in spared}
        )


class LocalProcesses(Processes):
    """On a person's machine only our own descendants may be touched."""

    def __init__(self) -> None:
        lockdown.adopt_orphans()

    def end_all(self, worker: int) -> dict[int, int]:
        ended: dict[int, int] = {}
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(worker, SIGKILL)
        while True:
            for child in _descendants(_all_processes()):
                with suppress(ProcessLookupError):
                    os.kill(child.pid, SIGKILL)
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return ended
            ended[pid] = status

    def end_younger(self, age: float, spared: set[int]) -> None:
        since = _ticks_ago(age)
        _stop_and_kill(
            lambda: {
                p.pid
                for p in _descendants(_all_processes())
                if p.started >= since and p.pid not in spared
            }
        )


class Process:
    """A line of the process table."""

    __slots__ = ("parent", "pid", "started")

    def __init__(self, pid: int, parent: int, started: int) -> None:
        self.pid = pid
        self.parent = parent
        self.started = started
        """Clock ticks after the machine's start."""


def _ticks_ago(age: float) -> int:
    """The moment `age` seconds ago, as the process table counts it."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0
    return int((time.clock_gettime(time.CLOCK_BOOTTIME) - age) * os.sysconf("SC_CLK_TCK"))


def _stop_and_kill(chosen: Callable[[], set[int]]) -> None:
    """Stop first: a stopped process starts no other and keeps its place under the limit."""
    stopped: set[int] = set()
    for _ in range(STOP_ROUNDS):
        fresh = chosen() - stopped
        if not fresh:
            break
        for pid in fresh:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, SIGSTOP)
        stopped |= fresh
    for pid in stopped:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, SIGKILL)


def _reap_until_childless() -> dict[int, int]:
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return ended
        ended[pid] = status


def _all_processes() -> list[Process]:
    """All processes that are seen from here but this one, by /proc where there is one."""
    found = []
    me = os.getpid()
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if not name.isdigit() or int(name) == me:
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        found.append(Process(int(name), int(fields[1]), int(fields[19])))
    return found


def _descendants(processes: list[Process]) -> list[Process]:
    """Those of the processes that descend from this one."""
    ours = {os.getpid()}
    found: list[Process] = []
    rest = processes
    while True:
        more = [p for p in rest if p.parent in ours]
        if not more:
            return found
        found += more
        ours |= {p.pid for p in more}
        rest = [p for p in rest if p.pid not in ours]


def look_at_children() -> dict[int, int]:
    """Wait statuses of the children that have ended, or stopped, without waiting."""
    found: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found[pid] = status


def describe_end(status: int | None) -> str:
    """A wait status in words."""
    if status is None:
        return "its process is gone"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"its process exited with code {code}"
    from signal import Signals

    try:
        name = Signals(-code).name
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
