"""A history with a queue, ways to submit, and real worker processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from planner_app.history import History
from planner_app.queue import Queue, Submission
from planner_app.settings import Settings, load_settings

Submit = Callable[[str], str]
Spawn = Callable[[], "subprocess.Popen[bytes]"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> Settings:
    return load_settings(tmp_path, {"PLANNER_HOME": str(home)})


@pytest.fixture
def history(home: Path) -> Iterator[History]:
    with History.open(home / "planner.db") as opened:
        yield opened


@pytest.fixture
def queue(history: History) -> Queue:
    return Queue(history)


@pytest.fixture
def submit(queue: Queue, settings: Settings) -> Submit:
    return lambda text: queue.submit(Submission(text), settings).run_id


@pytest.fixture
def spawn(history: History) -> Iterator[Spawn]:
    """Starts a worker process that counts; all of them are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.worker.fakes", str(history.path)]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
