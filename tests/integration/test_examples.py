"""The bundled examples from the command line through a real container, killed and not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from planner_app.examples.library import example_names

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

PROGRAM = [sys.executable, "-m", "planner_app"]


def planner(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def shown(run: str = "last") -> dict[str, Any]:
    """The folded state that `show --json` prints."""
    state: dict[str, Any] = json.loads(planner("show", run, "--json").stdout)
    return state


def events_of(text: str) -> list[Event]:
    return [Event.model_validate_json(line) for line in text.splitlines()]


def without_numbers(answer: str) -> str:
    """Source numbers depend on which of two parallel steps came first."""
    return re.sub(r"\[\d+\]", "[n]", answer)


def assert_each_action_is_recorded_once(run: str) -> None:
    events = events_of(planner("show", run, "--events", "--json").stdout)
    finished = Counter(
        (e.step_id, e.attempt, e.data["turn"]) for e in events if e.type == "action.finished"
    )
    assert finished
    assert set(finished.values()) == {1}


@pytest.mark.parametrize("name", example_names())
def test_an_example_ends_done_and_its_stream_folds_to_what_show_says(name: str) -> None:
    ran = planner("run", "--example", name, "--json")
    assert ran.returncode == 0, ran.stderr
    assert "scripted" in ran.stderr
    assert json.loads(json.dumps(fold(events_of(ran.stdout)).model_dump(mode="json"))) == shown()


def test_the_chart_of_the_data_example_is_kept(tmp_path: Path) -> None:
    ran = planner("run", "--example", "data", "--out", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("North grew most")
    assert tmp_path.joinpath("growth.png").read_bytes().startswith(b"\x89PNG")


def test_a_killed_command_is_resumed_to_the_same_answer() -> None:
    whole = planner("run", "--example", "surprise")
    process = subprocess.Popen(
        [*PROGRAM, "run", "--example", "surprise", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    run = ""
    for line in process.stdout:
        event = Event.model_validate_json(line)
        run = event.run_id
        if event.type == "action.finished":
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.read()
    process.wait(timeout=20)
    resumed = planner("resume", run)
    assert resumed.returncode == 0, resumed.stderr
    watched = planner("watch", run)
    assert watched.returncode == 0, watched.stderr
    state = shown(run)
    assert state["status"] == "done"
    assert without_numbers(state["answer"]["text"]) == without_numbers(whole.stdout.strip())
    assert_each_action_is_recorded_once(run)


def test_a_killed_worker_s_tasks_are_finished_by_the_next_one() -> None:
    whole = planner("run", "--example", "surprise").stdout.strip()
    task = planner("run", "--example", "surprise", "--background").stdout.strip()
    deadline = time.monotonic() + 60
    while shown(task)["spent"]["actions"] == 0:
        assert time.monotonic() < deadline, "the worker does nothing"
        time.sleep(0.1)
    (worker,) = json.loads(planner("worker", "status", "--json").stdout)["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    assert planner("worker", "start").returncode == 0
    try:
        watched = planner("watch", task)
        assert watched.returncode == 0, watched.stderr
        state = shown(task)
        assert without_numbers(state["answer"]["text"]) == without_numbers(whole)
        assert_each_action_is_recorded_once(task)
    finally:
        planner("worker", "stop")
