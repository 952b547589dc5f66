"""Steering a run that nobody drives at the moment, from other commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripted_replies import checker_says, executor_says, planner_says

LOCAL = ("--sandbox", "unsafe-host")
DRAFT = {"id": "only", "objective": "Guess.", "kind": "compute"}
EDITED = {"id": "only", "objective": "Compute it properly.", "kind": "compute"}
REPORT = '```report\n{"step_id": "only", "verdict": "done", "result": "42"}\n```'


@pytest.fixture
def waiting(planner, script) -> None:
    """A run that waits for its plan to be approved."""
    model = script(
        planner_says(1, {"steps": [DRAFT]}),
        executor_says(1, "```python\n6 * 7\n```", expect="Compute it properly."),
        executor_says(2, REPORT),
        planner_says(2, {"text": "42", "claims": []}),
        checker_says(),
    )
    done = planner("run", "How much?", "--planner", model, *LOCAL, "--approve", "plan")
    assert done.returncode == 5, done.stderr


@pytest.mark.usefixtures("waiting", "worker_is_stopped")
def test_a_persons_edit_of_the_plan_is_what_runs(typed, folder: Path) -> None:
    (folder / "plan.json").write_text(json.dumps({"steps": [EDITED]}), encoding="utf-8")
    done = typed("approve", "last", "--plan", "plan.json")
    assert done.returncode == 0, done.stderr
    watched = typed("watch", "last")
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout.startswith("42")
    shown = json.loads(typed("show", "last", "--json").stdout)
    assert shown["plan"]["steps"][0]["objective"] == "Compute it properly."


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("no json", "is not JSON"),
        ('{"steps": "none"}', "steps"),
        ('{"steps": [{"id": "a", "objective": "x", "deps": ["nowhere"]}]}', "nowhere"),
        ('{"steps": []}', "no steps"),
    ],
)
def test_an_edit_that_cannot_run_is_refused_at_once(typed, folder: Path, plan, said) -> None:
    (folder / "plan.json").write_text(plan, encoding="utf-8")
    done = typed("approve", "last", "--plan", "plan.json")
    assert done.returncode == 2
    assert said in done.stderr
    assert json.loads(typed("tasks", "--json").stdout)["runs"][0]["status"] == "waiting_user"


@pytest.mark.usefixtures("waiting")
def test_cancel_ends_a_run_that_nobody_drives_at_once(typed) -> None:
    done = typed("cancel", "last", "--reason", "too dear", "--json")
    said = json.loads(done.stdout)
    assert (said["status"], said["read"]) == ("cancelled", True)
    assert json.loads(typed("worker", "status", "--json").stdout) == {"workers": []}
    watched = typed("watch", "last")
    assert (watched.returncode, watched.stdout) == (1, "")


@pytest.mark.usefixtures("waiting")
def test_a_steering_message_is_kept_for_the_next_turn(typed) -> None:
    assert typed("pause", "last").stdout.endswith("paused\n")
    assert typed("steer", "last", "Use Python.").returncode == 0
    events = [
        json.loads(line) for line in typed("show", "last", "--events", "--json").stdout.splitlines()
    ]
    assert [e["data"]["text"] for e in events if e["type"] == "user.steered"] == ["Use Python."]


@pytest.mark.usefixtures("waiting")
def test_an_empty_message_is_bad_input(typed) -> None:
    assert typed("steer", "last", " ").returncode == 2
    assert typed("answer", "last", "").returncode == 2


@pytest.mark.usefixtures("waiting")
def test_a_text_is_no_reply_to_what_asks_for_leave(typed) -> None:
    done = typed("answer", "last", "yes")
    assert done.returncode == 2
    assert "planner approve r_" in done.stderr
    assert json.loads(typed("tasks", "--json").stdout)["runs"][0]["status"] == "waiting_user"
