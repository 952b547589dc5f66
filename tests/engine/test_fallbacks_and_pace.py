"""Another model takes over from one that fails, and one provider's 429 slows all runs, once."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from planner_app.engine.model_access import model_options
from planner_app.models.limiter import Limiter
from planner_app.models.litellm_client import LiteLLMClient
from tests.engine.providers import (
    AT_ONCE,
    CANARY,
    GOOD_CHECK,
    TEAM,
    Served,
    Told,
)
from tests.engine.test_provider_faults import error
from tests.engine.world import World, code, plan, report
from tests.loopback.fixtures import loopback
from tests.loopback.server import LoopbackServer, Reply

__all__ = ["loopback"]


def team(*fallbacks: str, **more: Any) -> dict[str, Any]:
    return {"default": TEAM | {"fallbacks": list(fallbacks)} | more}


def asked(server: LoopbackServer) -> list[str]:
    return [request["model"] for request in server.requests]


def switches(told: Told) -> list[tuple[str, str | None]]:
    return [(failed["model"], failed["next_model"]) for failed in told.of("model.failed")]


async def test_each_fallback_is_tried_once_and_in_order(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", error(401))
    loopback.serve("spare", error(404))
    loopback.serve("last", AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    names = team("openai/spare", "openai/plans", "openai/spare", "openai/last")
    told = await Served.by(world, loopback, teams=names).run()
    assert told.state.status == "done"
    assert asked(loopback) == ["plans", "spare", "last", "judges"]
    assert switches(told) == [("openai/plans", "openai/spare"), ("openai/spare", "openai/last")]
    assert told.state.models["planner"] == "openai/last"
    assert told.lines[0].startswith("✗ planner model: the key for openai/plans was refused")
    assert told.lines[0].endswith("; openai/spare takes over")


@pytest.mark.parametrize(
    ("fallbacks", "tried"),
    [
        (("openai/plans",), ["plans"]),
        (("openai/spare",), ["plans", "spare"]),
        (("openai/spare", "openai/plans", "openai/spare"), ["plans", "spare"]),
    ],
)
async def test_a_circle_of_fallbacks_ends(
    world: World, loopback: LoopbackServer, fallbacks: tuple[str, ...], tried: list[str]
) -> None:
    loopback.serve("*", error(403, "closed"))
    told = await Served.by(world, loopback, teams=team(*fallbacks)).run()
    assert (told.state.status, asked(loopback)) == ("failed", tried)
    assert told.of("model.failed")[-1]["next_model"] is None
    assert f"openai/{tried[-1]}: " in told.problem


async def test_a_circle_ends_also_when_another_process_goes_on_with_the_run(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("*", error(403, "closed"))
    loopback.serve("spare", AT_ONCE)
    served = Served.by(world, loopback, teams=team("openai/spare", "openai/plans"))
    stuck = asyncio.Event()

    async def wait(_: float) -> None:
        stuck.set()
        await asyncio.Event().wait()

    world.services.limiter = Limiter(clock=time.monotonic, sleep=wait)
    loopback.serve("judges", error(500))
    first = asyncio.create_task(served.run())
    await stuck.wait()  # the check is to be tried again, and its process ends
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    run_id = world.history.runs()[0].run_id
    world.services.limiter = Limiter(clock=time.monotonic)
    loopback.serve("*", error(403, "closed"))
    loopback.serve("spare", error(403))
    loopback.serve("judges", GOOD_CHECK)
    state = await world.drive(run_id)
    assert state.status == "done"
    assert state.gone == {"planner": ("openai/plans",)}


async def test_the_fallback_s_price_profile_and_limits_are_used(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", error(503))
    loopback.serve("deepseek-r1", AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    prices = {
        "openai/plans": {"input": 1, "output": 1},
        "openai/deepseek-r1": {"input": 3, "output": 9},
    }
    told = await Served.by(
        world, loopback, teams=team("openai/deepseek-r1"), models={"prices": prices}
    ).run()
    before, after, _ = told.of("model.started")
    assert (before["profile"], after["profile"]) == ("unknown", "deepseek-r1")
    assert after["params"]["max_tokens"] > before["params"]["max_tokens"]
    assert after["reserved_usd"] > 5 * before["reserved_usd"]
    paid = told.of("model.finished")[0]
    assert paid["usd"] == pytest.approx(
        (3 * paid["usage"]["prompt_tokens"] + 9 * paid["usage"]["completion_tokens"]) / 1e6
    )
    sent = [r for r in loopback.requests if r["model"] == "deepseek-r1"]
    assert "system" not in [message["role"] for message in sent[0]["messages"]]


async def test_a_fallback_goes_on_with_the_step_and_repeats_no_action(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", Reply(plan({"id": "a"})))
    loopback.serve("codes", Reply(code("print(6 * 7)")), error(402, "Insufficient Balance"))
    loopback.serve("spare", Reply(report(result="It is 42."), when="42"))
    loopback.serve("judges", GOOD_CHECK)
    told = await Served.by(world, loopback, teams=team("openai/spare")).run()
    assert told.state.status == "done"
    assert len(told.of("action.started")) == 1
    assert len(told.state.steps["a"].attempts) == 1
    *_, before, after, _ = loopback.requests
    assert (before["model"], after["model"]) == ("codes", "spare")
    assert after["messages"] == before["messages"]


async def test_a_key_goes_to_no_other_provider_s_server(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", error(500))
    loopback.serve("claude-sonnet-4-5", AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    names = team("anthropic/claude-sonnet-4-5", api_base=loopback.base)
    served = Served.by(
        world, loopback, teams=names, models={"api_bases": {"anthropic/": loopback.root}}
    )
    other = "sk-ant-other-0123456789-0123456789"
    keys = {"OPENAI_API_KEY": CANARY, "ANTHROPIC_API_KEY": other}
    world.services._client = LiteLLMClient(model_options(world.settings, keys))
    told = await served.run()
    assert told.state.status == "done"
    for request, headers in zip(loopback.requests, loopback.headers, strict=True):
        sent = str(headers)
        assert (CANARY in sent, other in sent) == (
            (False, True) if request["model"].startswith("claude") else (True, False)
        )


# --- pace ----------------------------------------------------------------------------------------


class Held:
    """Waits that go on until they are let go."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.taken: list[float] = []
        self.some = asyncio.Condition()
        self.go = asyncio.Event()

    def clock(self) -> float:
        return time.monotonic() + self.offset

    async def sleep(self, seconds: float) -> None:
        async with self.some:
            self.taken.append(seconds)
            self.some.notify_all()
        await self.go.wait()

    async def until(self, count: int) -> None:
        async with self.some, asyncio.timeout(20):
            await self.some.wait_for(lambda: len(self.taken) >= count)

    def let_go(self) -> None:
        self.offset += max(self.taken)
        self.go.set()


async def test_one_429_slows_all_runs_of_a_worker_once(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", error(429, "slow", **{"Retry-After": "30"}), AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    served, held = Served.by(world, loopback), Held()
    world.services.limiter = Limiter(clock=held.clock, sleep=held.sleep)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(served.run())
        await held.until(1)
        others = [group.create_task(served.run()) for _ in range(3)]
        await held.until(4)
        assert len(loopback.requests) == 1
        assert held.taken[0] == 30.0
        assert all(29 < wait <= 30 for wait in held.taken)
        held.let_go()
    told = [first.result(), *(task.result() for task in others)]
    assert [one.state.status for one in told] == ["done"] * 4
    assert [len(one.of("model.retried")) for one in told] == [1, 0, 0, 0]
    assert len(loopback.requests) == 1 + 2 * 4


async def test_a_429_of_one_provider_holds_no_run_on_another(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", error(429, "slow", **{"Retry-After": "30"}), AT_ONCE)
    loopback.serve("judges", GOOD_CHECK)
    loopback.serve("other", AT_ONCE)
    bases = {"api_bases": {"hosted_vllm/": f"http://localhost:{loopback.port}/v1"}}
    served, held = Served.by(world, loopback, models=bases), Held()
    world.services.limiter = Limiter(clock=held.clock, sleep=held.sleep)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(served.run())
        await held.until(1)
        elsewhere = {"planner": "hosted_vllm/other", "checker": "hosted_vllm/judges"}
        told = await served.run(models=TEAM | elsewhere)
        assert told.state.status == "done"
        assert not first.done()
        held.let_go()
    assert first.result().state.status == "done"


async def test_the_settings_bound_how_many_calls_a_worker_makes_at_once(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", Reply(AT_ONCE.text, chunk=20, tokens_per_s=400))
    loopback.serve("judges", GOOD_CHECK)
    served = Served.by(world, loopback, models={"pace": {"openai/": {"at_once": 1}}})
    world.services.limiter = Limiter(world.services._pace, clock=time.monotonic)
    told = await asyncio.gather(*(served.run() for _ in range(3)))
    assert [one.state.status for one in told] == ["done"] * 3
    assert loopback.most_at_once == 1


async def test_a_run_that_waits_for_its_turn_can_be_cancelled(
    world: World, loopback: LoopbackServer
) -> None:
    loopback.serve("plans", error(429, "slow", **{"Retry-After": "300"}))
    served, held = Served.by(world, loopback), Held()
    world.services.limiter = Limiter(clock=held.clock, sleep=held.sleep)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        runs = [group.create_task(served.run()) for _ in range(2)]
        await held.until(2)
        for row in world.history.runs():
            await asyncio.to_thread(world.queue.command, row.run_id, "cancel", {"reason": "enough"})
    assert [run.result().state.status for run in runs] == ["cancelled"] * 2
    assert world.services.daily.promised == 0
