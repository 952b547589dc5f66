"""Synthetic streams in the forms of Anthropic, Ollama and Google, written from their public docs.

They hold what our client has to tell apart (thoughts, signatures, text, counts) and no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Wire = Iterator[bytes]


def pieces(text: str, size: int) -> list[str]:
    """A text in deltas."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def anthropic(text: str, reasoning: str, signature: str, size: int) -> Wire:
    """`/v1/messages`: a signed thinking block, a redacted one, then text."""
    start = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "claude"}
    usage = {"input_tokens": 10, "output_tokens": 1}
    yield _named("message_start", message={**start, "stop_reason": None, "usage": usage})
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if reasoning:
        thoughts = [
            {"type": "thinking_delta", "thinking": piece} for piece in pieces(reasoning, size)
        ]
        signed = {"type": "signature_delta", "signature": signature}
        block = {"type": "thinking", "thinking": "", "signature": ""}
        blocks.append((block, [*thoughts, signed]))
        blocks.append(({"type": "redacted_thinking", "data": "hidden"}, []))
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces(text, size)]
    blocks.append(({"type": "text", "text": ""}, deltas))
    for index, (block, changes) in enumerate(blocks):
        yield _named("content_block_start", index=index, content_block=block)
        for delta in changes:
            yield _named("content_block_delta", index=index, delta=delta)
        yield _named("content_block_stop", index=index)
    yield _named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})
    yield _named("message_stop")


def ollama(text: str, reasoning: str, size: int) -> Wire:
    """`/api/chat`: one JSON object per line."""
    rows: list[dict[str, Any]] = [
        {"message": {"role": "assistant", "content": "", "thinking": piece}}
        for piece in pieces(reasoning, size)
    ]
    rows += [{"message": {"role": "assistant", "content": piece}} for piece in pieces(text, size)]
    end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    rows.append({**end, "prompt_eval_count": 10, "eval_count": 9})
    for row in rows:
        line = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": False, **row}
        yield json.dumps(line).encode() + b"\n"


def google(text: str, reasoning: str, signature: str) -> Wire:
    """`:streamGenerateContent?alt=sse`: a summary, then the answer with its signature."""
    thought = {"text": reasoning, "thought": True}
    answer = {"text": text, "thoughtSignature": signature}
    counts = {"promptTokenCount": 10, "candidatesTokenCount": 2, "thoughtsTokenCount": 7}
    rows: list[dict[str, Any]] = []
    if reasoning:
        rows.append({"candidates": [{"content": {"parts": [thought], "role": "model"}}]})
    last = {"content": {"parts": [answer], "role": "model"}, "finishReason": "STOP", "index": 0}
    rows.append({"candidates": [last], "usageMetadata": {**counts, "totalTokenCount": 19}})
    for row in rows:
        yield b"data: " + json.dumps(row).encode() + b"\r\n\r\n"


def _named(name: str, **values: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **values})}\n\n".encode()
