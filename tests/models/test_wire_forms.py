"""Real litellm against synthetic streams in the forms of Anthropic, Ollama and Google."""

from __future__ import annotations

import pytest

from planner_app.models.litellm_client import LiteLLMClient
from planner_app.models.port import Message, ModelReply
from tests.loopback.server import LoopbackServer, Reply
from tests.models.calls import Heard, ask

CLAUDE, GEMINI, OLLAMA = "anthropic/claude-opus-4-8", "gemini/gemini-3-pro", "ollama_chat/qwq"
ANSWER = Reply("All is well.", "I think so.", chunk=4, signature="SIG==")


async def call(
    loopback: LoopbackServer, client: LiteLLMClient, name: str, *before: Message
) -> ModelReply:
    goal = Message(role="user", content="Goal")
    request = ask(name, api_base=loopback.root, messages=(*before, goal), max_tokens=5000)
    return await client.complete(request, Heard().deltas.append)


@pytest.mark.parametrize("name", [CLAUDE, GEMINI, OLLAMA, "anthropic/claude-sonnet-4-5"])
async def test_thoughts_are_told_from_the_answer_in_every_wire_form(
    loopback: LoopbackServer, client: LiteLLMClient, name: str
) -> None:
    loopback.serve("*", ANSWER)
    reply = await call(loopback, client, name)
    assert (reply.text, reply.reasoning) == ("All is well.", "I think so.")
    assert (reply.finish_reason, reply.usage.source) == ("stop", "provider")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (10, 9)


async def test_claudes_signed_thoughts_are_kept_and_go_back_unchanged(
    loopback: LoopbackServer, client: LiteLLMClient
) -> None:
    loopback.serve("*", ANSWER)
    reply = await call(loopback, client, CLAUDE)
    assert reply.usage.reasoning_source == "estimated"
    said = Message(
        role="assistant",
        content=reply.text,
        reasoning=reply.reasoning,
        provider_state=reply.provider_state,
    )
    first = Message(role="user", content="First")
    await call(loopback, client, CLAUDE, first, said)
    blocks = loopback.requests[1]["messages"][1]["content"]
    assert blocks == [
        {"type": "thinking", "thinking": "I think so.", "signature": "SIG=="},
        {"type": "redacted_thinking", "data": "hidden"},
        {"type": "text", "text": "All is well."},
    ]
    assert loopback.requests[1]["max_tokens"] == 5000


async def test_googles_signature_goes_back_to_google_only(
    loopback: LoopbackServer, client: LiteLLMClient
) -> None:
    loopback.serve("*", ANSWER)
    reply = await call(loopback, client, GEMINI)
    assert (reply.usage.reasoning_tokens, reply.usage.reasoning_source) == (7, "provider")
    said = Message(role="assistant", content=reply.text, provider_state=reply.provider_state)
    first = Message(role="user", content="First")
    await call(loopback, client, GEMINI, first, said)
    await call(loopback, client, CLAUDE, first, said)
    to_google, to_claude = map(str, loopback.requests[1:])
    assert "SIG==" in to_google
    assert "SIG==" not in to_claude


async def test_ollama_is_asked_for_thoughts_apart_and_a_larger_window(
    loopback: LoopbackServer, client: LiteLLMClient
) -> None:
    loopback.serve("*", ANSWER)
    await call(loopback, client, OLLAMA)
    sent = loopback.requests[0]
    assert sent["think"] is True
    assert sent["options"]["num_ctx"] == 32768
    assert sent["options"]["num_predict"] == 5000


async def test_an_older_claude_gets_a_thinking_budget(
    loopback: LoopbackServer, client: LiteLLMClient
) -> None:
    loopback.serve("*", ANSWER)
    await call(loopback, client, "anthropic/claude-sonnet-4-5")
    thinking = loopback.requests[0]["thinking"]
    assert thinking["type"] == "enabled"
    assert 1024 <= thinking["budget_tokens"] < 5000
