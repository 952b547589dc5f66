"""A call that is stopped under way is billed by its provider: the run's account shows it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from planner_app.domain.fold import fold
from planner_app.engine.settle import settle
from planner_app.models.limiter import Limiter
from planner_app.models.prices import Price
from planner_app.queue.submission import Submission
from planner_app.view.reducer import view_of
from tests.engine.providers import AT_ONCE, GOOD_CHECK, TEAM, Served
from tests.engine.test_provider_faults import PRICES, error, odd
from tests.engine.world import World, plan
from tests.loopback.fixtures import loopback
from tests.loopback.server import LoopbackServer, Reply

__all__ = ["loopback"]

PRICE = Price(1.0, 2.0)


class Driven:
    """A run that is being driven, and can be stopped in the middle."""

    def __init__(self, world: World) -> None:
        submission = Submission(text="What is 6 * 7?", models=TEAM, sandbox="unsafe-host")
        self.world = world
        self.run_id = world.queue.submit(submission, world.settings).run_id
        self.shown = shown_in(world)
        self.task = asyncio.create_task(world.drive(self.run_id))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.world.events(self.run_id, kind)]

    async def cancel(self) -> None:
        await asyncio.to_thread(self.world.queue.command, self.run_id, "cancel", {"reason": "no"})


def shown_in(world: World, step: str = "-") -> asyncio.Event:
    """Set once text of a reply came, of the planner's or of a step's."""
    live, shown = world.services.live, asyncio.Event()
    write = live.write

    def noting(run_id: str, move_id: str, kind: str, text: str) -> None:
        write(run_id, move_id, kind, text)
        if f"/{step}/" in move_id:
            shown.set()

    live.write = noting  # type: ignore[method-assign]
    return shown


@pytest.fixture
def stalled(world: World, loopback: LoopbackServer) -> Served:
    """A planner that falls silent in the middle of its reply."""
    loopback.serve("plans", odd("stalls"))
    loopback.serve("judges", GOOD_CHECK)
    return Served.by(world, loopback, models=PRICES)


async def test_a_cancelled_run_counts_the_call_under_way(world: World, stalled: Served) -> None:
    run = Driven(world)
    await asyncio.wait_for(run.shown.wait(), 30)
    await run.cancel()
    state = await run.task
    assert state.status == "cancelled"
    (lost,) = run.of("model.orphaned")
    usage = lost["usage"]
    assert usage["source"] == "estimated"
    assert usage["prompt_tokens"] > 100
    assert 0 < usage["completion_tokens"] < 20
    price = PRICE.cost(usage["prompt_tokens"], usage["completion_tokens"])
    assert lost["usd"] == state.spent.usd == state.spent.by_role["planner"] == price
    assert (state.spent.calls, world.services.daily.promised) == (1, 0)
    events = world.events(run.run_id)
    assert [event.type for event in events][-2:] == ["model.orphaned", "run.finished"]
    view = view_of(events)
    assert (view.spent.usd, view.spent.calls) == (price, 1)
    (told,) = [n for entry in view.timeline for n in entry.notes if "stopped under way" in n]
    assert f"taken as {usage['prompt_tokens'] + usage['completion_tokens']:,} tok, $" in told


async def test_a_process_that_stops_counts_its_call_before_it_leaves_and_the_next_goes_on(
    world: World, stalled: Served, loopback: LoopbackServer
) -> None:
    run = Driven(world)
    await asyncio.wait_for(run.shown.wait(), 30)
    run.task.cancel()
    await asyncio.gather(run.task, return_exceptions=True)
    state = fold(world.events(run.run_id))
    (lost,) = run.of("model.orphaned")
    assert state.open == {}
    assert state.spent.usd == lost["usd"] > 0
    loopback.serve("plans", AT_ONCE)
    state = await world.drive(run.run_id)
    assert state.status == "done"
    paid = [call["usd"] for call in run.of("model.finished")]
    assert state.spent.usd == pytest.approx(lost["usd"] + sum(paid))
    assert len(run.of("model.orphaned")) == 1


async def test_a_call_that_waits_for_its_next_try_costs_nothing_more(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", odd("cut"))
    Served.by(world, loopback, models=PRICES)
    stuck = asyncio.Event()

    async def wait(_: float) -> None:
        stuck.set()
        await asyncio.Event().wait()

    world.services.limiter = Limiter(clock=asyncio.get_running_loop().time, sleep=wait)
    run = Driven(world)
    await asyncio.wait_for(stuck.wait(), 30)
    await run.cancel()
    state = await run.task
    (tried,), (lost,) = run.of("model.retried"), run.of("model.orphaned")
    assert (lost["usage"]["source"], lost["usd"]) == ("none", 0.0)
    assert state.spent.usd == tried["usd"] > 0


async def test_calls_beside_one_that_ends_the_run_are_counted(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", Reply(plan({"id": "a"}, {"id": "b", "objective": "the slow one"})))
    loopback.serve(
        "codes",
        odd("stalls", when="the slow one"),
        dataclasses.replace(error(500), when="do a"),
        error(401),
    )
    served, shown = Served.by(world, loopback, models=PRICES), shown_in(world, "b")

    async def wait(_: float) -> None:
        await asyncio.wait_for(shown.wait(), 30)

    world.services.limiter = Limiter(clock=asyncio.get_running_loop().time, sleep=wait)
    told = await served.run()
    assert told.state.status == "failed"
    (lost,) = [event for event in told.events if event.type == "model.orphaned"]
    assert lost.step_id == "b"
    assert lost.data["usd"] == told.state.spent.by_step["b"] > 0


async def test_a_call_whose_process_was_killed_is_charged_with_all_that_was_reserved(
    world: World, stalled: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Driven(world)
    await asyncio.wait_for(run.shown.wait(), 30)
    monkeypatch.setattr(world.services.live, "end", lambda *_: None)
    # A killed process writes nothing any more.
    monkeypatch.setattr(world.history, "append", None)
    run.task.cancel()
    await asyncio.gather(run.task, return_exceptions=True)
    monkeypatch.undo()
    (started,) = run.of("model.started")
    assert run.of("model.orphaned") == []
    await run.cancel()
    me = await asyncio.to_thread(world.queue.join, "run")
    lease = await asyncio.to_thread(world.queue.claim, me.worker_id, run.run_id)
    assert lease is not None
    state = await settle(lease, world.history, world.queue)
    await asyncio.to_thread(me.leave)
    (lost,) = run.of("model.orphaned")
    assert (lost["usage"], lost["usd"]) == (None, started["reserved_usd"])
    assert state.status == "cancelled"
    assert (state.spent.usd, state.spent.tokens) == (lost["usd"], started["reserved_tokens"])
