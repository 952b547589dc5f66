"""A task through the command line, with scripted models and everything else real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from scripted_replies import checker_says, executor_says, planner_says

LOCAL = ("--sandbox", "unsafe-host")
AT_ONCE = (planner_says(1, {"answer": "Forty-two."}), checker_says())
CLARIFY = (
    planner_says(1, {"questions": [{"text": "Which edition?", "default": "the newest"}]}),
    planner_says(2, {"answer": "Noted."}, expect="the second"),
    checker_says(),
)
STEP = {"id": "only", "objective": "Add two numbers.", "kind": "compute"}
WORK = (
    planner_says(1, {"steps": [STEP], "answer_format": "a number"}),
    executor_says(1, "```python\ntotal = 40 + 2\nprint(total)\n```"),
    executor_says(
        2,
        '```report\n{"step_id": "only", "verdict": "done", "result": "42"}\n```',
    ),
    planner_says(2, {"text": "42", "claims": [], "confidence": "high"}),
    checker_says(),
)


def test_the_answer_alone_is_on_stdout(planner, script) -> None:
    done = planner("run", "What is it?", "--planner", script(*AT_ONCE), *LOCAL)
    assert (done.returncode, done.stdout) == (0, "Forty-two.\n"), done.stderr
    assert "without isolation" in done.stderr


def test_a_task_from_stdin(planner, typed, script) -> None:
    model = script(*AT_ONCE)
    done = planner("run", "-", "--planner", model, *LOCAL, stdin="What is\nit?\n")
    assert done.stdout == "Forty-two.\n"
    shown = json.loads(typed("show", "last", "--json").stdout)
    assert shown["text"].strip() == "What is\nit?"


def test_the_stream_of_events_folds_to_what_show_says(planner, typed, script) -> None:
    from planner_app.domain.events import Event
    from planner_app.domain.fold import fold

    done = planner("run", "Add.", "--planner", script(*WORK), *LOCAL, "--json")
    assert done.returncode == 0, done.stderr
    events = [Event.model_validate_json(line) for line in done.stdout.splitlines()]
    shown = json.loads(typed("show", events[0].run_id, "--json").stdout)
    assert fold(events).model_dump(mode="json") == shown
    listed = typed("show", events[0].run_id, "--events", "--json").stdout
    assert listed == done.stdout


def test_a_finished_run_is_listed_found_shown_and_replayed(planner, typed, script) -> None:
    planner("run", "Add forty and two.", "--planner", script(*WORK), *LOCAL, "--tag", "sums")
    row = json.loads(typed("tasks", "--json", "--tag", "sums").stdout)["runs"][0]
    assert (row["status"], row["title"], row["steps_done"]) == ("done", "Add forty and two.", 1)
    assert json.loads(typed("tasks", "--json", "--tag", "other").stdout) == {"runs": []}
    hits = json.loads(typed("find", "forty", "--json").stdout)["hits"]
    assert {hit["run_id"] for hit in hits} == {row["run_id"]}
    assert "Add two numbers." in typed("show", row["task_id"]).stdout
    assert "total = 40 + 2" in typed("replay", "last", "--no-tui").stdout
    assert "run.finished" in typed("show", "last", "--events").stdout
    watched = typed("watch", row["run_id"])
    assert (watched.returncode, watched.stdout) == (0, "42 [1]\n")


def test_a_failed_check_is_a_partial_answer_and_exit_3(planner, script) -> None:
    again = planner_says(2, {"text": "Still.", "claims": [], "confidence": "low"})
    model = script(AT_ONCE[0], checker_says(ok=False), again, checker_says(2, ok=False))
    done = planner("run", "What?", "--planner", model, *LOCAL)
    assert done.returncode == 3, done.stderr
    assert done.stdout.strip()
    assert "partial" in done.stderr


def test_a_model_that_says_nothing_useful_fails_the_task_with_exit_1(planner, script) -> None:
    replies = [{"role": "planner", "turn": n, "text": "Hmm."} for n in range(1, 9)]
    done = planner("run", "What?", "--planner", script(*replies), *LOCAL)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "failed" in done.stderr


def test_a_question_without_a_terminal_leaves_the_run_waiting_and_exits_5(
    planner, typed, script
) -> None:
    replies = (
        planner_says(1, {"steps": [STEP]}),
        executor_says(1, '```python\nask_user("Which one?", "the first")\n```'),
        executor_says(
            2, '```report\n{"step_id": "only", "verdict": "done", "result": "the second"}\n```'
        ),
        planner_says(2, {"text": "The second.", "claims": []}),
        checker_says(),
    )
    done = planner("run", "What?", "--planner", script(*replies), *LOCAL)
    assert (done.returncode, done.stdout) == (5, ""), done.stderr
    assert "planner answer r_" in done.stderr
    row = json.loads(typed("tasks", "--json").stdout)["runs"][0]
    assert (row["status"], row["needs"]) == ("waiting_user", "Which one?")


def test_no_input_takes_the_defaults(planner, script) -> None:
    model = script(CLARIFY[0], planner_says(2, {"answer": "Noted."}, expect="newest"), CLARIFY[2])
    done = planner("run", "What?", "--planner", model, *LOCAL, "--no-input")
    assert (done.returncode, done.stdout) == (0, "Noted.\n"), done.stderr


def test_a_question_is_asked_at_the_terminal(at_terminal, script) -> None:
    command = at_terminal("run", "What?", "--planner", script(*CLARIFY), *LOCAL)
    command.wait_for("Which edition?")
    command.wait_for("> ")
    command.type("the second\n")
    assert command.end() == (0, "Noted.\n")


def test_a_question_is_asked_at_the_terminal_when_stdin_is_the_task(
    at_terminal, script, folder: Path
) -> None:
    (folder / "task.txt").write_text("What?", encoding="utf-8")
    model = script(*CLARIFY)
    command = at_terminal("run", "-", "--planner", model, *LOCAL, stdin=folder / "task.txt")
    command.wait_for("Which edition?")
    command.wait_for("> ")
    command.type("the second\n")
    assert command.end() == (0, "Noted.\n")


def test_an_action_is_shown_and_allowed_at_the_terminal(at_terminal, script) -> None:
    command = at_terminal("run", "Add.", "--planner", script(*WORK), *LOCAL, "--approve", "actions")
    command.wait_for("total = 40 + 2")
    command.wait_for("ne[v]er in this run> ")
    command.type("y\n")
    assert command.end() == (0, "42 [1]\n")


def test_a_plan_is_shown_and_refused_with_a_reason_at_the_terminal(at_terminal, script) -> None:
    replies = (
        WORK[0],
        planner_says(2, {"answer": "As you wish."}, expect="too much work"),
        checker_says(),
    )
    command = at_terminal("run", "Add.", "--planner", script(*replies), *LOCAL, "--approve", "plan")
    command.wait_for("Add two numbers.")
    command.wait_for("[n]o> ")
    command.type("n\n")
    command.wait_for("why?")
    command.type("too much work\n")
    assert command.end() == (0, "As you wish.\n")


def test_ctrl_c_pauses_and_says_how_to_go_on(at_terminal, typed, script) -> None:
    slow = (WORK[0], executor_says(1, "```python\nimport time\ntime.sleep(60)\n```"))
    command = at_terminal("run", "Add.", "--planner", script(*slow), *LOCAL)
    command.wait_for("python 1")
    command.press_ctrl_c()
    code, out = command.end()
    assert (code, out) == (130, "")
    run_id = json.loads(typed("show", "last", "--json").stdout)["run_id"]
    assert f"planner resume {run_id}" in command.said
    assert json.loads(typed("tasks", "--json").stdout)["runs"][0]["status"] == "paused"


def test_ctrl_c_twice_cancels(at_terminal, typed, script) -> None:
    slow = (WORK[0], executor_says(1, "```python\nimport time\ntime.sleep(60)\n```"))
    command = at_terminal("run", "Add.", "--planner", script(*slow), *LOCAL)
    command.wait_for("python 1")
    command.press_ctrl_c()
    command.wait_for("pausing")
    command.press_ctrl_c()
    assert command.end()[0] == 130
    assert json.loads(typed("tasks", "--json").stdout)["runs"][0]["status"] == "cancelled"


@pytest.mark.usefixtures("worker_is_stopped")
def test_a_paused_run_goes_on_with_resume(at_terminal, planner, typed, script) -> None:
    command = at_terminal("run", "What?", "--planner", script(*CLARIFY), *LOCAL)
    command.wait_for("Which edition?")
    command.press_ctrl_c()
    assert command.end()[0] == 130
    assert "waits for you" in typed("resume", "last").stdout
    assert typed("answer", "last", "the second").returncode == 0
    watched = typed("watch", "last")
    assert (watched.returncode, watched.stdout) == (0, "Noted.\n"), watched.stderr


@pytest.mark.usefixtures("worker_is_stopped")
def test_what_a_killed_process_left_goes_on_with_resume(
    at_terminal, planner, typed, script
) -> None:
    work = [
        {**reply, "tokens_per_s": 20} if reply["role"] == "planner" else reply for reply in WORK
    ]
    command = at_terminal("run", "Add.", "--planner", script(*work), *LOCAL)
    command.wait_for("python 1")
    command.kill()
    assert typed("resume", "last").returncode == 0
    watched = typed("watch", "last")
    assert (watched.returncode, watched.stdout) == (0, "42 [1]\n"), watched.stderr
    shown = json.loads(typed("show", "last", "--json").stdout)
    assert shown["spent"]["actions"] == 1


@pytest.mark.usefixtures("worker_is_stopped")
def test_a_task_handed_to_the_background_is_done_by_the_worker(planner, typed, script) -> None:
    done = planner("run", "What?", "--planner", script(*AT_ONCE), *LOCAL, "--background")
    task_id = done.stdout.strip()
    assert task_id.startswith("t_")
    watched = typed("watch", task_id)
    assert (watched.returncode, watched.stdout) == (0, "Forty-two.\n"), watched.stderr
    workers = json.loads(typed("worker", "status", "--json").stdout)["workers"]
    assert [worker["kind"] for worker in workers] == ["worker"]
    stopped = json.loads(typed("worker", "stop", "--json").stdout)
    assert stopped == {"stopped": [workers[0]["pid"]], "running": []}


@pytest.mark.usefixtures("worker_is_stopped")
def test_retry_is_a_new_run_of_the_same_task(planner, typed, script) -> None:
    planner("run", "What?", "--planner", script(*AT_ONCE), *LOCAL, "--tag", "again")
    first = json.loads(typed("tasks", "--json").stdout)["runs"][0]
    new = json.loads(typed("retry", "last", "--json").stdout)
    assert new["task_id"] == first["task_id"]
    assert typed("watch", new["run_id"]).stdout == "Forty-two.\n"
    rows = json.loads(typed("tasks", "--json", "--tag", "again").stdout)["runs"]
    assert {row["run_id"] for row in rows} == {first["run_id"], new["run_id"]}


def test_a_follow_up_is_a_run_of_the_same_task(planner, typed, script) -> None:
    model = script(*AT_ONCE)
    planner("run", "What is it?", "--planner", model, *LOCAL)
    done = planner("continue", "last", "And now?", "--planner", model, *LOCAL)
    assert (done.returncode, done.stdout) == (0, "Forty-two.\n"), done.stderr
    rows = json.loads(typed("tasks", "--json").stdout)["runs"]
    assert len({row["task_id"] for row in rows}) == 1
    assert rows[0]["parent_run_id"] == rows[1]["run_id"]


def test_artifacts_are_listed_and_copied_out(planner, typed, script, folder: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "Path('table.csv').write_text('a,b\\n1,2\\n')\n"
        "save_artifact('table.csv', 'A table')\n"
        "Path('deep').mkdir()\n"
        "Path('deep/x').write_text('x')"
    )
    replies = (WORK[0], executor_says(1, f"```python\n{code}\n```"), *WORK[2:])
    planner("run", "Make a table.", "--planner", script(*replies), *LOCAL, "--out", "made")
    assert (folder / "made" / "table.csv").read_text(encoding="utf-8") == "a,b\n1,2\n"
    listed = json.loads(typed("artifacts", "last", "--json").stdout)["artifacts"]
    named = [(row["name"], row["title"]) for row in listed]
    assert named == [("table.csv", "A table"), ("deep/x", "")]
    (folder / "made" / "table.csv").write_text("mine", encoding="utf-8")
    shutil.rmtree(folder / "made" / "deep")
    (folder / "made" / "deep").write_text("a file where the folder would be", encoding="utf-8")
    typed("artifacts", "last", "-o", "made")
    assert (folder / "made" / "table.csv").read_text(encoding="utf-8") == "mine"
    assert (folder / "made" / "table-2.csv").read_text(encoding="utf-8") == "a,b\n1,2\n"
    assert (folder / "made" / "deep-2" / "x").read_text(encoding="utf-8") == "x"


def test_a_run_that_ended_cannot_be_steered(planner, typed, script) -> None:
    planner("run", "What?", "--planner", script(*AT_ONCE), *LOCAL)
    for command in (["cancel", "last"], ["steer", "last", "more"], ["approve", "last"]):
        done = typed(*command)
        assert done.returncode == 2
        assert "has ended" in done.stderr


def test_max_usd_cannot_bind_a_model_of_unknown_price(planner, script) -> None:
    args = ("--planner", "hosted_vllm/unheard-of", *LOCAL, "--max-usd", "1")
    done = planner("run", "What?", *args)
    assert done.returncode == 2
    assert "--max-tokens" in done.stderr
    model = script(planner_says(1, {"answer": "Forty-two."}))
    fallback = "{planner = ['hosted_vllm/unheard-of']}"
    args = ("--planner", model, *LOCAL, "--max-usd", "1")
    done = planner("run", "What?", *args, PLANNER_TEAMS_DEFAULT_FALLBACKS=fallback)
    assert done.returncode == 2
    assert "the price of hosted_vllm/unheard-of is unknown" in done.stderr


def test_without_an_engine_the_example_runs_and_says_where(planner, folder: Path) -> None:
    nowhere = f"unix://{folder}/no.sock"
    done = planner("run", "--example", DOCKER_HOST=nowhere)
    assert done.returncode == 0, done.stderr
    assert "Gotthard" in done.stdout
    assert "scripted" in done.stderr
    assert "not isolated" in done.stderr
