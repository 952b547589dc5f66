"""What a person may rely on when a task runs from words to a checked answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from planner_app.domain.catalogue import BudgetLimits
from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from tests.engine.world import Script, World, answer, check, code, fenced, plan, report


def one_step(result: str = "found it") -> Script:
    script = Script().planner(plan({"id": "a"}))
    return script.executor("a", code("x = 40 + 2\nx")).executor("a", report(result=result))


async def test_a_simple_task_costs_plan_act_report_and_check(world: World) -> None:
    state = await world.run(one_step("It is 42.").checker(check()))
    assert state.status == "done"
    assert state.answer is not None
    assert state.answer.text.startswith("It is 42.")
    assert state.spent.calls == 4
    assert state.answer.claims[0].source_ids == [1]
    assert state.sources[1].kind == "action"


async def test_a_question_that_needs_no_action_takes_the_fast_path(world: World) -> None:
    script = Script().planner(fenced("json", '{"steps": [], "answer": "Four."}')).checker(check())
    state = await world.run(script, "What is 2 + 2?")
    assert (state.status, state.spent.calls, state.spent.actions) == ("done", 2, 0)
    assert state.answer is not None
    assert state.answer.text == "Four."


async def test_variables_and_files_go_from_step_to_step(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b", "deps": ["a"], "inputs": {"n": "a"}}))
    make = (
        "n = [1, 2, 3]\nclass Odd:\n    size = 7\nodd = {1, 2}\nopen('made.txt', 'w').write('hi')"
    )
    script.executor("a", code(make)).executor("a", report(values=["n", "odd"]))
    script.executor("b", code("print(sum(n), sorted(odd), open('made.txt').read())"))
    script.executor("b", report()).planner(answer("It is 6.", 2)).checker(check())
    state = await world.run(script)
    assert state.status == "done"
    assert "6 [1, 2] hi" in world.observation(state.run_id, 1)
    assert state.steps["a"].values["n"]["kind"] == "json"
    assert state.steps["a"].values["odd"]["kind"] == "pickle"


async def test_steps_without_a_common_dependency_run_side_by_side(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b"}))
    for step in ("a", "b"):
        script.executor(step, code("import time; time.sleep(0.5)")).executor(step, report())
    script.planner(answer("Both.", 1, 2)).checker(check())
    state = await world.run(script)
    starts = world.events(state.run_id, "action.started")
    ends = world.events(state.run_id, "action.finished")
    assert state.status == "done"
    assert max(e.seq for e in starts) < min(e.seq for e in ends)


async def test_an_attachment_is_there_before_the_first_action_and_can_be_cited(
    world: World, tmp_path: Path
) -> None:
    data = tmp_path / "table.csv"
    data.write_text("city,people\nOslo,700000\n")
    script = Script().planner(plan({"id": "a"}))
    script.executor("a", code("print(open('table.csv').read())"))
    quote = {"source_id": 1, "quote": "Oslo,700000"}
    script.executor("a", report(evidence=[quote])).checker(check())
    state = await world.run(script, files=(data,))
    assert state.status == "done"
    assert state.net == "seen"
    assert "Oslo,700000" in world.observation(state.run_id)
    assert state.answer is not None
    assert state.answer.claims[0].source_ids == [1]


async def test_a_quote_that_does_not_stand_in_its_source_goes_back_once(
    world: World, tmp_path: Path
) -> None:
    data = tmp_path / "note.txt"
    data.write_text("The cat sat.")
    script = Script().planner(plan({"id": "a"}))
    bad = {"source_id": 1, "quote": "The dog sat."}
    script.executor("a", report(evidence=[bad]))
    script.executor("a", report(evidence=[bad]), expect="does not stand in its source")
    script.checker(check())
    state = await world.run(script, files=(data,))
    assert state.steps["a"].report is not None
    assert state.steps["a"].report.evidence == []
    assert [e.data["unsupported"] for e in world.events(state.run_id, "evidence.checked")] == [1, 1]


async def test_a_claim_without_a_source_goes_back_to_the_planner(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b"}))
    for step in ("a", "b"):
        script.executor(step, code("1 + 1")).executor(step, report())
    script.planner(answer("Unfounded."))
    script.planner(answer("Founded.", 1), expect="has no source id").checker(check())
    state = await world.run(script)
    assert state.status == "done"
    assert state.answer is not None
    assert state.answer.text == "Founded [1]."


async def test_a_failed_check_sends_the_answer_back_and_says_so_when_it_stays(
    world: World,
) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b"}))
    for step in ("a", "b"):
        script.executor(step, code("1 + 1")).executor(step, report())
    script.planner(answer("Wrong.", 1)).checker(check(False, "the sum is wrong"))
    script.planner(answer("Still wrong.", 1), expect="the sum is wrong")
    script.checker(check(False, "the sum is still wrong"))
    state = await world.run(script)
    assert state.status == "partial"
    assert "still wrong" in state.reason


async def test_a_check_that_passes_an_unsupported_claim_has_not_passed(world: World) -> None:
    verdict = fenced("json", json.dumps({"ok": True, "unsupported": ["It is 42."]}))
    script = one_step("It is 42.").checker(verdict).checker(verdict)
    script.planner(answer("It is 42.", 1))
    state = await world.run(script)
    assert state.final == "partial"
    assert "It is 42." in state.reason


async def test_an_answer_for_a_schema_is_json_that_fits_it(world: World, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": ["n"]}))
    script = Script().planner(plan({"id": "a"}))
    script.executor("a", code("6 * 7")).executor("a", report())
    script.planner(answer("42", 1, data={"m": 1}), expect="JSON Schema")
    script.planner(answer("42", 1, data={"n": 42}), expect="'n' is a required property")
    script.checker(check())
    state = await world.run(script, schema=schema)
    assert state.status == "done"
    assert state.answer is not None
    assert state.answer.data == {"n": 42}


async def test_a_surprise_is_reviewed_and_planned_anew(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b", "deps": ["a"]}))
    script.executor("a", code("raise KeyError('x')")).executor("a", report("surprise", "no x"))
    review = {"decision": "replan", "root_cause": "there is no x"}
    script.planner(fenced("json", json.dumps(review)), expect="no x")
    script.planner(plan({"id": "c"})).executor("c", code("1")).executor("c", report())
    script.planner(answer("Done.", 1)).checker(check())
    state = await world.run(script)
    assert state.status == "done"
    assert {key: s.status for key, s in state.steps.items()} == {
        "a": "skipped",
        "b": "skipped",
        "c": "done",
    }


async def test_truncated_code_is_never_run(world: World) -> None:
    script = Script().planner(plan({"id": "a"}))
    script.executor("a", "```python\nprint('never'", finish_reason="length")
    script.executor("a", code("print('whole')"), expect="cut off")
    script.executor("a", report()).checker(check())
    state = await world.run(script)
    actions = world.events(state.run_id, "action.started")
    assert [e.data["code_head"] for e in actions] == ["print('whole')"]
    assert state.status == "done"


async def test_a_loop_ends_the_attempt_and_the_step_is_tried_once_more(world: World) -> None:
    script = Script().planner(plan({"id": "a"}))
    for _ in range(4):
        script.executor("a", code("1 / 0"))
    script.executor("a", code("1"), attempt=2, expect="ended as loop")
    script.executor("a", report(), attempt=2).checker(check())
    state = await world.run(script)
    assert [a.outcome for a in state.steps["a"].attempts] == ["loop", "done"]
    assert [e.data["fatal"] for e in world.events(state.run_id, "loop.found")] == [False, True]


async def test_a_used_up_budget_still_gives_an_answer(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b", "deps": ["a"]}))
    script.executor("a", code("1")).executor("a", report(result="one"))
    script.executor("b", code("2"))
    script.planner(answer("One, so far.", 1)).checker(check())
    state = await world.run(script, budget=BudgetLimits(calls=6, actions=2), headless=True)
    assert state.status == "partial"
    assert state.answer is not None
    assert state.answer.text == "One, so far [1]."
    assert "budget" in state.reason
    assert state.spent.calls <= 6


async def test_when_the_planner_is_gone_the_reports_are_the_answer(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b"}))
    for step in ("a", "b"):
        script.executor(step, code("1")).executor(step, report(result=f"result of {step}"))
    state = await world.run(script)
    assert state.status == "partial"
    assert state.answer is not None
    assert "result of a" in state.answer.text
    assert "put together from the reports" in state.reason


async def test_a_plan_that_never_parses_fails_with_its_reason(world: World) -> None:
    script = Script().planner("no plan").planner("{", expect="could not be read").planner("none")
    state = await world.run(script)
    assert state.status == "failed"
    assert "no valid plan" in state.reason


async def test_solo_mode_plans_and_acts_in_one_conversation(world: World, tmp_path: Path) -> None:
    config = world.settings.paths.home_file if hasattr(world.settings.paths, "home_file") else None
    assert config is None
    script = Script().executor("solo", code("6 * 7"), expect="Do the thing.")
    script.executor("solo", report(result="42")).checker(check())
    team = world.settings.teams.get("default")
    settings = world.settings.model_copy(
        update={
            "teams": {
                "default": (team or _team()).model_copy(update={"mode": "solo"}),
            }
        }
    )
    world.settings = settings
    state = await world.run(script)
    assert (state.status, state.mode, state.spent.calls) == ("done", "solo", 3)


def _team() -> object:
    from planner_app.settings import TeamSettings

    return TeamSettings()


async def test_what_was_sent_to_a_model_can_be_rebuilt_exactly(world: World) -> None:
    state = await world.run(one_step().checker(check()))
    finished = world.events(state.run_id, "model.finished")
    second = finished[2]
    assert second.data["purpose"] == "act"
    messages = world.history.request(state.run_id, second.move_id or "")
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    assert "Value: 42" in messages[-1]["content"]


async def test_a_secret_never_reaches_a_model_or_the_log(world: World, monkeypatch: object) -> None:
    secret = "sk-" + "a1b2c3d4" * 5
    script = Script().planner(plan({"id": "a"}))
    script.executor("a", code(f"print('{secret[:10]}' + '{secret[10:]}')"))
    script.executor("a", report(), expect="[secret removed]").checker(check())
    state = await world.run(script)
    assert state.status == "done"
    assert secret not in world.observation(state.run_id)


async def test_events_stream_in_the_order_of_the_log(world: World) -> None:
    seen: list[Event] = []
    run_id = world.submit(one_step().checker(check()))
    state = await world.drive(run_id, on_event=seen.append)
    assert fold([*world.history.events(run_id, limit=1), *seen]) == state
    assert [e.seq for e in seen] == list(range(2, state.last_seq + 1))


async def test_many_runs_share_one_process(world: World) -> None:
    ids = [world.submit(one_step(f"number {i}").checker(check())) for i in range(4)]
    states = await asyncio.gather(*(world.drive(run_id) for run_id in ids))
    assert [s.status for s in states] == ["done"] * 4


async def test_a_quote_of_the_answer_is_looked_up_in_its_source(
    world: World, tmp_path: Path
) -> None:
    data = tmp_path / "note.txt"
    data.write_text("The cat sat.\n\nThen it left.")
    script = Script().planner(plan({"id": "a"}, {"id": "b"}))
    for step in ("a", "b"):
        script.executor(step, code("1")).executor(step, report())
    wrong = {"text": "The dog sat.", "source_ids": [1], "quote": "The dog sat."}
    right = {"text": "The cat sat.", "source_ids": [1], "quote": "The cat sat."}
    script.planner(fenced("json", json.dumps({"text": "So [1].", "claims": [wrong]})))
    script.planner(
        fenced("json", json.dumps({"text": "So [1].", "claims": [right]})),
        expect="does not stand in its source",
    )
    script.checker(check())
    state = await world.run(script, files=(data,))
    assert state.status == "done"
    assert [c["found"] for c in state.claim_checks] == [True]


async def test_inputs_are_bound_again_when_a_process_was_lost(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b", "deps": ["a"], "inputs": {"n": "a"}}))
    script.executor("a", code("n = 41")).executor("a", report(values=["n"]))
    script.executor("b", code("mine = 1\nimport os; os._exit(3)"))
    script.executor("b", code("print(n + 1, 'mine' in globals())"), expect="variables are gone")
    script.executor("b", report()).planner(answer("So.", 1)).checker(check())
    state = await world.run(script)
    assert state.status == "done"
    assert "42 False" in world.observation(state.run_id, 2)


async def test_a_file_is_kept_once_and_again_when_a_later_step_changed_it(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b", "deps": ["a"]}))
    make = "import os\nos.mkdir('out')\nopen('out/t.csv', 'w').write('one')"
    make += "\nsave_artifact('out/t.csv', 'A table')"
    named = ["out/t.csv"]
    script.executor("a", code(make)).executor("a", report(artifacts=named))
    script.executor("b", code("open('out/t.csv', 'w').write('two')"))
    script.executor("b", report(artifacts=named)).planner(answer("So.", 1)).checker(check())
    state = await world.run(script)
    saved = world.events(state.run_id, "artifact.saved")
    assert [(one.data["name"], one.step_id) for one in saved] == [
        ("out/t.csv", "a"),
        ("out/t.csv", "b"),
    ]
    assert world.history.get_blob(state.artifacts["out/t.csv"].sha256) == b"two"


async def test_a_large_workspace_goes_on_and_new_files_become_artifacts(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b", "deps": ["a"]}))
    make = "import os\nopen('big.bin', 'wb').write(os.urandom(20_000_000))"
    make += "\nopen('n.txt', 'w').write('1')"
    script.executor("a", code(make)).executor("a", report())
    script.executor("b", code("import os\nos.stat('big.bin').st_size"))
    script.executor("b", report()).planner(answer("So.", 1)).checker(check())
    state = await world.run(script)
    assert state.status == "done"
    assert "20000000" in world.observation(state.run_id, 1)
    assert list(state.artifacts) == ["n.txt"]
    assert state.artifacts["n.txt"].step_id == "a"
