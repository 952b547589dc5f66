"""What the loopback server does with one request: an answer, an error, or mischief."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

Form = Literal["reasoning_content", "reasoning", "inline", "orphan", "unclosed", "none"]
Fault = Literal[
    "none",
    "html",
    "empty_body",
    "other_json",
    "cut_body",
    "hangs_up",
    "ignores_stream",
    "empty_choices",
    "never_starts",
    "stalls",
    "cut_before",
    "cut",
    "ends_early",
    "error_first",
    "error_in_stream",
    "broken_sse",
    "broken_event",
    "split_utf8",
    "null_deltas",
    "two_dones",
    "no_done",
    "tool_calls",
    "repeats",
    "endless_reasoning",
]
Framing = Literal[
    "plain", "no_space", "crlf", "cr", "comments", "named", "multiline", "at_once", "bom",
    "no_blank_lines", "many_blank_lines",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does with one request."""

    text: str = "Hello."
    """The answer."""
    reasoning: str = ""
    """What is thought first."""
    form: Form = "reasoning_content"
    """How the reasoning arrives."""
    status: int = 200
    """HTTP status; other than 200, `body` is sent as it is."""
    body: Any = None
    """The body of an error: text, or a value to be sent as JSON. `{key}` in it, or in an error
    in the stream, becomes the key that was sent."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers, e.g. Retry-After."""
    chunk: int = 8
    """Characters in a delta."""
    finish_reason: str | None = "stop"
    """Why it ends."""
    usage: Literal["apart", "last", "none"] = "apart"
    """Whether usage comes in a chunk of its own, with the last one, or not at all."""
    reasoning_tokens: int | None = None
    """Count that usage tells; None: it does not."""
    cached_tokens: int | None = None
    """Prompt tokens that usage calls cached; None: it does not say."""
    counts: Any = None
    """What usage is instead of the true counts; None: they are sent."""
    tokens_per_s: float | None = None
    """Pace of the deltas; None: at once."""
    fault: Fault = "none"
    """How it misbehaves."""
    framing: Framing = "plain"
    """How events are written where the stream is one of server-sent events."""
    signature: str = "signed"
    """Of the thoughts, where the wire form has one."""
    when: str | None = None
    """Only for requests that hold this text."""


def read_script(path: Path) -> dict[str, list[Reply]]:
    """A script from a JSON file: model name to its replies."""
    known = {field.name for field in fields(Reply)}
    script: dict[str, list[Reply]] = {}
    for model, replies in json.loads(path.read_text(encoding="utf-8")).items():
        for reply in replies:
            if stray := set(reply) - known:
                raise SystemExit(f"{path}: a reply of {model} has unknown fields: {sorted(stray)}")
        script[model] = [Reply(**reply) for reply in replies]
    return script
