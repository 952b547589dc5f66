"""Real litellm over real HTTP: how reasoning, usage and prices arrive."""

from __future__ import annotations

import asyncio
import json

import pytest

from planner_app.domain.places import HOMELESS
from planner_app.models.litellm_client import LiteLLMClient, LiteLLMOptions
from planner_app.models.port import Message, ModelError, ModelSpec
from planner_app.models.prices import Price
from planner_app.models.profiles import ProfileBook
from tests.loopback.server import Form, LoopbackServer, Reply
from tests.models.calls import Heard, ask, real_client

PLAIN, ASSUMING = "openai/plain-model", "openai/qwq-32b"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (PLAIN, "reasoning_content"),
        (PLAIN, "reasoning"),
        (PLAIN, "inline"),
        (ASSUMING, "orphan"),
        (ASSUMING, "inline"),
        (ASSUMING, "reasoning_content"),
        ("openai/deepseek-r1-distill-qwen-14b", "orphan"),
        ("openai/gpt-oss-20b", "reasoning"),
        ("openai/gpt-oss-20b", "inline"),
    ],
)
async def test_reasoning_is_told_from_the_answer_however_it_arrives(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, name: str, form: Form
) -> None:
    loopback.serve("*", Reply("The answer is 42.", "Six times seven.", form, chunk=3))
    reply = await client.complete(ask(name, api_base=loopback.base), heard.deltas.append)
    assert reply.text == "The answer is 42."
    assert reply.reasoning == "Six times seven."
    assert heard.text.strip() == reply.text
    assert heard.reasoning == reply.reasoning
    assert not reply.unclosed_reasoning
    assert reply.finish_reason == "stop"
    assert reply.first_token_ms is not None
    assert reply.ms >= reply.first_token_ms


async def test_a_reply_that_ends_inside_its_reasoning_has_no_answer(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply('{"a": 1}', "Let me", "unclosed", finish_reason="length"))
    reply = await client.complete(ask(PLAIN, api_base=loopback.base), heard.deltas.append)
    assert reply.text == ""
    assert reply.reasoning == 'Let me{"a": 1}'
    assert reply.unclosed_reasoning
    assert reply.finish_reason == "length"


async def test_a_thinking_model_that_did_not_think_still_answers(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("Hello."))
    reply = await client.complete(ask(ASSUMING, api_base=loopback.base), heard.deltas.append)
    assert (reply.text, reply.reasoning) == ("Hello.", "")


async def test_an_answer_in_tags_comes_without_them(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("<answer>42</answer>", "hm", "inline"))
    reply = await client.complete(ask(PLAIN, api_base=loopback.base), heard.deltas.append)
    assert reply.text == "42"


@pytest.mark.parametrize("place", ["apart", "last"])
async def test_usage_is_the_providers_wherever_it_stands(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, place: str
) -> None:
    loopback.serve("*", Reply("Yes, it is so.", usage=place, reasoning_tokens=3, cached_tokens=2))
    reply = await client.complete(ask(PLAIN, api_base=loopback.base), heard.deltas.append)
    usage = reply.usage
    assert (usage.source, usage.reasoning_source) == ("provider", "provider")
    assert (usage.prompt_tokens, usage.completion_tokens) == (6, 4)
    assert (usage.reasoning_tokens, usage.cached_tokens) == (3, 2)


async def test_a_count_of_thoughts_that_the_provider_left_out_is_an_estimate(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("Yes.", "Because it is so, I think."))
    reply = await client.complete(ask(PLAIN, api_base=loopback.base), heard.deltas.append)
    assert (reply.usage.source, reply.usage.reasoning_source) == ("provider", "estimated")
    assert 0 < (reply.usage.reasoning_tokens or 0) <= reply.usage.completion_tokens


async def test_usage_that_nobody_sent_is_estimated_and_says_so(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("Yes.", "Because.", usage="none"))
    reply = await client.complete(ask(PLAIN, api_base=loopback.base), heard.deltas.append)
    assert (reply.usage.source, reply.usage.reasoning_source) == ("estimated", "estimated")
    assert reply.usage.completion_tokens > 0


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": -7},
        {"prompt_tokens": 10**30, "completion_tokens": 10**30},
        [],
    ],
)
async def test_counts_that_no_call_can_have_are_estimated_instead(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, counts: object
) -> None:
    loopback.serve("*", Reply("Yes, it is so.", counts=counts))
    usage = (await client.complete(ask(PLAIN, api_base=loopback.base), heard.deltas.append)).usage
    assert usage.source == "estimated"
    assert 0 < usage.prompt_tokens < 100
    assert 0 < usage.completion_tokens < 100


async def test_one_count_that_was_left_out_is_estimated_beside_the_other(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("Yes, it is so.", counts={"prompt_tokens": 50}))
    usage = (await client.complete(ask(PLAIN, api_base=loopback.base), heard.deltas.append)).usage
    assert (usage.source, usage.prompt_tokens) == ("estimated", 50)
    assert 0 < usage.completion_tokens < 100


async def test_thoughts_that_are_counted_beside_the_reply_are_paid_with_it(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    counts = {"prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 757}
    counts |= {"completion_tokens_details": {"reasoning_tokens": 700}}
    loopback.serve("*", Reply("Yes.", counts=counts))
    usage = (await client.complete(ask(PLAIN, api_base=loopback.base), heard.deltas.append)).usage
    assert (usage.completion_tokens, usage.reasoning_tokens) == (707, 700)


async def test_an_unknown_price_stays_unknown(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("Yes."))
    reply = await client.complete(ask("openai/gpt-4o", api_base=loopback.base), heard.deltas.append)
    assert (reply.cost.usd, reply.cost.source) == (None, "unknown")


async def test_an_own_price_is_used_to_the_cent(loopback: LoopbackServer, heard: Heard) -> None:
    loopback.serve("*", Reply("Yes.", cached_tokens=2))
    client = real_client(prices={PLAIN: Price(1.0, 2.0, 0.5)}, api_bases={"openai/": loopback.base})
    reply = await client.complete(ask(PLAIN), heard.deltas.append)
    await client.aclose()
    assert reply.cost.source == "settings"
    assert reply.cost.usd == pytest.approx((4 * 1.0 + 2 * 0.5 + 2 * 2.0) / 1e6)


async def test_a_cancelled_call_closes_its_connection(
    loopback: LoopbackServer, client: LiteLLMClient
) -> None:
    loopback.serve("*", Reply("word " * 5_000, tokens_per_s=200))
    started = asyncio.Event()
    request = ask(PLAIN, api_base=loopback.base, max_tokens=1_000_000)
    call = asyncio.create_task(client.complete(request, lambda _: started.set()))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(loopback.hung_up.wait(), 5)


async def test_a_refused_parameter_is_left_out_from_then_on_and_told(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    body = {"error": {"message": "Unsupported parameter: 'temperature' is not supported"}}
    loopback.serve("*", Reply(status=400, body=body), Reply("Yes."))
    request = ask(PLAIN, api_base=loopback.base, temperature=0.3)
    first = await client.complete(request, heard.deltas.append)
    second = await client.complete(request, heard.deltas.append)
    assert first.dropped_params == second.dropped_params == ("temperature",)
    assert [("temperature" in sent) for sent in loopback.requests] == [True, False, False]
    assert "does not take temperature" in first.warnings[0]


async def test_r1_gets_no_system_prompt(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply("Yes.", "hm", "orphan"))
    messages = (
        Message(role="system", content="You plan."),
        Message(role="user", content="Goal: x"),
        Message(role="assistant", content="A plan", reasoning="secret thoughts"),
        Message(role="user", content="Report"),
    )
    request = ask("openai/deepseek-r1", api_base=loopback.base, messages=messages)
    await client.complete(request, heard.deltas.append)
    sent = loopback.requests[0]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert sent[0]["content"] == "You plan.\n\nGoal: x"
    assert "secret thoughts" not in json.dumps(sent)
    assert (loopback.requests[0]["temperature"], loopback.requests[0]["top_p"]) == (0.6, 0.95)


async def test_a_key_never_stands_in_an_error(loopback: LoopbackServer, heard: Heard) -> None:
    secret = "sk-proj-abcdefghijklmnop1234"
    body = {"error": {"message": f"Incorrect API key provided: {secret}"}}
    loopback.serve("*", Reply(status=401, body=body))
    client = real_client(key_for=lambda _: secret)
    with pytest.raises(ModelError) as caught:
        await client.complete(ask(PLAIN, api_base=loopback.base), heard.deltas.append)
    await client.aclose()
    assert loopback.headers[0]["authorization"] == f"Bearer {secret}"
    assert caught.value.kind == "auth"
    assert caught.value.exit_code == 4
    assert secret not in str(caught.value)


async def test_an_address_without_a_scheme_is_one_clear_line(
    client: LiteLLMClient, heard: Heard
) -> None:
    with pytest.raises(ModelError, match="has no scheme; write it like http://localhost:11434"):
        await client.complete(ask(PLAIN, api_base="localhost:11434"), heard.deltas.append)


async def test_an_unknown_provider_is_one_clear_line(
    client: LiteLLMClient, heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError) as caught:
        await client.complete(ask("nonsense/model"), heard.deltas.append)
    assert caught.value.kind == "unknown_model"
    assert "deepseek/deepseek-reasoner" in caught.value.hint
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("model", "env", "where"),
    [
        ("lm_studio/x", {}, "http://localhost:1234/v1"),
        ("hosted_vllm/a/b", {}, "http://localhost:8000/v1"),
        ("ollama_chat/x", {}, "http://localhost:11434"),
        ("ollama_chat/x", {"OLLAMA_API_BASE": "http://h:1"}, "http://h:1"),
        ("hosted_vllm/x", {"HOSTED_VLLM_API_BASE": "http://h:1/v1"}, "http://h:1/v1"),
        ("xinference/x", {"XINFERENCE_API_BASE": "http://h:1/v1"}, "http://h:1/v1"),
        ("xinference/x", {}, None),
        ("openai/x", {"OPENAI_API_BASE": "http://h:1/v1"}, None),
    ],
)
def test_a_model_of_ones_own_machine_is_asked_there_and_not_at_openai(
    monkeypatch: pytest.MonkeyPatch, model: str, env: dict[str, str], where: str | None
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    options = LiteLLMOptions(ProfileBook.load())
    assert options.api_base(ModelSpec(name=model)) == where
    own = ModelSpec(name=model, api_base="http://own:2")
    assert options.api_base(own) == "http://own:2"


@pytest.mark.parametrize(
    "provider", sorted(HOMELESS - {"lm_studio", "hosted_vllm", "ollama", "ollama_chat"})
)
async def test_a_model_without_a_known_server_is_asked_nowhere(
    monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "x" * 30)
    with pytest.raises(ModelError) as raised:
        await real_client().complete(ask(f"{provider}/x"), lambda _: None)
    assert f"where {provider}/x is served" in raised.value.message
    assert "api_base" in str(raised.value)
