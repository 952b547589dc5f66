"""Steering a run that nobody drives at the moment, from other commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripted_replies import checker_says, executor_says, planner_says

from planner_app.cli import steering
from planner_app.domain.catalogue import RunFinished
from planner_app.history import History
from planner_app.queue import Queue

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
def test_show_tells_the_proposed_plan_and_how_to_reply(typed) -> None:
    done = typed("show", "last")
    assert "Proposed plan\n    + only Guess." in done.stdout
    assert "reply with: planner approve r_" in done.stderr


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


@pytest.mark.usefixtures("waiting", "worker_is_stopped")
def test_a_plan_is_edited_in_the_editor_and_a_bad_edit_is_kept(typed, folder: Path) -> None:
    def editor(*changes: str) -> dict[str, str]:
        path = folder / "editor.sh"
        path.write_text("#!/bin/sh\n" + "".join(f"sed -i '{c}' \"$1\"\n" for c in changes))
        path.chmod(0o700)
        return {"EDITOR": str(path), "VISUAL": ""}

    done = typed(
        "approve", "last", "--edit", **editor("s/Guess./Compute it properly./", "s/deps/dep/")
    )
    assert done.returncode == 2
    assert "did you mean 'deps'" in done.stderr
    assert "your edit is kept" in done.stderr
    done = typed("approve", "last", "--edit", **editor('s/dep"/deps"/'))
    assert done.returncode == 0, done.stderr
    assert typed("watch", "last").returncode == 0
    events = [
        json.loads(line) for line in typed("show", "last", "--events", "--json").stdout.splitlines()
    ]
    (accepted,) = [e["data"] for e in events if e["type"] == "plan.accepted"]
    assert accepted["by"] == "user"
    assert accepted["plan"]["steps"][0]["objective"] == "Compute it properly."
    assert "as you edited it" in typed("show", "last").stdout


@pytest.mark.usefixtures("waiting")
def test_a_reply_that_fits_no_question_is_refused_at_once(typed) -> None:
    assert "it asks q1" in typed("approve", "last", "--question", "q9").stderr
    done = typed("approve", "last", "--for-run")
    assert "this cannot be said for the whole run (May this plan of one step run?)" in done.stderr
    typed("pause", "last")
    assert typed("reject", "last", "--reason", "no").returncode == 0
    done = typed("approve", "last")
    assert done.returncode == 2
    assert "planner steer" in done.stderr


@pytest.mark.usefixtures("waiting")
def test_a_message_says_who_reads_it_or_that_nobody_does(typed, monkeypatch) -> None:
    typed("pause", "last")
    assert "goes to the planner" in typed("steer", "last", "in metres").stdout

    def ends(queue: Queue, history: History, run_id: str) -> bool:
        member = queue.join("run")
        lease = queue.claim(member.worker_id, run_id)
        assert lease is not None
        end = RunFinished(status="failed", reason="x").draft()
        summary = history.run(run_id).summary.model_copy(update={"status": "failed"})
        history.append_now(run_id, lease.fence, [end], summary=summary)
        member.leave()
        return False

    monkeypatch.setattr(steering, "_settle_if_free", ends)
    done = typed("steer", "last", "and in metres")
    assert done.returncode == 2
    assert "ended (failed) before it read this; go on from it with: planner continue" in done.stderr


@pytest.mark.usefixtures("waiting")
def test_what_a_run_may_spend_is_set_while_it_goes_on(typed) -> None:
    done = typed("budget", "last", "--max-usd", "5", "--max-minutes", "1h", "--max-calls", "none")
    assert (done.returncode, done.stdout.split(": ")[1].strip()) == (0, "waits for you")
    budget = json.loads(typed("show", "last", "--json").stdout)["budget"]
    assert (budget["usd"], budget["seconds"], budget["calls"]) == (5, 3600, None)
    assert budget["actions"] == 100, "what is not named stays"
    for words, said in [
        ([], "no limit is named"),
        (["--max-usd", "-1"], "--max-usd cannot be '-1'"),
        (["--max-calls", "0"], "--max-calls cannot be '0'"),
    ]:
        refused = typed("budget", "last", *words)
        assert refused.returncode == 2
        assert said in refused.stderr
