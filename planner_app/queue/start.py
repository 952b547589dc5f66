"""Starts the detached background worker when none runs, and only one however many ask at once.

Whoever holds the start lock starts one. The lock is handed down to the new process, which lets go
of it once it has joined: until then nobody else starts another.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import planner_app
from planner_app.domain.errors import Missing
from planner_app.queue.embedded import Queue
from planner_app.queue.locks import HeldLock
from planner_app.settings import Paths
from planner_app.settings_keys import keys_in_environment

START_FD = "PLANNER_START_FD"
"""Environment variable that names the inherited start lock; the worker closes it when it joined."""
STOP_SECONDS = 20.0
"""How long an idle worker may take to end."""


@dataclass(frozen=True, slots=True)
class Started:
    """What was done about a worker."""

    pid: int | None
    """Of the new process; None: one was running or was being started by another process."""
    log: Path
    """What it prints goes there."""


def ensure_worker(queue: Queue, paths: Paths, env: Mapping[str, str] | None = None) -> Started:
    """Starts a worker for this history unless one lives. Does not wait until it has joined.

    It has a session of its own, so that it outlives the terminal. Raises Missing when it cannot be
    started.
    """
    log = paths.logs / "worker.out"
    lock = HeldLock.take(queue.history.folder / "worker.start.lock")
    if lock is None:
        return Started(None, log)
    try:
        if any(worker.kind == "worker" and not worker.stopping for worker in queue.workers()):
            return Started(None, log)
        return Started(_spawn(queue, paths, log, os.environ if env is None else env, lock.fd), log)
    finally:
        lock.close()


def make_way(queue: Queue, needs: Sequence[tuple[str, ...]], env: Mapping[str, str]) -> str:
    """Sees to it that a worker which takes a task now has the keys that it needs.

    A worker keeps the keys of the terminal that started it. `needs` holds, for each key, the
    variables in which it may be; only those that are set here count. A worker that lacks one is
    ended when it has nothing to do and no key that is missing here, and the line that says so is
    returned. Raises Missing when it cannot be ended without harm.
    """
    said = ""
    for worker in queue.workers():
        if worker.kind != "worker" or worker.stopping or worker.keys is None:
            continue
        lacking = [names[0] for names in needs if not worker.keys & set(names)]
        if not lacking:
            continue
        name = lacking[0]
        if worker.runs or worker.keys - keys_in_environment(env).keys():
            busy = f"drives {len(worker.runs)} of your runs" if worker.runs else "has other keys"
            raise Missing(
                f"the worker with pid {worker.pid} was started without {name}, and {busy}",
                "end it with `planner worker stop` (its runs go on with the next worker, which "
                "has only this terminal's keys), or run the task here, without --background",
            )
        queue.ask_to_stop(worker.worker_id)
        _wait_until_gone(queue, worker.worker_id)
        said = f"the idle worker had no {name}, so another one is started"
    return said


def _wait_until_gone(queue: Queue, worker_id: str) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while any(worker.worker_id == worker_id for worker in queue.workers()):
        left = deadline - time.monotonic()
        if left <= 0:
            raise Missing("the idle worker did not end in time", "end it: planner worker stop")
        queue.history.wait_for_change(min(left, 1.0))


def _spawn(queue: Queue, paths: Paths, log: Path, env: Mapping[str, str], lock_fd: int) -> int:
    child_env = dict(env) | {START_FD: str(lock_fd)}
    if paths.home is not None:
        child_env["PLANNER_HOME"] = str(paths.home)
    if queue.history.path != paths.database:
        child_env["PLANNER_DATABASE_URL"] = f"sqlite:///{queue.history.path}"
    root = str(Path(planner_app.__file__).parent.parent)
    if not root.endswith(("site-packages", "dist-packages")):
        # Its working folder is not this one, so a checkout must be named.
        child_env["PYTHONPATH"] = os.pathsep.join(filter(None, (root, env.get("PYTHONPATH"))))
    try:
        paths.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "planner_app.worker"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
                env=child_env,
                start_new_session=True,
                pass_fds=(lock_fd,),
            )
        finally:
            os.close(out)
    except OSError as error:
        raise Missing(
            f"the background worker could not be started: {(error.strerror or '').lower()}",
            "start it yourself with: planner worker run",
        ) from error
    # It outlives this process; without this Python would warn that it was left running.
    process.returncode = 0
    return process.pid
