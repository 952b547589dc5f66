"""One further call for thoughts that wander and for text in another language, behind a setting."""

# ruff: noqa: RUF001 - Chinese is written with its own comma

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from planner_app.domain.catalogue import BudgetLimits
from planner_app.domain.errors import FenceLost
from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from planner_app.settings import ThinkingSettings
from planner_app.view.reducer import view_of
from tests.engine.world import Script, World, answer, check, code, fenced, open_world, plan, report

WANDERING = " ".join(f"Try way {n} now. Alternatively, take way {n}." for n in range(8))
STEADY = "First I count the cases. Then I add them. The sum is twelve. " * 10
CHINESE = "这个文件里一共有十二个案例，我们把它们全部加起来，得到的结果就是答案。"
ENGLISH = "The file holds a dozen of cases, and all of them added up are the answer to the task."
TASK = "Count the cases in the file and tell me how many there are in all."
Act = dict[str, Any]


def words(*texts: str) -> str:
    """A translator's turn."""
    return fenced("json", json.dumps({"texts": list(texts)}, ensure_ascii=False))


@pytest.fixture
async def careful(tmp_path: Path) -> AsyncIterator[World]:
    """A world in which both settings are on."""
    async with open_world(tmp_path) as world:
        wanted = ThinkingSettings(retry_underthinking=True, retry_language=True)
        world.services.settings = world.settings.model_copy(update={"thinking": wanted})
        yield world


def calls(world: World, run_id: str) -> list[str]:
    return [e.data["purpose"] for e in world.events(run_id, "model.started")]


def settled(world: World, run_id: str) -> list[tuple[str, bool, str]]:
    events = world.events(run_id, "reply.settled")
    return [(e.data["kind"], e.data["taken"], e.data["reason"]) for e in events]


def simple() -> Script:
    """A run of one step, but for its plan."""
    return Script().executor("b", report(result="12 of them")).checker(check())


async def test_wandering_thoughts_get_one_more_call_and_its_plan_is_carried_out(
    careful: World,
) -> None:
    script = simple().planner(plan({"id": "a"}), reasoning=WANDERING)
    script.lines.append(
        {"role": "planner", "turn": 1, "purpose": "commit", "text": plan({"id": "b"}),
         "reasoning": WANDERING, "expect": "Commit to one approach"}
    )  # fmt: skip
    state = await careful.run(script, TASK)
    assert state.final == "done"
    assert calls(careful, state.run_id) == ["plan", "commit", "act", "check"]
    assert settled(careful, state.run_id) == [("commit", True, "")]
    doubted = careful.events(state.run_id, "reply.doubted")[0].data
    assert doubted["reason"].startswith("8 changes of approach, ")
    assert state.spent.calls == 4
    commit = careful.events(state.run_id, "model.started")[1]
    assert commit.data["parent_request"] == "plan/-/0/1/1"
    shown = "\n".join(entry.title for entry in view_of(careful.events(state.run_id)).timeline)
    assert "asked once more: its thoughts changed their approach too often" in shown
    assert "planner commits to one approach" in shown
    assert "the second reply stands" in shown


async def test_a_second_reply_that_cannot_be_used_leaves_the_first(careful: World) -> None:
    script = simple().planner(plan({"id": "b"}), reasoning=WANDERING)
    script.lines.append({"role": "planner", "turn": 1, "purpose": "commit", "text": "I cannot."})
    state = await careful.run(script, TASK)
    assert state.final == "done"
    assert settled(careful, state.run_id) == [
        ("commit", False, "the second reply could not be used")
    ]


async def test_a_further_call_that_fails_leaves_the_first_reply(careful: World) -> None:
    state = await careful.run(simple().planner(plan({"id": "b"}), reasoning=WANDERING), TASK)
    assert state.final == "done"
    assert [e.data["purpose"] for e in careful.events(state.run_id, "model.failed")] == ["commit"]
    assert "has no reply for" in settled(careful, state.run_id)[0][2]


async def test_code_after_wandering_thoughts_is_thought_over_before_it_runs(
    careful: World,
) -> None:
    script = (
        Script()
        .planner(plan({"id": "a"}, {"id": "b"}))
        .executor("a", code("print('first')"), reasoning=WANDERING)
        .executor("a", report())
        .executor("b", report())
        .planner(answer("Twelve [1].", 1))
        .checker(check())
    )
    script.lines.append(
        {"role": "executor", "step": "a", "attempt": 1, "turn": 1, "purpose": "commit",
         "text": code("print('second')")}
    )  # fmt: skip
    state = await careful.run(script, TASK)
    assert state.final == "done"
    assert "second" in careful.observation(state.run_id)
    assert len(careful.events(state.run_id, "action.started")) == 1


@pytest.mark.parametrize(("reasoning", "on"), [(WANDERING, False), (STEADY, True), ("", True)])
async def test_no_further_call_is_made_where_it_is_not_wanted_or_nothing_wandered(
    tmp_path: Path, reasoning: str, on: bool
) -> None:
    async with open_world(tmp_path) as world:
        wanted = ThinkingSettings(retry_underthinking=on)
        world.services.settings = world.settings.model_copy(update={"thinking": wanted})
        script = simple().planner(plan({"id": "b"}), reasoning=reasoning or None)
        state = await world.run(script, TASK)
        assert calls(world, state.run_id) == ["plan", "act", "check"]
        thinking = world.events(state.run_id, "model.finished")[0].data["thinking"]
        assert thinking.get("underthinking", False) is (reasoning == WANDERING)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"usage": {"reasoning_tokens": 900}}, "hidden"),
        ({}, "it thought nothing aloud"),
    ],
)
async def test_thoughts_that_nobody_sees_are_not_measurable(
    careful: World, more: Act, why: str
) -> None:
    state = await careful.run(simple().planner(plan({"id": "b"}), **more), TASK)
    finished = careful.events(state.run_id, "model.finished")[0].data
    assert finished["thinking"] == {"measurable": False, "why": why}
    assert calls(careful, state.run_id) == ["plan", "act", "check"]


async def test_a_report_in_another_language_is_translated_and_becomes_the_answer(
    careful: World,
) -> None:
    script = (
        Script()
        .planner(plan({"id": "b"}))
        .executor("b", code("total = 12\ntotal"))
        .executor("b", report(result=f"{CHINESE} 12", values=["total"]))
        .checker(check())
    )
    script.lines.append(
        {"role": "executor", "step": "b", "attempt": 1, "turn": 2, "purpose": "translate",
         "text": words(f"{ENGLISH} 12"), "expect": CHINESE}
    )  # fmt: skip
    state = await careful.run(script, TASK)
    assert state.final == "done"
    assert state.answer is not None
    assert state.answer.text.startswith(ENGLISH)
    assert settled(careful, state.run_id) == [("translate", True, "")]
    first, second = careful.events(state.run_id, "step.reported")
    assert first.blobs == second.blobs
    assert first.data["values"] == second.data["values"]
    assert state.steps["b"].values["total"]["preview"] == "12"


@pytest.mark.parametrize(
    ("translation", "why"),
    [
        (words(f"{ENGLISH} 13"), "changed a number"),
        (words(ENGLISH, "and more"), "2 of 1 texts came back"),
        (words(f"{ENGLISH * 200} 12"), "too long for a report"),
        ("I would rather not.", "could not be read"),
    ],
)
async def test_a_translation_that_changes_a_fact_is_not_taken(
    careful: World, translation: str, why: str
) -> None:
    script = (
        Script()
        .planner(plan({"id": "b"}))
        .executor("b", report(result=f"{CHINESE} 12"))
        .checker(check())
    )
    script.lines.append(
        {"role": "executor", "step": "b", "attempt": 1, "turn": 1, "purpose": "translate",
         "text": translation}
    )  # fmt: skip
    state = await careful.run(script, TASK)
    assert state.answer is not None
    assert state.answer.text.startswith(CHINESE)
    assert why in settled(careful, state.run_id)[0][2]


async def test_a_plan_and_an_answer_are_translated_and_their_quotes_are_not(
    careful: World,
) -> None:
    steps = [{"id": "a", "objective": CHINESE}, {"id": "b", "objective": CHINESE, "deps": ["a"]}]
    said = {
        "text": f"{CHINESE} 12 [1]",
        "claims": [{"text": "十二", "source_ids": [1], "quote": "原文"}],
        "data": {"结果": 12},
    }
    script = (
        Script()
        .planner(plan(*steps))
        .executor("a", report(result="A dozen."))
        .executor("b", report(result="A dozen."))
        .planner(fenced("json", json.dumps(said)))
        .checker(check())
    )
    script.lines += [
        {"role": "planner", "turn": 1, "purpose": "translate", "text": words("Count.", "Sum up.")},
        {"role": "planner", "turn": 2, "purpose": "translate",
         "text": words(f"{ENGLISH} 12 [1]", "A dozen")},
    ]  # fmt: skip
    state = await careful.run(script, TASK)
    assert [s.step.objective for s in state.steps.values()] == ["Count.", "Sum up."]
    assert state.answer is not None
    assert state.answer.text == f"{ENGLISH} 12 [1]"
    assert state.answer.claims[0].text == "A dozen"
    assert (state.answer.claims[0].quote, state.answer.data) == ("原文", {"结果": 12})
    assert state.answer_number == 2


@pytest.mark.parametrize(
    ("task", "result"),
    [
        ("数一数文件里有多少个案例，并告诉我结果。", CHINESE * 2),
        ("Count the cases in the file and answer in Chinese.", CHINESE * 2),
        (TASK, "十二个。"),
        (TASK, f"{ENGLISH}\n```\n{CHINESE}\n```\n“{CHINESE}”"),
        ("1 + 1 = ?", CHINESE),
    ],
    ids=["same language", "asked for", "too short to tell", "code and quotes", "no language"],
)
async def test_what_is_in_the_language_that_was_asked_for_is_left_alone(
    careful: World, task: str, result: str
) -> None:
    script = Script().planner(plan({"id": "b"})).executor("b", report(result=result))
    state = await careful.run(script.checker(check()), task)
    assert calls(careful, state.run_id) == ["plan", "act", "check"]


async def test_a_reply_may_get_both_calls_but_each_only_once(careful: World) -> None:
    foreign = plan({"id": "b", "objective": CHINESE})
    script = simple().planner(foreign, reasoning=WANDERING)
    script.lines += [
        {"role": "planner", "turn": 1, "purpose": "commit", "text": foreign,
         "reasoning": WANDERING},
        {"role": "planner", "turn": 1, "purpose": "translate", "text": words(CHINESE)},
    ]  # fmt: skip
    state = await careful.run(script, TASK)
    assert calls(careful, state.run_id) == ["plan", "commit", "translate", "act", "check"]
    assert state.final == "done"


async def test_no_budget_is_used_up_by_a_further_call(careful: World) -> None:
    script = simple().planner(plan({"id": "b"}), reasoning=WANDERING)
    script.lines.append(
        {"role": "planner", "turn": 1, "purpose": "commit", "text": plan({"id": "b"})}
    )
    budget = BudgetLimits(calls=4)
    run_id = careful.submit(script, TASK, budget=budget)
    state = await careful.drive(run_id)
    assert state.final == "done"
    assert calls(careful, run_id) == ["plan", "act", "check"]
    assert "budget" in settled(careful, run_id)[0][2]


@pytest.mark.parametrize("stop_at", ["reply.doubted", "model.started commit"])
async def test_a_killed_driver_repeats_nothing_that_is_recorded(
    careful: World, stop_at: str
) -> None:
    def kill(event: Event) -> None:
        if stop_at in (event.type, f"{event.type} {event.data.get('purpose')}"):
            raise FenceLost("another driver has the run")

    script = simple().planner(plan({"id": "a"}), reasoning=WANDERING)
    script.lines.append(
        {"role": "planner", "turn": 1, "purpose": "commit", "text": plan({"id": "b"})}
    )
    run_id = careful.submit(script, TASK)
    with pytest.raises(FenceLost):
        await careful.drive(run_id, on_event=kill)
    state = await careful.drive(run_id)
    assert state.final == "done"
    assert state == fold(careful.history.events(run_id))
    finished = [e.data["purpose"] for e in careful.events(run_id, "model.finished")]
    assert finished == ["plan", "commit", "act", "check"]


async def test_a_saved_run_with_further_calls_can_be_carried_out_again(careful: World) -> None:
    script = simple().planner(plan({"id": "a"}), reasoning=WANDERING)
    script.lines.append(
        {"role": "planner", "turn": 1, "purpose": "commit", "text": plan({"id": "b"})}
    )
    first = await careful.run(script, TASK)
    models = dict.fromkeys(("planner", "executor", "checker"), f"recorded:{first.run_id}")
    again = await careful.run(script, TASK, models=models)
    assert again.final == "done"
    assert calls(careful, again.run_id) == calls(careful, first.run_id)
    assert settled(careful, again.run_id) == [("commit", True, "")]
