"""What a person may rely on when they answer, steer, approve, stop or cancel a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from planner_app.domain.errors import HistoryError
from planner_app.domain.events import Event
from planner_app.domain.state import RunState
from planner_app.queue.port import Command
from tests.engine.world import Script, World, answer, check, code, fenced, plan, report


class Driven:
    """A run that is being driven in the background of a test."""

    def __init__(self, world: World, run_id: str) -> None:
        self.run_id = run_id
        self._world = world
        self._seen: list[Event] = []
        self._tellers: set[asyncio.Task[None]] = set()
        self._new = asyncio.Condition()
        self.task = asyncio.create_task(world.drive(run_id, on_event=self._note, wait_s=30))

    def _note(self, event: Event) -> None:
        self._seen.append(event)
        teller = asyncio.create_task(self._tell())
        self._tellers.add(teller)
        teller.add_done_callback(self._tellers.discard)

    async def _tell(self) -> None:
        async with self._new:
            self._new.notify_all()

    async def until(self, kind: str, holds: Callable[[Event], bool] = lambda _: True) -> Event:
        """The first event of a type that has a property."""

        def found() -> Event | None:
            return next((e for e in self._seen if e.type == kind and holds(e)), None)

        async with asyncio.timeout(20), self._new:
            await self._new.wait_for(lambda: found() is not None)
        event = found()
        assert event is not None
        return event

    async def say(self, kind: str, **data: object) -> None:
        """Leaves a command, as another process would."""
        await asyncio.to_thread(self._world.queue.command, self.run_id, kind, data)

    async def ended(self) -> RunState:
        """The state at the end."""
        async with asyncio.timeout(30):
            return await self.task


def one_action(text: str) -> Script:
    return Script().planner(plan({"id": "a"})).executor("a", code(text))


async def test_a_question_from_an_action_waits_for_its_answer_with_the_state_kept(
    world: World,
) -> None:
    script = one_action("kept = 'here'\nask_user('Which one?', default='the first')\nkept = 'lost'")
    script.executor("a", code("print(kept)"), expect="The person's answer: the second")
    script.executor("a", report()).checker(check())
    run = Driven(world, world.submit(script))
    asked = await run.until("question.asked")
    assert asked.data["questions"][0] == {"text": "Which one?", "default": "the first"}
    await run.say("answer", text="the second")
    state = await run.ended()
    assert state.status == "done"
    assert "here" in world.observation(run.run_id, 1)


async def test_without_anyone_to_ask_the_default_stands(world: World) -> None:
    script = one_action("ask_user('Which one?', default='the first')")
    script.executor("a", report(), expect="the first").checker(check())
    state = await world.run(script, no_input=True)
    assert state.status == "done"


async def test_a_waiting_run_gives_its_driver_back_and_goes_on_later(world: World) -> None:
    script = one_action("n = 41\nask_user('More?')")
    script.executor("a", code("print(n + 1)"), expect="The person's answer: yes")
    script.executor("a", report()).checker(check())
    run_id = world.submit(script)
    state = await world.drive(run_id)
    assert state.status == "waiting_user"
    world.queue.command(run_id, "answer", {"text": "yes"})
    state = await world.drive(run_id)
    assert state.status == "done"
    assert "42" in world.observation(run_id, 1)
    assert [e.data["actions"] for e in world.events(run_id, "session.rebuilt")] == [1]


async def test_a_vague_task_is_asked_about_once_before_planning(world: World) -> None:
    questions = {"steps": [], "questions": [{"text": "Which year?", "default": "2025"}]}
    script = Script().planner(fenced("json", json.dumps(questions)))
    script.planner(plan({"id": "a"}), expect="The person's answer: 2024")
    script.executor("a", report()).checker(check())
    run = Driven(world, world.submit(script))
    await run.until("question.asked")
    await run.say("answer", text="2024")
    assert (await run.ended()).status == "done"


async def test_a_person_may_edit_the_plan_they_approve(world: World) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b"}))
    script.executor("mine", report()).checker(check())
    run = Driven(world, world.submit(script, approve="plan"))
    await run.until("question.asked", lambda e: e.data["kind"] == "plan")
    edited = {"steps": [{"id": "mine", "objective": "my own step"}]}
    await run.say("approve", plan=edited)
    state = await run.ended()
    assert state.status == "done"
    assert [e.data["by"] for e in world.events(run.run_id, "plan.accepted")] == ["user"]
    assert list(state.steps) == ["mine"]


async def test_a_refused_plan_goes_back_with_the_reason(world: World) -> None:
    script = Script().planner(plan({"id": "a"}))
    script.planner(plan({"id": "b"}), expect="too expensive").executor("b", report())
    script.checker(check())
    run = Driven(world, world.submit(script, approve="plan"))
    await run.until("question.asked")
    await run.say("reject", reason="too expensive")
    await run.until("question.asked", lambda e: e.data["question_id"] == "q2")
    await run.say("approve")
    assert (await run.ended()).status == "done"


async def test_an_action_waits_for_approval_and_a_refusal_reaches_the_model(world: World) -> None:
    script = one_action("print('first')")
    script.executor("a", code("print('second')"), expect="did not allow")
    script.executor("a", report()).checker(check())
    run = Driven(world, world.submit(script, approve="actions"))
    await run.until("question.asked")
    await run.say("reject", reason="not now")
    await run.until("question.asked", lambda e: e.data["question_id"] == "q2")
    await run.say("approve", scope="run")
    assert (await run.ended()).status == "done"
    started = world.events(run.run_id, "action.started")
    assert [e.data["code_head"] for e in started] == ["print('second')"]


async def test_an_interrupt_stops_the_action_and_keeps_the_task(world: World) -> None:
    under_way = "n = 1\nopen('x', 'w')\nsave_artifact('x', 'x')\nimport time\ntime.sleep(60)"
    script = one_action(under_way)
    script.executor("a", code("print(n)"), expect="The person stopped the action")
    script.executor("a", report()).checker(check())
    run = Driven(world, world.submit(script))
    await run.until("tool.finished")
    await run.say("interrupt")
    state = await run.ended()
    assert state.status == "done"
    assert [e.data["status"] for e in world.events(run.run_id, "action.finished")] == [
        "interrupted",
        "ok",
    ]


async def test_a_cancel_ends_the_run_at_once_and_keeps_its_trace(world: World) -> None:
    run = Driven(world, world.submit(one_action("import time; time.sleep(60)")))
    await run.until("action.started")
    await run.say("cancel", reason="enough")
    state = await run.ended()
    assert (state.status, state.reason) == ("cancelled", "enough")
    assert world.events(run.run_id)[-1].type == "run.finished"


async def test_a_driver_that_cannot_hear_what_people_say_does_not_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = world.submit(one_action("import time; time.sleep(60)"))
    unread = world.queue.unread_commands

    def deaf(run_id: str) -> list[Command]:
        if world.events(run_id, "action.started"):
            raise HistoryError("the history cannot be read")
        return unread(run_id)

    monkeypatch.setattr(world.queue, "unread_commands", deaf)
    with pytest.raises(HistoryError, match="cannot be read"):
        async with asyncio.timeout(30):
            await world.drive(run_id)


async def test_a_history_that_fails_at_the_start_does_not_end_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> bytes:
        raise HistoryError("the history cannot be read")

    run_id = world.submit(one_action("1").executor("a", report()).checker(check()))
    with monkeypatch.context() as patch:
        patch.setattr(world.history, "get_blob", fails)
        with pytest.raises(HistoryError, match="cannot be read"):
            await world.drive(run_id)
    assert (await world.drive(run_id)).status == "done"


async def test_a_message_reaches_the_executor_at_its_next_turn(world: World) -> None:
    script = one_action("import time; time.sleep(0.5)")
    script.executor("a", report(), expect="The person adds: use metres").checker(check())
    run = Driven(world, world.submit(script))
    await run.until("action.started")
    await run.say("steer", text="use metres")
    assert (await run.ended()).status == "done"


async def test_a_paused_run_starts_nothing_until_it_is_resumed(world: World) -> None:
    script = one_action("import time; time.sleep(0.3)").executor("a", report()).checker(check())
    run_id = world.submit(script)
    world.queue.command(run_id, "pause", {})
    state = await world.drive(run_id)
    assert state.status == "paused"
    assert not world.events(run_id, "model.started")
    world.queue.command(run_id, "resume", {})
    assert (await world.drive(run_id)).status == "done"


async def test_a_new_host_under_seen_is_asked_for_and_refused_without_anyone(
    world: World,
) -> None:
    script = one_action(
        "try:\n    fetch('https://elsewhere.example/')\nexcept ToolError as e:\n    print('no:', e)"
    )
    script.executor("a", report()).checker(check())
    state = await world.run(script, net="seen", no_input=True)
    assert state.status == "done"
    assert [e.data["kind"] for e in world.events(state.run_id, "tool.failed")] == ["approval"] or [
        e.data["kind"] for e in world.events(state.run_id, "tool.failed")
    ] == ["policy"]
    assert "no:" in world.observation(state.run_id)


async def test_a_command_that_makes_no_sense_becomes_a_note(world: World) -> None:
    run_id = world.submit(one_action("1").executor("a", report()).checker(check()))
    world.queue.command(run_id, "answer", {"text": "to no question"})
    state = await world.drive(run_id)
    assert state.status == "done"
    assert not world.queue.unread_commands(run_id)


async def test_an_answer_may_be_put_together_after_a_person_widens_the_budget(
    world: World,
) -> None:
    script = Script().planner(plan({"id": "a"}, {"id": "b"}))
    for step in ("a", "b"):
        script.executor(step, code("1")).executor(step, report())
    script.planner(answer("Both.", 1)).checker(check())
    run_id = world.submit(script)
    world.queue.command(run_id, "budget", {"limits": {"calls": 90}})
    state = await world.drive(run_id)
    assert (state.status, state.budget.calls) == ("done", 90)


async def test_a_host_that_was_allowed_for_the_run_is_not_asked_for_again(world: World) -> None:
    visit = "try:\n    fetch('https://elsewhere.example/{}')\nexcept ToolError as e:\n    print(e)"
    script = one_action(visit.format("one")).executor("a", code(visit.format("two")))
    script.executor("a", report()).checker(check())
    run = Driven(world, world.submit(script, net="seen"))
    asked = await run.until("question.asked")
    assert (asked.data["kind"], asked.data["about"]) == ("network", "ask elsewhere.example")
    await run.say("approve", scope="run")
    state = await run.ended()
    assert state.status == "done"
    assert state.allowed == ("network ask elsewhere.example",)
    assert len(world.events(run.run_id, "question.asked")) == 1
