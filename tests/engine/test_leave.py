"""What a person may rely on when an action asks for leave while it runs."""

from __future__ import annotations

from planner_app.domain.state import RunState
from tests.engine.test_people import Driven, one_action
from tests.engine.world import Script, World, check, code, report

VISIT = """
for page in {pages}:
    try:
        fetch("https://elsewhere.example/" + page)
    except ToolError as error:
        print(page, error)
"""


def visiting(*pages: str) -> Script:
    return one_action(VISIT.format(pages=list(pages)))


def ended(script: Script) -> Script:
    return script.executor("a", report()).checker(check())


async def test_a_yes_once_holds_for_the_action_and_not_for_the_next(world: World) -> None:
    script = visiting("one", "two").executor("a", code(VISIT.format(pages=["three"])))
    run = Driven(world, world.submit(ended(script), net="seen"))
    await run.until("question.asked")
    await run.say("approve")
    await run.until("question.asked", lambda e: e.data["question_id"] == "q2")
    await run.say("reject", reason="enough")
    state = await run.ended()
    assert state.status == "done"
    assert len(world.events(run.run_id, "question.asked")) == 2
    assert "one" in world.observation(run.run_id, 0)
    assert "may not ask" not in world.observation(run.run_id, 0)
    assert "may not ask" in world.observation(run.run_id, 1)


async def test_a_no_for_the_run_is_not_asked_about_again(world: World) -> None:
    script = visiting("one", "two").executor("a", code(VISIT.format(pages=["three"])))
    run = Driven(world, world.submit(ended(script), net="seen"))
    await run.until("question.asked")
    await run.say("reject", reason="never", scope="run")
    state = await run.ended()
    assert state.status == "done"
    assert len(world.events(run.run_id, "question.asked")) == 1
    assert world.observation(run.run_id, 1).count("may not ask") == 1


async def test_calls_side_by_side_ask_for_a_host_once(world: World) -> None:
    both = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def visit(page):\n    try:\n        fetch('https://elsewhere.example/' + page)\n"
        "    except ToolError as error:\n        return str(error)\n"
        "with ThreadPoolExecutor(2) as pool:\n    print(list(pool.map(visit, ['one', 'two'])))"
    )
    run = Driven(world, world.submit(ended(one_action(both)), net="seen"))
    await run.until("tool.started", lambda e: e.move_id.startswith("tool.2"))
    await run.say("reject", reason="no")
    state = await run.ended()
    assert state.status == "done"
    asked = len(world.events(run.run_id, "question.asked"))
    closed = [e.data["how"] for e in world.events(run.run_id, "question.closed")]
    assert (asked, closed) == (1, ["rejected"])


async def test_an_action_that_waits_gives_its_driver_back_and_costs_no_time(world: World) -> None:
    run_id = world.submit(ended(visiting("one")), net="seen")
    state: RunState = await world.drive(run_id)
    assert state.status == "waiting_user"
    spent = state.active_seconds
    world.queue.command(run_id, "approve", {})
    state = await world.drive(run_id)
    assert state.status == "done"
    assert len(world.events(run_id, "question.asked")) == 1, "a yes is not asked for twice"
    asked = world.events(run_id, "question.asked")[0]
    closed = world.events(run_id, "question.closed")[0]
    waited = (closed.at - asked.at).total_seconds()
    assert spent > 0
    assert state.active_seconds <= (state.last_at - state.created_at).total_seconds() - waited
