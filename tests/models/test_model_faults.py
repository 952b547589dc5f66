"""Every fault of a provider, through litellm and HTTP: what is told, and how often it is tried."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from planner_app.models.call import Bounds
from planner_app.models.limiter import Limiter
from planner_app.models.litellm_client import LiteLLMClient
from planner_app.models.port import ModelError, ModelReply, ModelRequest
from planner_app.models.retry import RetryPolicy, complete_with_retry
from tests.loopback.server import LoopbackServer, Reply
from tests.models.calls import Heard, ask, real_client

MODEL = "openai/some-model"
GOOD = Reply("All is well.", chunk=4)
OVERFLOW = "This model's maximum context length is 8192 tokens, you sent 9000."
TRIES = 6
"""One call and five retries."""


@dataclass(frozen=True)
class Case:
    """A fault, and what a person and the log get to know."""

    reply: Reply
    kind: str
    says: str
    retried: bool
    exit_code: int = 1
    bounds: Bounds = field(default_factory=Bounds)
    deadline_s: float = 20.0


def error(status: int, message: Any = "it failed", **headers: str) -> Reply:
    body = message if isinstance(message, (dict, str)) and status == 502 else None
    return Reply(status=status, body=body or {"error": {"message": message}}, headers=headers)


CASES: dict[str, Case] = {
    "400 in OpenAI's words": Case(error(400), "bad_request", "it failed", False),
    "400 in FastAPI's words": Case(
        Reply(status=400, body={"detail": [{"msg": "bad"}]}), "bad_request", "refused", False
    ),
    "400 in plain text": Case(Reply(status=400, body="no"), "bad_request", "refused", False),
    "400 in Anthropic's words": Case(
        Reply(
            status=400,
            body={"type": "error", "error": {"type": "invalid_request_error", "message": "bad x"}},
        ),
        "bad_request", "bad x", False,
    ),
    "400 in Google's words": Case(
        Reply(
            status=400,
            body=[{"error": {"code": 400, "message": "API key not valid", "status": "INVALID"}}],
        ),
        "auth", "API key not valid", False, 4,
    ),
    "401": Case(error(401, "wrong key"), "auth", "the key for", False, 4),
    "402": Case(error(402, "Insufficient Balance"), "quota", "no credit left", False, 4),
    "403": Case(error(403, "not yours"), "forbidden", "does not allow", False, 4),
    "404": Case(error(404, "no such model"), "not_found", "does not know", False, 4),
    "408": Case(error(408), "timeout", "did not answer in time", True),
    "409": Case(error(409), "server", "failed", True),
    "429": Case(error(429), "rate_limited", "slow down", True),
    "429 for want of credit": Case(
        error(429, "You exceeded your current quota"), "quota", "no credit left", False, 4
    ),
    "500": Case(error(500), "server", "failed", True),
    "502 with a page": Case(
        Reply(status=502, body="<html><h1>Bad gateway</h1></html>"), "server", "Bad gateway", True
    ),
    "503": Case(error(503), "overloaded", "overloaded", True),
    "529": Case(error(529), "overloaded", "overloaded", True),
    "a page instead of JSON": Case(
        Reply(fault="html"), "malformed_stream", "web page", False
    ),
    "an empty body": Case(Reply(fault="empty_body"), "empty", "empty reply", True),
    "empty choices": Case(Reply(fault="empty_choices"), "empty", "empty reply", True),
    "a stream that never starts": Case(
        Reply(fault="never_starts"), "timeout", "sent nothing in 0.5 s", True,
        bounds=Bounds(first_piece_s=0.5),
    ),
    "a stream that stalls": Case(
        Reply("word " * 9, fault="stalls"), "timeout", "sent nothing for 0.5 s", True,
        bounds=Bounds(idle_s=0.5),
    ),
    "cut before the first piece": Case(
        Reply(fault="cut_before"), "cut_stream", "broke off", True
    ),
    "cut after it": Case(Reply("word " * 9, fault="cut"), "cut_stream", "broke off", True),
    "an end without a reason": Case(
        Reply("word " * 9, fault="ends_early"), "cut_stream", "in the middle", True
    ),
    "broken framing": Case(
        Reply("word " * 9, fault="broken_sse"), "malformed_stream", "cannot be read", True
    ),
    "an error in the stream": Case(
        Reply("word " * 9, fault="error_in_stream"), "overloaded", "overloaded", True
    ),
    "a connection hung up": Case(Reply(fault="hangs_up"), "connection", "broke off", True),
    "content filter": Case(
        Reply(finish_reason="content_filter"), "content_policy", "content filter", False
    ),
    "content policy": Case(
        error(400, "flagged by our content management policy"), "content_policy", "policy", False
    ),
    "context overflow": Case(error(400, OVERFLOW), "context_overflow", "too long for", False),
    "overflow in Anthropic's words": Case(
        error(400, "prompt is too long: 210000 tokens > 200000 maximum"),
        "context_overflow", "too long for", False,
    ),
    "the same for ever": Case(
        Reply("again and ", fault="repeats", chunk=10), "too_long", "repeats itself", False
    ),
    "10 MB": Case(
        Reply("0123456789" * 1_000_000, chunk=100_000), "too_long", "more than a reply", False
    ),
    "reasoning without end": Case(
        Reply("", "hm, " * 9, fault="endless_reasoning", chunk=36), "too_long", "repeats itself", False
    ),
    "a deadline": Case(
        Reply("word " * 40, tokens_per_s=20), "deadline", "not done after", False, deadline_s=0.4
    ),
}  # fmt: skip


async def run(
    client: LiteLLMClient, request: ModelRequest, heard: Heard, **changes: Any
) -> ModelReply:
    return await complete_with_retry(
        client, request, heard.deltas.append, heard.retries.append,
        sleep=heard.sleep, rng=random.Random(7), **changes,
    )  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_a_fault_is_named_and_tried_as_often_as_may_help(
    loopback: LoopbackServer, heard: Heard, name: str
) -> None:
    case = CASES[name]
    loopback.serve("*", case.reply)
    client = real_client(bounds=case.bounds)
    request = ask(MODEL, api_base=loopback.base, deadline_s=case.deadline_s)
    with pytest.raises(ModelError) as caught:
        await run(client, request, heard, policy=RetryPolicy(max_retries=2))
    await client.aclose()
    fault = caught.value
    assert fault.kind == case.kind, str(fault)
    assert case.says in str(fault)
    assert "\n" not in str(fault)
    assert "litellm" not in str(fault).lower()
    assert fault.exit_code == case.exit_code
    assert len(loopback.requests) == (3 if case.retried else 1)
    assert [retry.number for retry in heard.retries] == ([1, 2] if case.retried else [])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.retried])
async def test_after_a_passing_fault_the_reply_is_whole(
    loopback: LoopbackServer, heard: Heard, name: str
) -> None:
    case = CASES[name]
    loopback.serve("*", case.reply, GOOD)
    client = real_client(bounds=case.bounds)
    reply = await run(client, ask(MODEL, api_base=loopback.base), heard)
    await client.aclose()
    assert reply.text == "All is well."
    assert len(heard.retries) == 1
    retry = heard.retries[0]
    assert retry.superseded is (heard.text != reply.text)
    assert (retry.error.usage is not None) is retry.superseded
    assert heard.waits == [retry.wait_s]


@pytest.mark.parametrize(
    "fault", ["split_utf8", "null_deltas", "two_dones", "no_done", "tool_calls"]
)
async def test_an_oddity_of_a_stream_does_no_harm(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, fault: Any
) -> None:
    loopback.serve("*", Reply("Grüße, 你好, fine.", fault=fault, chunk=3))
    reply = await run(client, ask(MODEL, api_base=loopback.base), heard)
    assert reply.text == heard.text == "Grüße, 你好, fine."
    assert reply.usage.source == "provider"
    assert bool(reply.warnings) is (fault == "tool_calls")


async def test_a_think_tag_split_over_chunks_is_still_a_tag(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("Yes.", "So.", "inline", chunk=1))
    reply = await run(client, ask(MODEL, api_base=loopback.base), heard)
    assert (reply.text, reply.reasoning) == ("Yes.", "So.")


@pytest.mark.parametrize(("reason", "told"), [("length", "length"), ("weird", "weird")])
async def test_why_a_reply_ended_is_passed_on(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, reason: str, told: str
) -> None:
    loopback.serve("*", Reply("Half a", finish_reason=reason))
    reply = await run(client, ask(MODEL, api_base=loopback.base), heard)
    assert (reply.text, reply.finish_reason) == ("Half a", told)


@pytest.mark.parametrize(
    ("base", "kind", "says"),
    [
        ("http://127.0.0.1:9/v1", "refused", "is the server running at http://127.0.0.1:9/v1?"),
        ("http://no-such-host.invalid/v1", "dns", "check the address"),
        ("https://127.0.0.1:{port}/v1", "tls", "check http:// or https://"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_named_with_what_to_do(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, base: str, kind: str, says: str
) -> None:
    request = ask(MODEL, api_base=base.format(port=loopback.port))
    with pytest.raises(ModelError) as caught:
        await run(client, request, heard, policy=RetryPolicy(max_retries=1))
    assert caught.value.kind == kind
    assert says in str(caught.value)
    assert caught.value.exit_code == 4


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


async def test_a_wait_beyond_the_deadline_is_not_begun(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", error(429, **{"Retry-After": "3600"}), GOOD)
    with pytest.raises(ModelError) as caught:
        await run(client, ask(MODEL, api_base=loopback.base), heard)
    assert (caught.value.kind, caught.value.retry_after_s) == ("rate_limited", 3600.0)
    assert heard.waits == []


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
