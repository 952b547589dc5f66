"""The background worker is started when none runs, once, and outlives who started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from planner_app.domain.errors import Missing
from planner_app.history import History
from planner_app.queue import (
    Membership,
    Queue,
    Submission,
    WorkerInfo,
    ensure_worker,
    make_way,
    start,
)
from planner_app.queue.locks import HeldLock, is_free
from planner_app.settings import Settings

ROOT = Path(__file__).parents[2]


def wait_for_workers(queue: Queue, count: int) -> list[WorkerInfo]:
    deadline = time.monotonic() + 40
    while len(found := queue.workers()) != count:
        assert time.monotonic() < deadline, found
        queue.history.wait_for_change(0.2)
    return found


@pytest.fixture
def stops_workers(queue: Queue) -> Iterator[None]:
    """Asks every worker to end and waits for it."""
    yield
    for worker in queue.workers():
        queue.ask_to_stop(worker.worker_id)
    wait_for_workers(queue, 0)


@pytest.mark.usefixtures("stops_workers")
def test_many_who_ask_at_once_get_one_worker(
    queue: Queue, history: History, settings: Settings
) -> None:
    with ThreadPoolExecutor(6) as pool:
        asked = list(pool.map(lambda _: ensure_worker(queue, settings.paths), range(6)))
    assert len([started for started in asked if started.pid is not None]) == 1
    (worker,) = wait_for_workers(queue, 1)
    assert worker.kind == "worker"
    again = ensure_worker(queue, settings.paths)
    assert again.pid is None
    assert os.getsid(worker.pid) == worker.pid, "a session of its own"
    assert (settings.paths.logs / "worker.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("stops_workers")
def test_it_outlives_the_process_and_the_terminal_that_started_it(
    queue: Queue, settings: Settings, home: Path
) -> None:
    code = (
        "import os, signal, sys; from planner_app.history import History\n"
        "from planner_app.queue import Queue, ensure_worker\n"
        "from planner_app.settings import find_paths\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where these tests run under nohup\n"
        f"paths = find_paths({{'PLANNER_HOME': {str(home)!r}}})\n"
        "with History.open(paths.database) as history: ensure_worker(Queue(history), paths)\n"
        "os.killpg(0, signal.SIGHUP)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=False, start_new_session=True)
    assert done.returncode == -1, "the starter itself was hung up"
    (worker,) = wait_for_workers(queue, 1)
    os.kill(worker.pid, 1)
    queue.ask_to_stop(worker.worker_id)
    wait_for_workers(queue, 0)
    assert "was asked to stop" in (settings.paths.logs / "worker.log").read_text()


def test_a_program_that_cannot_be_started_is_told(
    queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start.sys, "executable", "/nothing/python")
    with pytest.raises(Missing, match="could not be started"):
        ensure_worker(queue, settings.paths)
    assert is_free(queue.history.folder / "worker.start.lock")


def test_a_lock_is_held_by_one_and_free_after_its_process(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    assert not is_free(path), "a file that is not there proves nothing"
    held = HeldLock.take(path)
    assert held
    assert HeldLock.take(path) is None
    assert not is_free(path)
    held.close()
    assert is_free(path)
    assert is_free(path), "looking does not take it"
    code = (
        "import sys; from pathlib import Path; from planner_app.queue.locks import HeldLock\n"
        f"lock = HeldLock.take(Path({str(path)!r})); print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert not is_free(path)
        process.kill()
        process.wait()
        assert is_free(path)


NEEDS = [("DEEPSEEK_API_KEY",), ("GEMINI_API_KEY", "GOOGLE_API_KEY")]
HERE = {"DEEPSEEK_API_KEY": "sk-here", "GEMINI_API_KEY": "AIza-here"}


def a_worker(queue: Queue, monkeypatch: pytest.MonkeyPatch, **keys: str) -> Membership:
    """This process as a worker that another terminal started with these keys."""
    with monkeypatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        return queue.join("worker")


def test_a_worker_writes_down_the_names_of_its_keys_and_never_the_keys(
    queue: Queue, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = a_worker(queue, monkeypatch, DEEPSEEK_API_KEY="sk-very-secret")
    assert queue.workers()[0].keys == {"DEEPSEEK_API_KEY"}
    for file in home.rglob("*"):
        assert not file.is_file() or b"sk-very-secret" not in file.read_bytes()
    member.leave()


def test_a_worker_with_the_keys_that_a_task_needs_is_left_alone(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = a_worker(queue, monkeypatch, DEEPSEEK_API_KEY="sk-there", GOOGLE_API_KEY="AIza-there")
    assert make_way(queue, NEEDS, HERE) == ""
    assert make_way(queue, [], {}) == ""
    assert not member.stop_asked()
    member.leave()


def test_an_idle_worker_without_a_needed_key_makes_way(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = a_worker(queue, monkeypatch, DEEPSEEK_API_KEY="sk-there")

    def leave_when_asked() -> None:
        while not member.stop_asked():
            queue.history.wait_for_change(0.2)
        member.leave()

    with ThreadPoolExecutor(1) as pool:
        leaving = pool.submit(leave_when_asked)
        assert "GEMINI_API_KEY" in make_way(queue, NEEDS, HERE)
        leaving.result(20)
    assert queue.workers() == []


def test_a_worker_that_is_needed_elsewhere_is_not_ended(
    queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = a_worker(queue, monkeypatch, XAI_API_KEY="xai-there")
    with pytest.raises(Missing, match="without DEEPSEEK_API_KEY, and has other keys"):
        make_way(queue, NEEDS, HERE)
    member.leave()
    member = a_worker(queue, monkeypatch)
    queue.submit(Submission(text="a task", sandbox="unsafe-host"), settings)
    assert queue.claim(member.worker_id) is not None
    with pytest.raises(Missing, match="planner worker stop"):
        make_way(queue, NEEDS, HERE)
    assert not member.stop_asked()
    member.leave()
