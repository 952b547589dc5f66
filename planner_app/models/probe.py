"""Ask a model once, cheaply, what it does: whether it thinks aloud, streams, and keeps to JSON.

JSON is tested by what comes back, not by what is promised: a schema mode is asked for in a call
whose words say nothing of JSON, so only a server that holds the model to it sends any.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from planner_app.models.memory import Memory, Probe
from planner_app.models.port import (
    Delta,
    Message,
    ModelClient,
    ModelReply,
    ModelRequest,
    ModelSpec,
    ReplyKey,
)
from planner_app.models.profiles import JsonMode, Profile

SECONDS = 60.0
TOKENS = 4_000
"""Most that one reply may take; a reasoning model thinks a little about anything."""
_TASK = "Write the numbers from one to ten as words, in one line."
_ASKS_FOR_JSON = (
    f"{_TASK} Reply as JSON: nothing but one object with one key, "
    '"answer", whose value is the line.'
)
_SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model did."""

    probe: Probe
    first_token_ms: float | None
    """Of the first call; None: nothing came."""
    ms: float
    """Of the first call."""
    usd: float | None
    """Of all calls; None: unknown."""
    warnings: tuple[str, ...]
    """Lines for people."""


async def ask(client: ModelClient, memory: Memory, spec: ModelSpec) -> Asked:
    """One call, or two where JSON needs it; what is found is remembered. Raises ModelError."""
    memory.forget(spec.name, spec.api_base)
    pieces: list[Delta] = []
    replies: list[ModelReply] = []
    json_mode: JsonMode | None = None
    began = time.monotonic()
    for mode in _modes(client.profile(spec)):
        reply = await client.complete(_request(spec, mode), pieces.append)
        replies.append(reply)
        if "response_format" in reply.dropped_params:
            memory.forget(spec.name, spec.api_base)  # a weaker mode may be taken all the same
            json_mode = "prompt" if _kept(reply.text, "prompt") else json_mode
        elif _kept(reply.text, mode):
            json_mode = mode
            break
    first = replies[0]
    probe = Probe(
        at=datetime.now(UTC),
        reasons=any(r.reasoning or r.usage.reasoning_tokens or _orphan(r) for r in replies),
        streams=len(pieces) > len(replies),
        json_mode=json_mode,
        orphan_tags=any(_orphan(reply) for reply in replies),
    )
    memory.probed(spec.name, spec.api_base, probe)
    costs = [reply.cost.usd for reply in replies]
    return Asked(
        probe=probe,
        first_token_ms=first.first_token_ms,
        ms=first.ms or (time.monotonic() - began) * 1000,
        usd=None if None in costs else sum(usd for usd in costs if usd is not None),
        warnings=tuple(dict.fromkeys(line for reply in replies for line in reply.warnings)),
    )


def _modes(profile: Profile) -> Iterator[JsonMode]:
    """The ways to ask for JSON that are worth a try, the strongest first."""
    if profile.json_mode == "native_schema" or profile.family == "unknown":
        yield "native_schema"
    if profile.json_mode != "prompt" or profile.family == "unknown":
        yield "json_object"
    else:
        yield "prompt"


def _request(spec: ModelSpec, mode: JsonMode) -> ModelRequest:
    words = _TASK if mode == "native_schema" else _ASKS_FOR_JSON
    return ModelRequest(
        spec=spec.model_copy(update={"options": {**spec.options, "json": mode}}),
        messages=(Message(role="user", content=words),),
        max_tokens=TOKENS,
        json_schema=_SCHEMA,
        deadline_s=SECONDS,
        key=ReplyKey(role="planner", purpose="probe", turn=1),
    )


def _kept(text: str, mode: JsonMode) -> bool:
    """Whether a reply is what was asked for. By words alone, a fence around it is fine."""
    bare = text.rpartition("</think>")[2].strip()
    if mode == "prompt":
        bare = bare.removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        value = json.loads(bare)
    except ValueError:
        return False
    return isinstance(value, dict) and isinstance(value.get("answer"), str)


def _orphan(reply: ModelReply) -> bool:
    """Whether a thought ends in the text that nothing opened: its profile does not expect it."""
    head, closed, _ = reply.text.partition("</think>")
    return bool(closed) and "<think>" not in head
