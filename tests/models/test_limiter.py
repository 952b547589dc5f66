"""No provider is pressed harder than it may be, whoever calls, and a pause is kept once by all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_app.models.limiter import Limiter, Pace, PauseTooLongError
from planner_app.models.port import (
    Cost,
    Message,
    ModelError,
    ModelReply,
    ModelRequest,
    ModelSpec,
    OnDelta,
    Price,
    Profile,
    Usage,
)
from planner_app.models.retry import complete_with_retry
from planner_app.settings_values import ModelsSettings
from tests.models.calls import Heard, ask


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """All who sleep wake in the order of their times."""
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


class Answering:
    """Answers at once, or as its list of errors says; takes note of when it was asked."""

    def __init__(self, clock: Clock, *errors: ModelError) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.asked: list[float] = []
        self.now_busy = self.most_busy = 0

    async def complete(self, request: ModelRequest, on_delta: OnDelta) -> ModelReply:
        self.asked.append(self.clock.now)
        self.now_busy += 1
        self.most_busy = max(self.most_busy, self.now_busy)
        await asyncio.sleep(0)
        self.now_busy -= 1
        if self.errors:
            raise self.errors.pop()
        usage = Usage(prompt_tokens=60, completion_tokens=40, source="provider")
        cost = Cost(usd=None, source="unknown")
        return ModelReply(
            text="Yes.", reasoning="", finish_reason="stop", usage=usage, cost=cost, model="m", ms=1
        )

    def price(self, spec: ModelSpec) -> Price | None:
        return None

    def profile(self, spec: ModelSpec) -> Profile:
        return Profile()

    def count_tokens(self, spec: ModelSpec, messages: Sequence[Message]) -> int:
        return 100

    async def aclose(self) -> None:
        return None


async def call_all(
    client: Answering, limiter: Limiter, clock: Clock, count: int, name: str = "acme/m"
) -> list[Heard]:
    """So many calls side by side."""
    heards = [Heard() for _ in range(count)]
    await asyncio.gather(
        *(
            complete_with_retry(
                client, ask(name, deadline_s=500.0), heard.deltas.append, heard.retries.append,
                sleep=clock.sleep, clock=clock, limiter=limiter,
            )
            for heard in heards
        )
    )  # fmt: skip
    return heards


def paced(clock: Clock, **limits: int) -> Limiter:
    return Limiter(lambda _provider, _model: Pace(**limits), clock=clock, sleep=clock.sleep)


async def test_only_so_many_calls_are_under_way_at_once() -> None:
    clock = Clock()
    client = Answering(clock)
    await call_all(client, paced(clock, at_once=3), clock, 10)
    assert (len(client.asked), client.most_busy) == (10, 3)


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(1, 16))
async def test_no_minute_sees_more_requests_than_it_may(most: int, count: int) -> None:
    clock = Clock()
    client = Answering(clock)
    await call_all(client, paced(clock, requests_per_minute=most), clock, count)
    for moment in client.asked:
        assert sum(moment <= other < moment + 60 for other in client.asked) <= most
    assert clock.now <= 60 * ((count - 1) // most)


async def test_no_minute_sees_more_tokens_than_it_may_as_the_provider_counts_them() -> None:
    clock = Clock()
    client = Answering(clock)
    # Each is taken for 600 tokens (a prompt of 100 and 500 of reply) and turns out to have 100.
    await call_all(client, paced(clock, tokens_per_minute=900, at_once=1), clock, 9)
    assert client.asked == [0.0, 0.0, 0.0, 0.0, 60.0, 60.0, 60.0, 60.0, 120.0]


async def test_a_call_larger_than_a_minute_s_tokens_goes_alone() -> None:
    clock = Clock()
    client = Answering(clock)
    await call_all(client, paced(clock, tokens_per_minute=50), clock, 2)
    assert client.asked == [0.0, 60.0]


async def test_many_refusals_for_pace_make_one_pause_and_not_their_sum() -> None:
    clock = Clock()
    slow = [ModelError("rate_limited", "slow down", retry_after_s=30.0) for _ in range(4)]
    client = Answering(clock, *slow)
    heards = await call_all(client, paced(clock), clock, 4)
    assert client.asked == [0.0] * 4 + [30.0] * 4
    assert [len(heard.retries) for heard in heards] == [1] * 4


async def test_a_pause_holds_for_its_provider_only() -> None:
    clock = Clock()
    limiter = paced(clock)
    limiter.pause("acme", 100.0)
    client = Answering(clock)
    await call_all(client, limiter, clock, 1, "other/m")
    assert client.asked == [0.0]
    await call_all(client, limiter, clock, 1)
    assert client.asked == [0.0, 100.0]


async def test_nobody_waits_for_a_pause_that_outlasts_their_call() -> None:
    clock = Clock()
    limiter = paced(clock)
    limiter.pause("acme", 501.0)
    client = Answering(clock)
    with pytest.raises(ModelError, match="acme asks to slow down for 501 s more") as caught:
        await call_all(client, limiter, clock, 1)
    assert (caught.value.kind, caught.value.retryable, client.asked) == ("rate_limited", False, [])
    with pytest.raises(PauseTooLongError):
        async with limiter.slot("acme", patience_s=1.0):
            pass


async def test_a_wait_too_long_for_one_call_pauses_no_other() -> None:
    clock = Clock()
    limiter = paced(clock)
    client = Answering(clock, ModelError("rate_limited", "tomorrow", retry_after_s=86_400.0))
    with pytest.raises(ModelError, match="tomorrow"):
        await call_all(client, limiter, clock, 1)
    assert limiter.waiting_s("acme") == 0.0
    await call_all(client, limiter, clock, 1)
    assert client.asked == [0.0, 0.0]


async def test_waiting_for_a_turn_uses_up_no_time_of_the_call() -> None:
    clock = Clock()
    client = Answering(clock)
    limiter = paced(clock, requests_per_minute=1)
    heard = Heard()
    for _ in range(3):
        await complete_with_retry(
            client, ask("acme/m", deadline_s=10.0), heard.deltas.append, heard.retries.append,
            sleep=clock.sleep, clock=clock, limiter=limiter,
        )  # fmt: skip
    assert client.asked == [0.0, 60.0, 120.0]


async def test_a_cancelled_call_gives_its_place_away() -> None:
    clock = Clock()
    limiter = paced(clock, at_once=1)
    entered = asyncio.Event()

    async def hold() -> None:
        async with limiter.slot("acme"):
            entered.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await entered.wait()
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)
    async with asyncio.timeout(5), limiter.slot("acme") as turn:
        assert turn.began == 0.0


def test_a_pace_is_found_by_address_provider_or_default() -> None:
    models = ModelsSettings.model_validate(
        {
            "pace": {
                "http://localhost:8000/v1": {"at_once": 1},
                "openai/": {"at_once": 2, "requests_per_minute": 500},
                "default": {"at_once": 3},
            }
        }
    )
    assert models.pace_of("http://localhost:8000/v1", "openai/x").at_once == 1
    assert models.pace_of("openai", "openai/x").at_once == 2
    assert models.pace_of("acme", "acme/x").at_once == 3
    assert ModelsSettings().pace_of("acme", "acme/x").at_once == 8
