"""What a person may rely on when they add messages to a run that goes on."""

from __future__ import annotations

import pytest

from planner_app.domain.events import Event
from planner_app.history import watch
from planner_app.models.port import Message
from planner_app.settings import TeamSettings
from tests.engine.test_people import Driven
from tests.engine.world import Script, World, answer, check, code, fenced, plan, report


def told(world: World, run_id: str) -> list[tuple[str, str, str]]:
    """(role, step, text) of every new message to a model."""
    return [
        (
            e.data["role"],
            e.step_id or "",
            Message.model_validate_json(world.history.get_blob(sha)).content,
        )
        for e in world.events(run_id, "model.started")
        for sha in e.data["appended"][-1:]
    ]


async def test_the_trace_says_which_agents_a_message_reached(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b", "deps": ["a"]}))
    script.executor("a", code("1")).executor("a", report())
    script.executor("b", code("2")).executor("b", report())
    script.planner(answer("So.", 1)).checker(check())
    run_id = world.submit(script)
    world.queue.command(run_id, "steer", {"text": "in metres"})
    world.queue.command(run_id, "steer", {"text": "and in feet"})
    state = await Driven(world, run_id).ended()
    assert state.status == "done"
    seqs = [e.seq for e in world.events(run_id, "user.steered")]
    calls = world.events(run_id, "model.started")
    readers = [(e.data["role"], e.step_id) for e in calls if e.data["said"] == seqs]
    assert readers == [("planner", None), ("executor", "a"), ("executor", "b")]
    for role, step, text in told(world, run_id)[:2]:
        assert text.index("in metres") < text.index("and in feet"), (role, step)


async def test_a_message_to_a_run_that_waits_is_told_with_the_answer(world: World) -> None:
    script = Script().planner(plan({"id": "a"})).executor("a", code("ask_user('Which?')"))
    script.executor("a", report(), expect="The person adds: be brief").checker(check())
    run_id = world.submit(script)
    assert (await world.drive(run_id)).status == "waiting_user"
    world.queue.command(run_id, "steer", {"text": "be brief"})
    assert (await world.drive(run_id)).status == "waiting_user"
    world.queue.command(run_id, "answer", {"text": "this one"})
    state = await world.drive(run_id)
    assert state.status == "done"
    (last,) = [text for role, _, text in told(world, run_id)[2:] if role == "executor"]
    assert "The person's answer: this one" in last


async def test_a_message_that_comes_while_the_answer_is_checked_is_not_lost(world: World) -> None:
    script = Script().planner(plan({"id": "a"})).executor("a", code("1"))
    script.executor("a", report(result="It is so.")).checker(check(), tokens_per_s=40)
    script.planner(fenced("json", '{"decision": "continue"}'), expect="The person adds: and why")
    script.planner(answer("It is so, because it is.", 1)).checker(check())
    run = Driven(world, world.submit(script))
    await run.until("model.started", lambda e: e.data["role"] == "checker")
    await run.say("steer", text="and why?")
    state = await run.ended()
    assert state.status == "done"
    assert state.answer is not None
    assert state.answer.text.startswith("It is so, because it is")


async def test_what_was_said_at_the_last_moment_is_read_before_the_run_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("BRISK_SECONDS", "QUIET_SECONDS"):
        monkeypatch.setattr(watch, pause, 0.5)  # nobody tells the driver in time
    script = Script().planner(plan({"id": "a"})).executor("a", code("1"))
    script.executor("a", report(result="It is so.")).checker(check())
    script.planner(fenced("json", '{"decision": "continue"}'), expect="The person adds: and why")
    script.planner(answer("It is so, because it is.", 1)).checker(check())
    run_id = world.submit(script)
    sent: list[str] = []

    def say(event: Event) -> None:
        if event.type == "answer.checked" and not sent:  # the end would be next
            sent.append(world.queue.command(run_id, "steer", {"text": "and why?"}))

    state = await world.drive(run_id, on_event=say)
    assert state.status == "done"
    assert state.answer is not None
    assert "because it is" in state.answer.text
    assert world.queue.unread_commands(run_id) == []


@pytest.mark.parametrize("reply", ["approve", "reject"])
async def test_whoever_gives_no_words_is_not_put_words_into_the_mouth(
    world: World, reply: str
) -> None:
    script = Script().planner(plan({"id": "a"}))
    script.executor("a", code("ask_user('Which one?', default='the first')"))
    expect = {"approve": "What stands instead", "reject": "they do not want to answer"}[reply]
    script.executor("a", report(), expect=expect).checker(check())
    run = Driven(world, world.submit(script))
    await run.until("question.asked")
    await run.say(reply, **({"reason": "private"} if reply == "reject" else {}))
    assert (await run.ended()).status == "done"


async def test_one_model_that_does_all_alone_hears_messages_too(world: World) -> None:
    script = Script().executor("solo", code("1"), expect="in metres")
    script.executor("solo", report(result="It is 3 m.")).checker(check())
    name = script.save(world.folder / "solo.jsonl")
    alone = TeamSettings(planner=name, mode="solo")
    settings = world.settings.model_copy(update={"teams": {"default": alone}})
    world.settings = world.services.settings = settings
    run_id = world.submit(script)
    world.queue.command(run_id, "steer", {"text": "in metres"})
    state = await world.drive(run_id)
    assert (state.mode, state.status) == ("solo", "done"), state.reason
