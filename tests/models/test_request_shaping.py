"""A request reaches a model in the form that its family wants."""

from __future__ import annotations

from typing import Any

import pytest

from planner_app.models.port import Message, Profile, ReplyKey
from planner_app.models.profiles import ProfileBook
from planner_app.models.shaping import is_strict, shape_messages, shape_params
from tests.models.calls import ask

BOOK = ProfileBook.load()
ACTING = ReplyKey(role="executor", purpose="act", step="s1", attempt=1, turn=1)
SYSTEM, GOAL = Message(role="system", content="Rules"), Message(role="user", content="Goal")
SIGNED = Message(
    role="assistant",
    content="Plan",
    reasoning="thoughts",
    provider_state={
        "provider": "anthropic",
        "thinking_blocks": [{"type": "thinking", "thinking": "thoughts", "signature": "s"}],
    },
)
MORE = Message(role="user", content="Report")


@pytest.mark.parametrize(
    ("role", "sent"),
    [
        ("system", [("system", "Rules"), ("user", "Goal")]),
        ("developer", [("developer", "Rules"), ("user", "Goal")]),
        ("none", [("user", "Rules\n\nGoal")]),
        ("user", [("user", "Rules\n\nGoal")]),
    ],
)
def test_the_system_text_goes_where_the_model_reads_it(role: Any, sent: list[Any]) -> None:
    shaped = shape_messages((SYSTEM, GOAL), Profile(system_role=role), "openai")
    assert [(message["role"], message["content"]) for message in shaped] == sent


def test_a_system_text_alone_still_reaches_a_model_without_that_role() -> None:
    shaped = shape_messages((SYSTEM,), Profile(system_role="none"), "openai")
    assert shaped == [{"role": "user", "content": "Rules"}]


def test_neighbours_of_one_role_are_joined() -> None:
    shaped = shape_messages((GOAL, MORE), Profile(), "openai")
    assert shaped == [{"role": "user", "content": "Goal\n\nReport"}]


@pytest.mark.parametrize("habit", ["drop", "tool_cycle", "keep"])
@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_signed_thoughts_go_back_unchanged_to_their_maker_only(habit: Any, provider: str) -> None:
    profile = Profile(history_reasoning=habit)
    shaped = shape_messages((GOAL, SIGNED, MORE, SIGNED, MORE), profile, provider)
    replies = [message for message in shaped if message["role"] == "assistant"]
    signed = ["thinking_blocks" in reply for reply in replies]
    theirs = provider == "anthropic"
    assert signed == {
        "drop": [False, False], "tool_cycle": [False, theirs], "keep": [theirs, theirs],
    }[habit]  # fmt: skip
    kept = habit == "keep" and theirs
    assert [("reasoning_content" in reply) for reply in replies] == [kept] * 2
    assert all("provider_state" not in message for message in shaped)


def test_another_model_of_the_same_provider_gets_no_thoughts() -> None:
    state = {**(SIGNED.provider_state or {}), "model": "anthropic/one"}
    said = SIGNED.model_copy(update={"provider_state": state})
    for model, mine in (("anthropic/one", True), ("anthropic/two", False)):
        for habit in ("tool_cycle", "keep"):
            profile = Profile(history_reasoning=habit)
            wire = shape_messages((GOAL, said, MORE), profile, "anthropic", model)[1]
            assert ("thinking_blocks" in wire) is mine
            assert ("reasoning_content" in wire) is (mine and habit == "keep")


def test_thoughts_whose_maker_nobody_noted_go_to_nobody() -> None:
    said = Message(role="assistant", content="Plan", reasoning="thoughts")
    wire = shape_messages((GOAL, said, MORE), Profile(history_reasoning="keep"), "openai", "m")[1]
    assert wire == {"role": "assistant", "content": "Plan"}


@pytest.mark.parametrize(
    ("name", "changes", "sent", "dropped"),
    [
        ("openai/gpt-5", {"temperature": 0.2}, {"max_tokens": 500}, ["temperature"]),
        ("openai/gpt-5.6", {}, {"max_tokens": 500, "reasoning_effort": "medium"}, []),
        ("o3", {"options": {"effort": "low"}}, {"max_tokens": 500, "reasoning_effort": "low"}, []),
        ("o3", {"options": {"effort": "huge"}}, {"max_tokens": 500}, ["effort"]),
        ("openai/acme", {"options": {"effort": "low"}}, {"max_tokens": 500}, ["effort"]),
        ("deepseek-r1", {}, {"max_tokens": 500, "temperature": 0.6, "top_p": 0.95}, []),
        ("deepseek-r1", {"temperature": 0.5},
         {"max_tokens": 500, "temperature": 0.5, "top_p": 0.95}, []),
        ("gemini/gemini-3-pro", {"temperature": 0.0},
         {"max_tokens": 500, "temperature": 1.0, "reasoning_effort": "high"}, ["temperature"]),
        ("gpt-oss-20b", {}, {"max_tokens": 500, "reasoning_effort": "high"}, []),
        ("gpt-oss-20b", {"key": ACTING}, {"max_tokens": 500, "reasoning_effort": "low"}, []),
        ("acme/x", {"options": {"seed": 7, "num_ctx": 9}},
         {"max_tokens": 500, "seed": 7, "num_ctx": 9}, []),
    ],
)  # fmt: skip
def test_parameters_are_those_the_family_takes_and_the_rest_is_told(
    name: str, changes: dict[str, Any], sent: dict[str, Any], dropped: list[str]
) -> None:
    params = shape_params(ask(name, **changes), BOOK.find(name))
    assert (params.sent, params.dropped) == (sent, dropped)


def test_a_thinking_budget_lies_between_its_least_and_max_tokens() -> None:
    profile = BOOK.find("claude-opus-4-5")
    request = ask("claude-opus-4-5", max_tokens=8000, temperature=0.0)
    params = shape_params(request, profile)
    budget = params.sent["thinking"]["budget_tokens"]  # type: ignore[index]
    assert 1024 <= budget < 8000
    assert "temperature" not in params.sent
    small = shape_params(ask("claude-opus-4-5", max_tokens=1500), profile)
    assert "thinking" not in small.sent
    assert small.dropped == ["effort"]


def test_a_reply_is_never_asked_to_be_longer_than_the_model_can() -> None:
    assert shape_params(ask("x"), Profile(max_output=100)).sent["max_tokens"] == 100


SCHEMA: dict[str, Any] = {
    "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "kind"), [("prompt", None), ("json_object", "json_object"),
                       ("native_schema", "json_schema")],
)  # fmt: skip
def test_a_schema_is_sent_only_where_the_family_has_a_mode_for_it(mode: Any, kind: Any) -> None:
    params = shape_params(ask("x", json_schema=SCHEMA), Profile(json=mode))
    form: Any = params.sent.get("response_format")
    assert (form and form["type"]) == kind


def test_strict_is_asked_only_of_a_schema_that_is() -> None:
    assert not is_strict(SCHEMA)
    assert is_strict({**SCHEMA, "additionalProperties": False})
    assert not is_strict({**SCHEMA, "additionalProperties": False, "required": []})
