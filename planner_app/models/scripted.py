"""A model that answers from a file of replies: examples and tests.

Replies are found by who asks (role, step, attempt, turn) and never by order, since parallel steps
race. A call that no reply was written for is an error that names the call.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from planner_app.domain.catalogue import BETTERS
from planner_app.domain.errors import BadInput
from planner_app.models.port import (
    AgentRole,
    Cost,
    Delta,
    Message,
    ModelError,
    ModelReply,
    ModelRequest,
    ModelSpec,
    OnDelta,
    Profile,
    ReplyKey,
    Usage,
)
from planner_app.models.tokens import estimate_messages, estimate_tokens
from planner_app.models.unpaid import UnpaidClient

PREFIX = "scripted:"


class ScriptedUsage(BaseModel):
    """Tokens that a scripted reply claims; left out, they are estimated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)
    reasoning_tokens: int | None = Field(default=None, ge=0)


class ScriptedReply(BaseModel):
    """One line of a script."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: AgentRole
    """Who asks."""
    step: str | None = None
    """Which step; left out for planner and checker."""
    attempt: int | None = None
    """Which attempt at the step; left out: any."""
    turn: int = Field(ge=1)
    """Which call of this role, step and attempt in the run, from 1."""
    purpose: str | None = None
    """Only for calls with this purpose; left out: any but a further call (commit, translate)."""
    reasoning: str | None = None
    """What it thinks aloud."""
    text: str
    """What it answers."""
    usage: ScriptedUsage | None = None
    """Tokens; left out: estimated."""
    finish_reason: str = "stop"
    """Why it ends, e.g. `length`."""
    tokens_per_s: float | None = Field(default=None, gt=0)
    """Pace at which it arrives; left out: at once."""
    expect: str | None = None
    """Text that the request must hold, so that a script notices when a prompt loses it."""
    copies: dict[str, str] = Field(default_factory=dict, alias="copy")
    """Name to a pattern with one group: `{{name}}` in the text becomes what the group matches last
    in the request, as a model copies a source's number that only the run knows."""

    def score(self, key: ReplyKey) -> int:
        """How closely this reply is meant for a call; -1: not at all."""
        if self.role != key.role or self.turn != key.turn:
            return -1
        if key.purpose in BETTERS and self.purpose is None:
            return -1  # it shares its turn with the reply that it may better
        score = 0
        for wanted, given in (
            (self.step, key.step),
            (self.attempt, key.attempt),
            (self.purpose, key.purpose),
        ):
            if wanted is None:
                continue
            if wanted != given:
                return -1
            score += 1
        return score


def read_script(path: Path) -> tuple[ScriptedReply, ...]:
    """The replies of a file of JSON lines. Raises BadInput naming file and line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise BadInput(f"the script {path} cannot be read: {why}") from error
    replies: list[ScriptedReply] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            replies.append(ScriptedReply.model_validate(json.loads(line)))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the reply"
            raise BadInput(f"{path}, line {number}: {where}: {first['msg']}") from error
        except ValueError as error:
            raise BadInput(f"{path}, line {number}: not JSON: {error}") from error
    if not replies:
        raise BadInput(f"the script {path} holds no reply")
    return tuple(replies)


class ScriptedClient(UnpaidClient):
    """Answers from scripts; `scripted:PATH` names the file, relative to `base`."""

    def __init__(
        self,
        base: Path | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._base = base or Path()
        self._sleep = sleep
        self._scripts: dict[str, tuple[ScriptedReply, ...]] = {}

    async def complete(self, request: ModelRequest, on_delta: OnDelta) -> ModelReply:
        """The reply written for this call. Raises ModelError of kind `unscripted`."""
        started = time.monotonic()
        reply = self._find(request)
        first_ms: float | None = None
        pieces: tuple[tuple[Literal["reasoning", "text"], str | None], ...] = (
            ("reasoning", reply.reasoning),
            ("text", reply.text),
        )
        for kind, text in pieces:
            for piece in _pieces(text or "", paced=reply.tokens_per_s is not None):
                if reply.tokens_per_s is not None:
                    await self._sleep(estimate_tokens(piece) / reply.tokens_per_s)
                if first_ms is None:
                    first_ms = 1000 * (time.monotonic() - started)
                on_delta(Delta(kind, piece))
        return ModelReply(
            text=reply.text,
            reasoning=reply.reasoning or "",
            finish_reason=reply.finish_reason,
            usage=_usage(reply, request.messages),
            cost=Cost(usd=0.0, source="scripted"),
            model=request.spec.name,
            first_token_ms=first_ms,
            ms=1000 * (time.monotonic() - started),
        )

    def profile(self, spec: ModelSpec) -> Profile:
        """Plain habits: a script says what it says."""
        return Profile(family="scripted", think_mode="off", notes="replies come from a file")

    def _find(self, request: ModelRequest) -> ScriptedReply:
        name = request.spec.name
        if name not in self._scripts:
            self._scripts[name] = read_script(self._base / Path(name.removeprefix(PREFIX)))
        key = request.key
        scores = [(reply.score(key), reply) for reply in self._scripts[name]]
        best = max(score for score, _ in scores)
        if best < 0:
            raise ModelError(
                "unscripted",
                f"{name} has no reply for {key}",
                "add a line with this role, step, attempt and turn",
            )
        reply = next(reply for score, reply in scores if score == best)
        if reply.expect is not None and not any(
            reply.expect in message.content for message in request.messages
        ):
            raise ModelError(
                "unscripted",
                f"the request for {key} does not hold {reply.expect!r} as {name} expects",
            )
        return _copied(reply, request, name)


def _copied(reply: ScriptedReply, request: ModelRequest, name: str) -> ScriptedReply:
    """The reply with what it copies from the request. Raises ModelError of kind `unscripted`."""
    text = reply.text
    for label, pattern in reply.copies.items():
        found = [
            match.group(1)
            for message in request.messages
            for match in re.finditer(pattern, message.content)
        ]
        if not found:
            raise ModelError(
                "unscripted",
                f"the request for {request.key} has nothing like {pattern!r} for {name} to copy",
            )
        text = text.replace("{{" + label + "}}", found[-1])
    return reply.model_copy(update={"text": text})


def _pieces(text: str, *, paced: bool) -> list[str]:
    """A text cut for streaming: by words when paced, else as it is."""
    if not text:
        return []
    if not paced:
        return [text]
    words = text.split(" ")
    return [word + " " for word in words[:-1]] + ([words[-1]] if words[-1] else [])


def _usage(reply: ScriptedReply, messages: Sequence[Message]) -> Usage:
    given = reply.usage or ScriptedUsage()
    reasoning = (
        estimate_tokens(reply.reasoning or "")
        if given.reasoning_tokens is None
        else given.reasoning_tokens
    )
    prompt, completion = given.prompt_tokens, given.completion_tokens
    told = prompt is not None and completion is not None
    return Usage(
        prompt_tokens=estimate_messages(messages) if prompt is None else prompt,
        completion_tokens=estimate_tokens(reply.text) + reasoning
        if completion is None
        else completion,
        reasoning_tokens=reasoning,
        source="provider" if told else "estimated",
        reasoning_source="provider" if given.reasoning_tokens is not None else "estimated",
    )
