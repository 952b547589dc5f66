"""Calls that fail through litellm and HTTP: one deadline over all tries, and no retries but ours.

What each fault of a provider does to a whole run stands in tests/engine/test_provider_faults.py.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from planner_app.models.limiter import Limiter
from planner_app.models.litellm_client import LiteLLMClient
from planner_app.models.port import ModelError, ModelReply, ModelRequest
from planner_app.models.retry import complete_with_retry
from tests.loopback.server import LoopbackServer, Reply
from tests.models.calls import Heard, ask

MODEL = "openai/some-model"
GOOD = Reply("All is well.", chunk=4)


def error(status: int, **headers: str) -> Reply:
    return Reply(status=status, body={"error": {"message": "it failed"}}, headers=headers)


async def run(
    client: LiteLLMClient, request: ModelRequest, heard: Heard, **changes: Any
) -> ModelReply:
    return await complete_with_retry(
        client, request, heard.deltas.append, heard.retries.append,
        sleep=heard.sleep, rng=random.Random(7), **changes,
    )  # fmt: skip


async def test_a_call_ends_at_its_deadline_also_while_pieces_come(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("word " * 100, tokens_per_s=20))
    with pytest.raises(ModelError, match="was not done after") as caught:
        await run(client, ask(MODEL, api_base=loopback.base, deadline_s=1.0), heard)
    assert (caught.value.kind, caught.value.retryable) == ("deadline", False)
    assert caught.value.usage is not None
    assert len(loopback.requests) == 1


async def test_a_retry_begins_the_message_anew_and_strikes_out_what_was_shown(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("word " * 9, fault="cut"), GOOD)
    reply = await run(client, ask(MODEL, api_base=loopback.base), heard)
    assert reply.text == "All is well."
    assert heard.text.startswith("word word")
    assert heard.text.endswith(reply.text)
    assert [retry.superseded for retry in heard.retries] == [True]


async def test_a_think_tag_split_over_chunks_is_still_a_tag(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("Yes.", "So.", "inline", chunk=1))
    reply = await run(client, ask(MODEL, api_base=loopback.base), heard)
    assert (reply.text, reply.reasoning) == ("Yes.", "So.")


@pytest.mark.parametrize(
    ("header", "wait"), [("7", 7.0), ("Sat, 21 Nov 2026 10:00:30 GMT", 30.0), ("soon", None)]
)
async def test_retry_after_is_honoured_in_seconds_and_as_a_date(
    loopback: LoopbackServer,
    client: LiteLLMClient,
    heard: Heard,
    monkeypatch: pytest.MonkeyPatch,
    header: str,
    wait: float | None,
) -> None:
    freeze_wall_clock(monkeypatch, "2026-11-21T10:00:00+00:00")
    loopback.serve("*", error(429, **{"Retry-After": header}), GOOD)
    await run(client, ask(MODEL, api_base=loopback.base, deadline_s=60.0), heard)
    if wait is None:
        assert 0 <= heard.waits[0] <= 1
    else:
        assert heard.waits == [wait]


async def test_a_jump_of_the_wall_clock_does_not_end_a_call(
    loopback: LoopbackServer,
    client: LiteLLMClient,
    heard: Heard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def jump(delta: Any) -> None:
        heard.deltas.append(delta)
        freeze_wall_clock(monkeypatch, "2031-01-01T00:00:00+00:00")

    loopback.serve("*", Reply("word " * 9, tokens_per_s=400))
    reply = await client.complete(ask(MODEL, api_base=loopback.base), jump)
    assert reply.text == "word " * 9
    assert 0 < reply.ms < 20_000


async def test_litellm_itself_never_retries(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", error(500))
    with pytest.raises(ModelError):
        await client.complete(ask(MODEL, api_base=loopback.base), heard.deltas.append)
    assert len(loopback.requests) == 1


async def test_one_429_holds_all_calls_to_that_provider_back_once(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    now = [0.0]

    async def sleep(seconds: float) -> None:
        heard.waits.append(seconds)
        now[0] += seconds

    limiter = Limiter(clock=lambda: now[0], sleep=sleep)
    loopback.serve("first", error(429, **{"Retry-After": "5"}), GOOD)
    loopback.serve("second", GOOD)
    held: list[float] = []

    def on_retry(_: object) -> None:
        held.append(limiter.waiting_s(loopback.base))

    reply = await complete_with_retry(
        client, ask("openai/first", api_base=loopback.base), heard.deltas.append, on_retry,
        sleep=sleep, clock=lambda: now[0], limiter=limiter, rng=random.Random(1),
    )  # fmt: skip
    assert reply.text == "All is well."
    assert held == [5.0]
    assert limiter.waiting_s(loopback.base) == 0
    limiter.pause(loopback.base, 3.0)
    limiter.pause(loopback.base, 2.0)
    await run(client, ask("openai/second", api_base=loopback.base), heard, limiter=limiter)
    assert heard.waits == [5.0, 3.0]


def freeze_wall_clock(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    from datetime import datetime

    import planner_app.models.faults as faults

    fixed = datetime.fromisoformat(moment)

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return fixed

    monkeypatch.setattr(faults, "datetime", Frozen)
