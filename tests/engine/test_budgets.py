"""No run spends more than it may, whatever runs side by side, and none stops without saying why."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from planner_app.domain.catalogue import BudgetLimits
from planner_app.domain.errors import BadInput
from planner_app.domain.events import Event
from planner_app.domain.fold import apply
from planner_app.domain.state import RunState
from planner_app.engine.first_call import check_budget
from planner_app.models.port import ModelSpec
from tests.engine.providers import AT_ONCE, GOOD_CHECK, PLANNER, TEAM, Served
from tests.engine.test_provider_faults import error, odd
from tests.engine.world import Script, World, check, code, fenced, plan, report
from tests.loopback.fixtures import loopback
from tests.loopback.server import LoopbackServer, Reply

__all__ = ["loopback"]

PRICES: dict[str, Any] = {"prices": {"openai/": {"input": 1.0, "output": 10.0}}}


def highest(events: list[Event]) -> tuple[float, int]:
    """Most dollars and tokens that were spent and promised at any moment of a run."""
    state: RunState | None = None
    usd, tokens = 0.0, 0
    for event in events:
        state = apply(state, event)
        promised = [move for move in state.open.values() if move.kind == "model"]
        usd = max(usd, state.spent.usd + sum(move.usd or 0.0 for move in promised))
        tokens = max(tokens, state.spent.tokens + sum(move.tokens for move in promised))
    return usd, tokens


def serve_three(server: LoopbackServer) -> None:
    """Three steps side by side."""
    answered = fenced("json", '{"text": "It is so.", "claims": []}')
    server.serve("plans", Reply(plan({"id": "a"}, {"id": "b"}, {"id": "c"})), Reply(answered))
    server.serve("codes", Reply(report(result="It is 42."), usage="apart"))
    server.serve("judges", GOOD_CHECK)


@pytest.mark.parametrize("usd", [0.02, 0.06, 0.15, 0.4])
async def test_steps_side_by_side_never_promise_more_than_the_budget_together(
    world: World, loopback: LoopbackServer, usd: float
) -> None:
    serve_three(loopback)
    served = Served.by(world, loopback, models=PRICES)
    told = await served.run(budget=BudgetLimits(usd=usd), headless=True)
    most, _ = highest(told.events)
    assert 0 < most <= usd
    assert told.state.final is not None
    assert told.state.answer is not None, told.problem


@pytest.mark.parametrize("tokens", [6_000, 20_000, 60_000])
async def test_nor_more_tokens(world: World, loopback: LoopbackServer, tokens: int) -> None:
    serve_three(loopback)
    told = await Served.by(world, loopback).run(budget=BudgetLimits(tokens=tokens), headless=True)
    _, most = highest(told.events)
    assert 0 < most <= tokens
    assert told.state.final is not None


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"usd": 0.002}, r"$0.0000 of $0.002 are spent, and the next call may cost $0.01"),
        ({"tokens": 300}, "0 of 300 tokens are used, and the next call may take "),
        ({"calls": 0}, "0 of 0 model calls are made, and 2 are kept for the answer"),
        ({"calls": 2}, "0 of 2 model calls are made, and 2 are kept for the answer"),
    ],
)
async def test_a_budget_too_small_for_one_call_is_said_and_nothing_is_asked(
    world: World, loopback: LoopbackServer, limits: dict[str, float], says: str
) -> None:
    served = Served.by(world, loopback, models=PRICES)
    told = await served.run(budget=BudgetLimits.model_validate(limits), headless=True)
    assert (told.state.status, loopback.requests) == ("failed", [])
    assert says in told.problem


@pytest.mark.parametrize("which", ["tokens", "usd", "calls"])
async def test_the_budget_that_is_named_to_who_gave_too_little_is_enough(
    world: World, loopback: LoopbackServer, which: str
) -> None:
    loopback.serve("plans", AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    served = Served.by(world, loopback, models=PRICES)
    client = await world.services.models(None)
    limits = dict.fromkeys(("usd", "tokens", "seconds", "calls", "actions"))
    little = BudgetLimits.model_validate(limits | {which: 0.00001 if which == "usd" else 1})
    with pytest.raises(BadInput, match="allow ") as caught:
        check_budget(client, ModelSpec(name=PLANNER), little, "What is 6 * 7?")
    named = re.search(r"allow \$?([\d,.]+) or more", str(caught.value))
    assert named is not None
    enough = BudgetLimits.model_validate(limits | {which: float(named[1].replace(",", ""))})
    told = await served.run(budget=enough, headless=True)
    assert told.state.status == "done", told.problem


async def test_a_dear_model_gets_shorter_replies_rather_than_none(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    dear = {"prices": {"openai/": {"input": 15.0, "output": 600.0}}}
    told = await Served.by(world, loopback, models=dear).run(
        budget=BudgetLimits(usd=2.0), headless=True
    )
    assert told.state.status == "done"
    asked = [request["max_tokens"] for request in loopback.requests]
    assert 1_000 <= asked[0] < 8_000
    assert highest(told.events)[0] <= 2.0


async def test_a_run_at_its_budget_still_answers_and_is_checked(
    world: World, loopback: LoopbackServer
) -> None:
    serve_three(loopback)
    told = await Served.by(world, loopback).run(budget=BudgetLimits(calls=4), headless=True)
    assert told.state.status == "partial"
    assert "model calls are made" in told.problem
    assert [r["model"] for r in loopback.requests] == ["plans", "codes", "plans", "judges"]


async def test_failed_tries_that_are_billed_cannot_pass_the_budget(
    world: World, loopback: LoopbackServer
) -> None:
    half = odd("cut", text="word " * 2_000, chunk=2_000)  # each costs some 1.4 cents
    loopback.serve("plans", half)
    served = Served.by(world, loopback, models=PRICES)
    told = await served.run(budget=BudgetLimits(usd=0.15), headless=True)
    assert told.state.status == "failed"
    assert "and the budget does not pay for another try" in told.problem
    assert 0 < told.state.spent.usd <= 0.15
    assert 1 < len(loopback.requests) < 6


async def test_tries_that_cost_nothing_go_on_at_the_last_call_of_a_budget(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", error(500), error(500), AT_ONCE)
    loopback.serve("judges", error(500), GOOD_CHECK)
    told = await Served.by(world, loopback).run(budget=BudgetLimits(calls=3), headless=True)
    assert told.state.status == "done"
    assert told.state.spent.calls == 2


async def test_an_unknown_price_is_held_by_the_other_limits_and_told(
    world: World, loopback: LoopbackServer
) -> None:
    serve_three(loopback)
    told = await Served.by(world, loopback).run(
        budget=BudgetLimits(usd=0.0001, calls=20), headless=True
    )
    assert told.state.status == "done"
    assert told.state.spent.unpriced_calls == told.state.spent.calls == 6


# --- more, when a person says so -----------------------------------------------------------------


def two_turns() -> Script:
    script = Script().planner(plan({"id": "a"}))
    return script.executor("a", code("1")).executor("a", report()).checker(check())


@pytest.mark.parametrize("words", [("budget", {"limits": {"calls": 40.0}}), ("approve", {})])
async def test_a_run_that_waits_for_a_budget_goes_on_when_it_gets_one(
    world: World, words: tuple[Any, dict[str, Any]]
) -> None:
    run_id = world.submit(two_turns(), budget=BudgetLimits(calls=4))
    waiting = await world.drive(run_id)
    assert waiting.status == "waiting_user"
    await asyncio.to_thread(world.queue.command, run_id, *words)
    state = await world.drive(run_id)
    assert (state.status, state.questions) == ("done", {})
    assert state.budget.calls == (40 if words[0] == "budget" else 8)


async def test_a_budget_that_is_raised_too_little_is_asked_about_again(world: World) -> None:
    run_id = world.submit(two_turns(), budget=BudgetLimits(calls=4))
    await world.drive(run_id)
    await asyncio.to_thread(world.queue.command, run_id, "budget", {"limits": {"usd": 9.0}})
    state = await world.drive(run_id)
    assert state.status == "waiting_user"
    assert [q.kind for q in state.questions.values()] == ["budget"]
    assert len(world.events(run_id, "question.asked")) == 2


async def test_a_budget_that_nobody_raises_ends_the_work_with_why(world: World) -> None:
    run_id = world.submit(two_turns(), budget=BudgetLimits(calls=4))
    await world.drive(run_id)
    await asyncio.to_thread(world.queue.command, run_id, "reject", {"reason": "enough"})
    state = await world.drive(run_id)
    assert state.status == "failed"
    assert state.reason == "the budget is used up: calls, and no more was allowed"


# --- a day's dollars -----------------------------------------------------------------------------


async def test_a_day_s_budget_that_is_used_up_ends_a_run_at_once(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    served = Served.by(world, loopback, models=PRICES, budget={"daily_usd": 0.1})
    first = await served.run()
    assert first.state.status == "done"
    served = Served.by(world, loopback, models=PRICES, budget={"daily_usd": first.state.spent.usd})
    asked = len(loopback.requests)
    async with asyncio.timeout(20):
        told = await served.run()
    assert (told.state.status, len(loopback.requests)) == ("failed", asked)
    assert "of today's are left, and the next call may cost $" in told.problem
    assert [data["which"] for data in told.of("budget.used_up")] == ["daily_usd"]


async def test_failing_tries_end_with_the_day_s_budget(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", odd("cut", text="word " * 2_000, chunk=2_000))
    served = Served.by(world, loopback, models=PRICES, budget={"daily_usd": 0.1})
    async with asyncio.timeout(20):
        told = await served.run()
    assert told.state.status == "failed"
    assert 0 < told.state.spent.usd <= 0.1
    assert len(loopback.requests) < 6


async def test_runs_side_by_side_never_promise_more_than_the_day_has(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", Reply(AT_ONCE.text, chunk=20, tokens_per_s=500))
    loopback.serve("judges", GOOD_CHECK)
    # One call's worst case is some 9 cents, what it really costs under one.
    served = Served.by(world, loopback, models=PRICES, budget={"daily_usd": 0.13})
    daily = world.services.daily
    promise, seen = daily.promise, []

    def noting(call: tuple[str, str], usd: float | None) -> None:
        promise(call, usd)
        seen.append((daily.promised, daily.left()))

    daily.promise = noting  # type: ignore[method-assign]
    told = await asyncio.gather(*(served.run(models=TEAM) for _ in range(3)))
    assert [one.state.status for one in told] == ["done"] * 3
    assert len(seen) >= 6
    assert all(left is not None and promised <= left for promised, left in seen)
    assert daily.promised == 0
