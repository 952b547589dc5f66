"""Ways to submit, and real worker processes, in a world like the queue's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from planner_app.history import History
from planner_app.queue import Queue, Submission
from planner_app.settings import Settings
from tests.queue import conftest as world

Submit = Callable[[str], str]
Spawn = Callable[[], "subprocess.Popen[bytes]"]
ROOT = Path(__file__).parents[2]

home, settings, history, queue = world.home, world.settings, world.history, world.queue


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
