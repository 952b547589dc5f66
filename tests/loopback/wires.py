"""Streams in the forms of OpenAI, Anthropic, Ollama and Google, written from their public docs.

They hold what our client has to tell apart (thoughts, signatures, text, counts) and no more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.loopback.replies import Reply

Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wire:
    """One provider's form."""

    path: str
    """How the path of its requests ends."""
    kind: str
    """Content type of a stream."""
    pieces: Callable[[Reply, Request], Iterator[bytes]]
    """A whole stream, in the pieces in which it is written."""
    fault: Callable[[Any], bytes]
    """An error in the middle of a stream, from its `error` object."""


def cuts(text: str, size: int) -> list[str]:
    """A text in deltas."""
    return [text[at : at + size] for at in range(0, len(text), size)]


# --- OpenAI --------------------------------------------------------------------------------------


def openai(reply: Reply, request: Request) -> Iterator[bytes]:
    """`/chat/completions`: chunks, the last one with its reason, then usage and `[DONE]`."""
    for delta in openai_deltas(reply):
        yield sse(_chunk(request, delta))
    last = _chunk(request, {}, reply.finish_reason)
    if reply.usage == "last":
        last["usage"] = _usage(reply, request)
    yield sse(last)
    if reply.usage == "apart":
        yield sse({**_chunk(request, {}), "choices": [], "usage": _usage(reply, request)})
    if reply.fault != "no_done":
        yield b"data: [DONE]\n\n" * (2 if reply.fault == "two_dones" else 1)


def openai_whole(reply: Reply, request: Request) -> dict[str, Any]:
    """The same as one JSON object, for a request that wants no stream."""
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    for delta in openai_deltas(reply):
        for name in ("content", "reasoning", "reasoning_content"):
            if delta.get(name):
                message[name] = (message.get(name) or "") + delta[name]
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
    choices = [] if reply.fault == "empty_choices" else [choice]
    whole = {**_chunk(request, {}), "object": "chat.completion", "choices": choices}
    return whole if reply.usage == "none" else {**whole, "usage": _usage(reply, request)}


def openai_deltas(reply: Reply) -> list[dict[str, Any]]:
    """The deltas of a whole reply, in order."""
    if reply.fault == "empty_choices":
        return []
    text, thought = reply.text, reply.reasoning
    inline = {
        "inline": "<think>{}</think>\n\n",
        "orphan": "{}</think>\n\n",
        "unclosed": "<think>{}",
    }
    if reply.form in inline:
        text = inline[reply.form].format(thought) + text
        thought = ""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if reply.form in ("reasoning", "reasoning_content"):
        deltas += [{reply.form: piece, "content": None} for piece in cuts(thought, reply.chunk)]
    for piece in cuts(text, reply.chunk):
        if reply.fault == "null_deltas":
            deltas.append({"content": None})
        deltas.append({"content": piece})
    if reply.fault == "tool_calls":
        call = {"index": 0, "id": "c1", "type": "function"}
        deltas.append({"tool_calls": [{**call, "function": {"name": "f", "arguments": "{}"}}]})
    return deltas


def _chunk(
    request: Request, delta: dict[str, Any], finish_reason: str | None = None
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-loopback",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": request.get("model"),
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def _usage(reply: Reply, request: Request) -> Any:
    if reply.counts is not None:
        return reply.counts
    prompt = sum(len(str(m.get("content", ""))) // 4 + 4 for m in request.get("messages", []))
    completion = (len(reply.text) + len(reply.reasoning)) // 4 + 1
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if reply.reasoning_tokens is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reply.reasoning_tokens}
    if reply.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": reply.cached_tokens}
    return usage


def sse(value: Any) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


# --- Anthropic -----------------------------------------------------------------------------------

_ANTHROPIC_ENDS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


def anthropic(reply: Reply, _request: Request) -> Iterator[bytes]:
    """`/v1/messages`: a signed thinking block, a redacted one, then text."""
    start = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "claude"}
    usage = {"input_tokens": 10, "output_tokens": 1}
    yield _named("message_start", message={**start, "stop_reason": None, "usage": usage})
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if reply.reasoning:
        thoughts = [
            {"type": "thinking_delta", "thinking": piece}
            for piece in cuts(reply.reasoning, reply.chunk)
        ]
        signed = {"type": "signature_delta", "signature": reply.signature}
        block = {"type": "thinking", "thinking": "", "signature": ""}
        blocks.append((block, [*thoughts, signed]))
        blocks.append(({"type": "redacted_thinking", "data": "hidden"}, []))
    deltas = [{"type": "text_delta", "text": piece} for piece in cuts(reply.text, reply.chunk)]
    blocks.append(({"type": "text", "text": ""}, deltas))
    for index, (block, changes) in enumerate(blocks):
        yield _named("content_block_start", index=index, content_block=block)
        for delta in changes:
            yield _named("content_block_delta", index=index, delta=delta)
        yield _named("content_block_stop", index=index)
    why = _ANTHROPIC_ENDS.get(reply.finish_reason or "", reply.finish_reason)
    yield _named("message_delta", delta={"stop_reason": why}, usage={"output_tokens": 9})
    yield _named("message_stop")


def _named(name: str, **values: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **values})}\n\n".encode()


# --- Ollama --------------------------------------------------------------------------------------


def ollama(reply: Reply, _request: Request) -> Iterator[bytes]:
    """`/api/chat`: one JSON object per line."""
    rows: list[dict[str, Any]] = [
        {"message": {"role": "assistant", "content": "", "thinking": piece}}
        for piece in cuts(reply.reasoning, reply.chunk)
    ]
    rows += [
        {"message": {"role": "assistant", "content": piece}}
        for piece in cuts(reply.text, reply.chunk)
    ]
    end = {"message": {"role": "assistant", "content": ""}, "done": True}
    rows.append({**end, "done_reason": reply.finish_reason, "prompt_eval_count": 10})
    rows[-1]["eval_count"] = 9
    for row in rows:
        line = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": False, **row}
        yield json.dumps(line).encode() + b"\n"


# --- Google --------------------------------------------------------------------------------------

_GOOGLE_ENDS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def google(reply: Reply, _request: Request) -> Iterator[bytes]:
    """`:streamGenerateContent?alt=sse`: a summary, then the answer with its signature."""
    thought = {"text": reply.reasoning, "thought": True}
    if reply.reasoning:
        yield _crlf({"candidates": [{"content": {"parts": [thought], "role": "model"}}]})
    *before, final = cuts(reply.text, max(reply.chunk, len(reply.text) // 2 + 1)) or [""]
    for text in before:
        yield _crlf({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}]})
    answer = {"text": final, "thoughtSignature": reply.signature}
    counts = {"promptTokenCount": 10, "candidatesTokenCount": 2, "thoughtsTokenCount": 7}
    why = _GOOGLE_ENDS.get(reply.finish_reason or "", reply.finish_reason)
    last = {"content": {"parts": [answer], "role": "model"}, "finishReason": why, "index": 0}
    yield _crlf({"candidates": [last], "usageMetadata": {**counts, "totalTokenCount": 19}})


def _crlf(row: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(row).encode() + b"\r\n\r\n"


OPENAI = Wire("/chat/completions", "text/event-stream", openai, lambda e: sse({"error": e}))
WIRES = (
    OPENAI,
    Wire("/v1/messages", "text/event-stream", anthropic, lambda e: _named("error", error=e)),
    Wire(
        "/api/chat",
        "application/x-ndjson",
        ollama,
        lambda e: json.dumps({"error": e["message"]}).encode() + b"\n",
    ),
    Wire(":streamGenerateContent", "text/event-stream", google, lambda e: _crlf({"error": e})),
)
