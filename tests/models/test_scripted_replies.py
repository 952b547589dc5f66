"""Scripted and recorded replies are found by who asks, never by order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner_app.domain.errors import BadInput, NotFound
from planner_app.models.client import open_client
from planner_app.models.port import ModelError, ModelReply, ReplyKey
from planner_app.models.recorded import call_id
from tests.models.calls import PLANNING, Heard, ask


def key(step: str, turn: int, attempt: int = 1) -> ReplyKey:
    return ReplyKey(role="executor", purpose="act", step=step, attempt=attempt, turn=turn)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    lines: list[dict[str, Any]] = [
        {"role": "planner", "turn": 1, "reasoning": "Hm.", "text": "plan"},
        {"role": "planner", "turn": 2, "text": "answer", "purpose": "answer"},
        {"role": "planner", "turn": 2, "text": "review", "purpose": "review"},
        {"role": "executor", "step": "a", "attempt": 1, "turn": 1, "text": "a1"},
        {"role": "executor", "step": "b", "attempt": 1, "turn": 1, "text": "b1", "expect": "Goal"},
        {"role": "executor", "step": "a", "attempt": 2, "turn": 1, "text": "again",
         "finish_reason": "length", "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
        {"role": "checker", "turn": 1, "text": "one two three", "tokens_per_s": 10},
    ]  # fmt: skip
    path = tmp_path / "script.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n", encoding="utf-8")
    return path


async def reply(folder: Path, key: ReplyKey, text: str = "Goal: x", **more: Any) -> ModelReply:
    heard = more.pop("heard", Heard())
    client = open_client(scripts=folder, sleep=heard.sleep)
    request = ask("scripted:script.jsonl", text, key=key)
    return await client.complete(request, heard.deltas.append)


async def test_replies_are_found_by_role_step_attempt_and_turn(script: Path) -> None:
    folder = script.parent
    assert (await reply(folder, key("b", 1))).text == "b1"
    assert (await reply(folder, key("a", 1))).text == "a1"
    assert (await reply(folder, PLANNING)).reasoning == "Hm."
    again = await reply(folder, key("a", 1, attempt=2))
    assert (again.text, again.finish_reason, again.usage.source) == ("again", "length", "provider")
    review = ReplyKey(role="planner", purpose="review", turn=2)
    assert (await reply(folder, review)).text == "review"


async def test_a_call_without_a_reply_is_an_error_that_names_it(script: Path) -> None:
    with pytest.raises(ModelError, match="role=executor step=a attempt=1 turn=2 purpose=act") as no:
        await reply(script.parent, key("a", 2))
    assert (no.value.kind, no.value.retryable) == ("unscripted", False)


async def test_a_request_that_lacks_what_the_script_expects_is_noticed(script: Path) -> None:
    with pytest.raises(ModelError, match="does not hold 'Goal'"):
        await reply(script.parent, key("b", 1), text="something else")


async def test_a_scripted_reply_costs_nothing_and_says_so(script: Path) -> None:
    made = await reply(script.parent, PLANNING)
    assert (made.cost.usd, made.cost.source) == (0.0, "scripted")


async def test_a_paced_reply_arrives_word_by_word(script: Path) -> None:
    heard = Heard()
    checking = ReplyKey(role="checker", purpose="check", turn=1)
    made = await reply(script.parent, checking, heard=heard)
    assert [delta.text for delta in heard.deltas] == ["one ", "two ", "three"]
    assert made.text == "one two three"
    assert len(heard.waits) == 3
    assert sum(heard.waits) > 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 1: not JSON"),
        ('{"role": "cook", "turn": 1, "text": ""}', "line 1: role"),
        ('{"role": "planner", "turn": 1, "text": "", "txt": 1}', "line 1: txt"),
        ("", "holds no reply"),
    ],
)
async def test_a_mistake_in_a_script_names_file_and_line(
    tmp_path: Path, line: str, says: str
) -> None:
    (tmp_path / "script.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(BadInput, match=says):
        await reply(tmp_path, PLANNING)


async def test_a_missing_script_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        await reply(tmp_path, PLANNING)


async def test_recorded_replies_come_back_to_the_same_calls_at_no_cost(script: Path) -> None:
    saved = await reply(script.parent, PLANNING)
    heard = Heard()
    client = open_client(recordings=lambda run: {call_id(PLANNING): saved} if run == "r_1" else {})
    made = await client.complete(ask("recorded:r_1"), heard.deltas.append)
    assert (made.text, heard.text, heard.reasoning) == ("plan", "plan", "Hm.")
    assert client.price(ask("recorded:r_1").spec) is not None
    with pytest.raises(ModelError) as caught:
        await client.complete(ask("recorded:r_2"), heard.deltas.append)
    assert caught.value.kind == "unrecorded"


async def test_a_run_that_cannot_be_read_is_not_found() -> None:
    with pytest.raises(NotFound):
        await open_client().complete(ask("recorded:r_x"), Heard().deltas.append)
