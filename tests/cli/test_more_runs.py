"""Schemas, hang-ups and the screens' doors, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripted_replies import checker_says, executor_says, planner_says

LOCAL = ("--sandbox", "unsafe-host")
AT_ONCE = (planner_says(1, {"answer": "Forty-two."}), checker_says())
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SLOW = (
    planner_says(1, {"steps": [{"id": "only", "objective": "Wait.", "kind": "compute"}]}),
    executor_says(1, "```python\nimport time\ntime.sleep(2)\nprint('awake')\n```"),
    executor_says(2, '```report\n{"step_id": "only", "verdict": "done", "result": "42"}\n```'),
    planner_says(2, {"text": "42", "claims": []}),
    checker_says(),
)


def test_with_a_schema_stdout_is_json_that_fits_it(planner, script, folder: Path) -> None:
    (folder / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    model = script(
        planner_says(1, {"answer": "Forty-two."}),
        planner_says(2, {"text": "It is 42.", "data": {"n": 42}, "claims": []}),
        checker_says(),
    )
    done = planner("run", "How many?", "--planner", model, *LOCAL, "--schema", "schema.json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"n": 42}


def test_a_schema_that_is_none_is_refused_before_anything_is_delegated(
    typed, script, folder: Path
) -> None:
    (folder / "schema.json").write_text('{"type": 3}', encoding="utf-8")
    done = typed("run", "x", "--planner", script(*AT_ONCE), *LOCAL, "--schema", "schema.json")
    assert done.returncode == 2
    assert "schema.json" in done.stderr
    assert json.loads(typed("tasks", "--json").stdout) == {"runs": []}


@pytest.mark.usefixtures("worker_is_stopped")
def test_a_terminal_that_goes_away_hands_the_run_to_a_worker(at_terminal, typed, script) -> None:
    command = at_terminal("run", "Wait.", "--planner", script(*SLOW), *LOCAL)
    command.wait_for("python 1")
    command.hang_up()
    assert command.end()[0] == 130
    watched = typed("watch", "last")
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout.startswith("42")


@pytest.mark.usefixtures("worker_is_stopped")
def test_who_asks_twice_gets_one_worker(typed) -> None:
    first = json.loads(typed("worker", "start", "--json").stdout)
    again = json.loads(typed("worker", "start", "--json").stdout)
    assert (first["started"], again["started"]) == (True, False)
    assert first["pid"] == again["pid"]


def test_a_bundled_example_streams_events_that_fold_to_its_state(planner, typed, folder) -> None:
    from planner_app.domain.events import Event
    from planner_app.domain.fold import fold

    done = planner("run", "--example", "--json", DOCKER_HOST=f"unix://{folder}/no.sock")
    assert done.returncode == 0, done.stderr
    events = [Event.model_validate_json(line) for line in done.stdout.splitlines()]
    shown = json.loads(typed("show", "last", "--json").stdout)
    assert fold(events).model_dump(mode="json") == shown
    assert shown["example"] == "research"


def test_models_without_keys_or_servers_says_what_to_do(typed) -> None:
    done = typed("models", "--json", "--check")
    said = json.loads(done.stdout)
    assert done.returncode == 4
    assert "DEEPSEEK_API_KEY" in said["team"]


def test_models_says_which_profile_a_name_gets_and_why(typed) -> None:
    said = json.loads(typed("models", "deepseek/deepseek-reasoner", "--json").stdout)
    (model,) = said["models"]
    assert model["family"] != "unknown"
    assert "profiles.toml" in model["why"]
    assert model["key"] == "DEEPSEEK_API_KEY is not set"


def test_a_small_call_to_a_scripted_model_is_checked(typed, script) -> None:
    model = script({"role": "planner", "turn": 1, "text": "ready", "reasoning": "So."})
    done = typed("models", model, "--check", "--json")
    (check,) = json.loads(done.stdout)["checks"]
    assert (done.returncode, check["ok"], check["reasons"]) == (0, True, True)
    missing = typed("models", "scripted:nowhere.jsonl", "--check", "--json")
    assert missing.returncode == 4
    assert not json.loads(missing.stdout)["checks"][0]["ok"]


@pytest.mark.usefixtures("worker_is_stopped")
def test_a_run_here_with_nobody_to_ask_exits_5_also_while_a_worker_runs(typed, script) -> None:
    assert typed("worker", "start").returncode == 0
    model = script(
        planner_says(1, {"steps": [{"id": "only", "objective": "Ask.", "kind": "compute"}]}),
        executor_says(1, "```python\nask_user('Which colour?')\n```"),
    )
    done = typed("run", "Ask me.", "--planner", model, *LOCAL)
    assert done.returncode == 5, done.stderr
    assert "planner answer r_" in done.stderr
