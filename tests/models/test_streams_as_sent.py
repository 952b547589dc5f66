"""Streams as servers really write them: nothing in them is lost in silence, whoever sends them.

litellm has a parser for each provider, and each of them trips over something else; so every way
of writing a stream is tried with each of them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.models.litellm_client import LiteLLMClient
from planner_app.models.port import ModelError
from planner_app.models.wire import Events, StreamError
from planner_app.models.wire import Heard as Told
from tests.loopback.replies import Fault, Framing
from tests.loopback.server import LoopbackServer, Reply
from tests.models.calls import Heard, ask

FAMILIES = (
    "openai/some-model", "groq/llama-3.3-70b", "openrouter/some/model",
    "anthropic/claude-opus-4-8", "gemini/gemini-3-pro", "ollama_chat/qwen2.5",
)  # fmt: skip
"""One for each parser that litellm has."""
SAID = "Grüße, 你好 🌍: a line\u2028ends,\x85 and here."


def asked(loopback: LoopbackServer, name: str) -> Any:
    form = name.partition("/")[0]
    base = loopback.root if form in ("anthropic", "gemini", "ollama_chat") else loopback.base
    return ask(name, api_base=base, max_tokens=3000)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "framing", ["crlf", "comments", "named", "multiline", "bom", "no_blank_lines",
                "many_blank_lines", "at_once", "split_utf8"],
)  # fmt: skip
async def test_a_stream_is_read_whole_however_it_is_written(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, name: str, framing: Framing
) -> None:
    if name.startswith("ollama") and framing in ("comments", "named", "multiline"):
        framing = "plain"  # lines of JSON have none of these
    odd: dict[str, Any] = {"framing": framing}
    if framing == "split_utf8":
        odd = {"fault": framing}
    loopback.serve("*", Reply(SAID, chunk=5, **odd))
    reply = await client.complete(asked(loopback, name), heard.deltas.append)
    assert reply.text == SAID
    assert (reply.finish_reason, reply.usage.source) == ("stop", "provider")
    assert len(loopback.requests) == 1


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("fault", "body", "kind", "says"),
    [
        ("broken_event", None, "malformed_stream", "cannot be read"),
        ("error_in_stream", {"message": "slow down", "code": 429, "type": "rate_limit_error"},
         "rate_limited", "slow down"),
        ("error_in_stream", {"message": "prompt is too long: 5 tokens > 4 maximum", "code": 400,
         "type": "context_length_exceeded"}, "context_overflow", "5 tokens > 4"),
        ("hangs_up", None, "connection", "broke off"),
        ("cut", None, "cut_stream", "broke off"),
        ("other_json", {"detail": "Not authenticated"}, "server", "Not authenticated"),
        ("other_json", {"error": {"message": "try later", "code": 429}}, "rate_limited", "try lat"),
        ("html", None, "malformed_stream", "a web page instead of a reply; check api_base"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_stream_is_told_alike_for_every_provider(
    loopback: LoopbackServer,
    client: LiteLLMClient,
    heard: Heard,
    name: str,
    fault: Fault,
    body: Any,
    kind: str,
    says: str,
) -> None:
    if name.startswith("ollama") and kind == "rate_limited" and fault == "error_in_stream":
        kind = "server"  # its errors have no code
    if name.startswith("gemini") and kind == "connection":
        kind = "cut_stream"  # litellm calls it one
    loopback.serve("*", Reply("word " * 10, fault=fault, body=body))
    with pytest.raises(ModelError) as caught:
        await client.complete(asked(loopback, name), heard.deltas.append)
    assert (caught.value.kind, says in str(caught.value)) == (kind, True), str(caught.value)
    assert caught.value.streamed is (fault in ("broken_event", "error_in_stream", "cut"))
    assert (caught.value.usage is not None) is caught.value.streamed
    assert len(loopback.requests) == 1, "it was sent once, and may be billed once"


@pytest.mark.parametrize("name", FAMILIES)
async def test_no_redirect_is_followed_with_the_key_and_the_prompt(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, name: str
) -> None:
    headers = {"Location": f"{loopback.root}/v1/chat/completions"}
    loopback.serve("*", Reply(status=307, body="moved", headers=headers))
    with pytest.raises(ModelError, match="check the model's name and api_base") as caught:
        await client.complete(asked(loopback, name), heard.deltas.append)
    assert (caught.value.status, caught.value.retryable) == (307, False)
    assert len(loopback.requests) == 1


# --- event by event, without HTTP ----------------------------------------------------------------


def read(*pieces: bytes) -> tuple[bytes, Told, StreamError | None]:
    """What is given on of a stream, what was noted, and the error that ended it."""
    told = Told()
    events, out = Events(told), b""
    for piece in pieces:
        out += events.feed(piece)
        if events.error is not None:
            return out, told, events.error
    try:
        return out + events.finish(), told, None
    except StreamError as error:
        return out, told, error


def chunk(delta: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    base = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def deltas(stream: bytes) -> list[dict[str, Any]]:
    rows = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: {")]
    return [choice["delta"] for row in rows for choice in row["choices"]]


@pytest.mark.parametrize(
    ("odd", "delta"),
    [
        (chunk(None), {}),
        ({"choices": [{}]}, {}),
        (chunk({"content": [{"type": "text", "text": "a"}, "b", None, 7]}), {"content": "ab7"}),
        (chunk({"content": 7}), {"content": "7"}),
        (chunk({"content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "Yes"}]}),
         {"content": "Yes", "reasoning": "hm"}),
        (chunk({"reasoning_details": [{"type": "reasoning.text", "text": "hm"},
                                      {"type": "reasoning.encrypted", "data": "xx"}]}),
         {"reasoning": "hm"}),
        (chunk({"reasoning_content": "hm", "content": "a"}), {"reasoning": "hm", "content": "a"}),
        (chunk({"thinking": "hm"}), {"reasoning": "hm"}),
        (chunk({"refusal": "No."}), {"content": "No."}),
        ({"choices": [{"text": "Yes"}], "id": 7, "created": 1.5}, {"content": "Yes"}),
        ({"choices": [{"index": "0", "message": {"content": "Yes"}}]}, {"content": "Yes"}),
        (chunk({"reasoning": "hm", "reasoning_details": [{"text": "hm"}]}), {"reasoning": "hm"}),
    ],
)  # fmt: skip
def test_odd_deltas_are_read_for_what_they_say(odd: dict[str, Any], delta: dict[str, Any]) -> None:
    stream, _, error = read(sse(odd))
    assert error is None
    (made,) = deltas(stream)
    assert {name: value for name, value in made.items() if name in _READ} == delta


_READ = ("content", "reasoning", "reasoning_content", "thinking")
"""Where text and thoughts may stand."""


def test_other_answers_than_the_first_are_left_out() -> None:
    second = chunk({"content": "other"})
    second["choices"][0]["index"] = 1
    stream, _, _ = read(sse(chunk({"content": "a"}), second, {**second, "choices": None}))
    assert deltas(stream) == [{"content": "a"}]


@pytest.mark.parametrize(
    ("last", "reason", "done"),
    [
        (chunk({}, "stop"), "stop", False), (chunk({}, "weird"), "weird", False),
        (chunk({"refusal": "No."}, "stop"), "refusal", False),
        (chunk({"content": "a"}, "null"), "", False),
        (chunk({}) | {"choices": [], "usage": {"prompt_tokens": 1}}, "", True),
        ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, "end_turn", False),
        ({"type": "message_stop"}, "", True),
        ({"candidates": [{"finishReason": "SAFETY"}]}, "SAFETY", False),
        ({"done": True, "done_reason": "length", "message": {}}, "length", True),
    ],
)  # fmt: skip
def test_why_a_stream_ended_is_noted_in_the_provider_s_own_word(
    last: dict[str, Any], reason: str, done: bool
) -> None:
    for stream in (sse(last), sse(last, chunk({}))):
        _, told, error = read(stream)
        assert (told.reason, told.done, error) == (reason, done, None)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("size", [1, 200_000])
def test_a_reply_in_one_piece_is_known_as_such(end: str, size: int) -> None:
    for indent in (None, 1):
        message = {"content": "a" * size}
        whole = {"object": "chat.completion", "choices": [{"message": message}]}
        sent = (json.dumps(whole, indent=indent) + end).encode()
        out, told, error = read(sent[:20], sent[20:])
        assert (out, told.form, error) == (sent, "whole", None)


def test_of_a_stream_of_another_kind_the_end_is_left_to_its_own_parser() -> None:
    ends = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}
    sent = sse({"type": "content-delta", "delta": {}}, ends)
    stream, told, error = read(sent)
    assert (stream, told.known, error) == (sent, False, None)


@pytest.mark.parametrize("key", ["done", "event_type"])
def test_lines_of_json_are_given_on_as_they_come(key: str) -> None:
    line = json.dumps({key: "", "text": "a"}).encode() + b"\n"
    events = Events(Told())
    assert [events.feed(line), events.feed(line[:9]), events.feed(line[9:])] == [line, b"", line]


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_a_reply_that_was_broken_off_is_no_reply(reason: str) -> None:
    _, _, error = read(sse(chunk({"content": "half"}), chunk({}, reason)))
    assert error is not None
    assert reason in str(error.body)


@pytest.mark.parametrize(
    "usage",
    ["many", 57.5, [], True, {"prompt_tokens": 57.5}, {"prompt_tokens": {"a": 1}},
     {"completion_tokens_details": {"reasoning_tokens": "x"}}, {"completion_tokens_details": []}],
)  # fmt: skip
def test_counts_that_are_none_are_left_out_and_the_text_stands(usage: Any) -> None:
    stream, _, error = read(sse(chunk({"content": "a"}, usage=usage)))
    assert error is None
    assert b"usage" not in stream
    assert deltas(stream) == [{"content": "a"}]


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"error": {"message": "boom"}}\n\n', b'data: {"error": "boom"}\n\n',
        b'event: error\ndata: {"message": "boom"}\n\n', b'{"error": {"message": "boom"}}\n',
        b'data: {"object": "error", "message": "boom", "code": 500}\n\n',
        b': hi\n\n{"error": "boom"}\n', b'{\n "error": {\n  "message": "boom"\n }\n}',
        b'{"error": "boom"}', b'data: {"error": "boom"}', b'{"detail": "boom"}',
        b'data: {"promptFeedback": {"blockReason": "boom"}}\n\n',
    ],
)  # fmt: skip
def test_an_error_in_a_stream_is_found_however_it_is_put(stream: bytes) -> None:
    for pieces in ([stream], [bytes([byte]) for byte in stream]):
        out, _, error = read(*pieces)
        assert (out, error is not None and "boom" in str(error.body)) == (b"", True)


@pytest.mark.parametrize(
    "odd",
    [
        b"data: ping\n\n", b"data: []\n\n", b'data: ""\n\n', b"event: heartbeat\ndata: 1\n\n",
        b'event: ping\ndata: {"type": "ping"}\n\n', b"data: 2026-01-01T00:00:00Z\n\n",
    ],
)  # fmt: skip
def test_a_sign_of_life_between_the_pieces_of_a_reply_is_passed_over(odd: bytes) -> None:
    first, rest = sse(chunk({"content": "a"}, error=None)), sse(chunk({"content": "b"}, "stop"))
    out, told, error = read(first + odd, rest)
    assert (error, told.reason) == (None, "stop")
    assert out.count(b"data:") == 2, "litellm fails on what is no piece of a reply"
    assert b"error" not in out, "it takes an error that is null for one"
    assert deltas(out) == [{"content": "a"}, {"content": "b"}]


@pytest.mark.parametrize(
    "junk",
    [b"data: [DONE\n\n", b"data: DONE\n\n", b'data: "[DONE]"\n\n',
     b"event: close\ndata: {bye\n\n", sse({"error": "late"}), b'data: {"error": "late"}'],
)  # fmt: skip
def test_what_comes_behind_the_end_of_a_reply_does_not_spoil_it(junk: bytes) -> None:
    usage = {**chunk({}), "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    out, told, error = read(sse(chunk({"content": "a"}, "stop")) + junk + b"\n\n", sse(usage))
    assert (error, told.reason, told.done) == (None, "stop", True)
    assert b'"completion_tokens": 1' in out


@pytest.mark.parametrize(
    "whole",
    [
        b"<html>no</html>",
        b"plain words",
        b"\xff",
        b'{"token": 7}',
        b"\x00\x00\x00\x99\x00\x00\x00:binary",
        b'{"output": "b"}',
    ],
)
def test_what_is_no_stream_is_left_as_it_is(whole: bytes) -> None:
    out, told, error = read(whole[:3], whole[3:])
    assert (out, error, told.known) == (whole, None, False)


EVENTS = st.lists(
    st.builds(lambda text: chunk({"content": text}), st.text(max_size=12)), min_size=1, max_size=5
)


@given(EVENTS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans(), st.booleans(), st.data())
def test_any_way_of_cutting_and_framing_a_stream_gives_the_same_events(
    values: list[dict[str, Any]], end: bytes, spread: bool, comments: bool, data: st.DataObject
) -> None:
    stream = b""
    for value in values:
        text = json.dumps(value, indent=1 if spread else None, ensure_ascii=False)
        lines = text.encode("utf-8", "surrogatepass").split(b"\n")
        stream += b": hi" + end if comments else b""
        stream += b"".join(b"data: " + line + end for line in lines) + end
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    cut = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    out, told, error = read(*cut)
    assert (error, told.form) == (None, "events")
    assert deltas(out) == [value["choices"][0]["delta"] for value in values]
