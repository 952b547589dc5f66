"""One call to a real model: send, read the stream within its deadlines, and account for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

from pydantic import JsonValue

from planner_app.models.accounting import cost_of, count_usage
from planner_app.models.assembly import Assembly, ReplyTooLongError, plain_finish
from planner_app.models.faults import Place, explain
from planner_app.models.lite import load_litellm
from planner_app.models.port import (
    Delta,
    ModelError,
    ModelReply,
    ModelRequest,
    OnDelta,
    Price,
    Profile,
)
from planner_app.models.repeats import Repeats
from planner_app.models.shaping import Params, shape_messages
from planner_app.models.wire import Heard, heard


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how much a call waits for."""

    first_piece_s: float = 300.0
    """Seconds to the first piece; a model whose thoughts are hidden has the whole deadline."""
    idle_s: float = 90.0
    """Seconds between two pieces, once one has come. A model that shows only a summary of its
    thoughts, or nothing, is silent while it thinks on: it has `first_piece_s` each time."""
    max_chars: int = 4_000_000
    """Characters of a reply, reasoning included."""


_KEPT = 16
"""Of litellm's chunks, how many of the newest are kept; usage stands in one of the last."""


_BREATH_S = 0.005
"""Seconds after which reading lets the other tasks of the event loop have their turn."""


class _Chunks(list[object]):
    """The first chunk and the newest ones.

    litellm keeps them all, some 2 KB for each token, and reads all of them again when a stream
    ends or breaks off. Of ours it needs the last two, we the first one and the end.
    """

    def append(self, chunk: object) -> None:
        super().append(chunk)
        if len(self) > 2 * _KEPT:
            del self[1:-_KEPT]


class _Stream(Protocol):
    """What is used of litellm's stream."""

    chunks: list[Any]
    received_finish_reason: str | None
    intermittent_finish_reason: str | None
    _hidden_params: dict[str, Any]

    def __aiter__(self) -> AsyncIterator[Any]: ...
    async def aclose(self) -> None: ...


class _Whole:
    """A reply that came in one piece, read as a stream of one."""

    def __init__(self, response: Any) -> None:
        self.chunks: list[Any] = [response]
        self.received_finish_reason: str | None = None
        self.intermittent_finish_reason: str | None = None
        self._hidden_params: dict[str, Any] = response._hidden_params

    async def __aiter__(self) -> AsyncIterator[Any]:
        for choice in self.chunks[0].choices[:1]:
            self.received_finish_reason = choice.finish_reason
            yield SimpleNamespace(choices=[SimpleNamespace(delta=choice.message)])

    async def aclose(self) -> None:
        """Nothing is open."""


class Call:
    """One call under way."""

    def __init__(
        self,
        request: ModelRequest,
        place: Place,
        profile: Profile,
        price: Price | None,
        bounds: Bounds,
        on_delta: OnDelta,
    ) -> None:
        self._request = request
        self._place = place
        self._profile = profile
        self._price = price
        self._bounds = bounds
        self._on_delta = on_delta
        shows_all = profile.reasoning_visible in ("full", "none")
        self._idle_s = bounds.idle_s if shows_all else max(bounds.idle_s, bounds.first_piece_s)
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self._started = 0.0
        self._first_piece: float | None = None
        self._heard = Heard()
        self._reason = ""
        self._tool_calls = False
        self._repeats = Repeats()
        self._repeating = False

    async def run(self, params: Params) -> ModelReply:
        """The reply. Raises ModelError."""
        litellm = await load_litellm()
        self._started, self._first_piece = self._now(), None
        self._heard = Heard()
        provider = drop_unsupported(litellm, self._place, params)
        limit = min(self._bounds.max_chars, max(20_000, 24 * self._request.max_tokens))
        assembly = Assembly(self._profile.think_mode, self._piece, limit)
        try:
            stream = await self._stream(litellm, params, provider, assembly)
        except ModelError as error:
            self._account(error, assembly)
            raise
        return self._reply(stream, assembly, params, provider)

    async def _stream(
        self, litellm: ModuleType, params: Params, provider: str, assembly: Assembly
    ) -> _Stream:
        """The stream, read to its end and closed."""
        ends = self._started + self._request.deadline_s
        silent = self._profile.reasoning_visible == "hidden" or "stream" not in params.sent
        first = ends if silent else self._started + self._bounds.first_piece_s
        scope = asyncio.timeout_at(min(ends, first))
        stream: _Stream | None = None
        token = heard.set(self._heard)
        try:
            async with scope:
                reply = await litellm.acompletion(
                    model=self._place.model,
                    messages=shape_messages(
                        self._request.messages, self._profile, provider, self._place.model
                    ),
                    api_base=self._place.api_base,
                    api_key=self._place.key,
                    timeout=self._request.deadline_s + 1.0,
                    max_retries=0,
                    **params.sent,
                )
                stream = reply if "stream" in params.sent else _Whole(reply)
                assert stream is not None
                if "stream" in params.sent:
                    stream.chunks = _Chunks()
                await self._read(stream, assembly, scope, ends)
                self._reason = _reason(stream, self._heard)
                return stream
        except ReplyTooLongError:
            raise ModelError(
                "too_long",
                f"{self._place.model} sent more than a reply of {self._request.max_tokens:,} "
                "tokens can hold",
            ) from None
        except ModelError:
            raise
        except TimeoutError as error:
            if scope.expired():
                raise self._late(assembly, total=self._now() >= ends) from error
            raise explain(error, self._place, streamed=assembly.started) from error
        except Exception as error:
            raise explain(error, self._place, streamed=assembly.started) from error
        finally:
            heard.reset(token)
            if stream is not None:
                await stream.aclose()

    async def _read(
        self, stream: _Stream, assembly: Assembly, scope: asyncio.Timeout, ends: float
    ) -> None:
        idle, now = self._idle_s, self._now
        # Moving the timer at every token would cost more than reading it.
        grain = min(1.0, idle / 4)
        moved = breathed = 0.0
        async for chunk in stream:
            if not chunk.choices:
                continue
            delta = chunk.choices[0].delta
            reasoning = getattr(delta, "reasoning_content", None)
            if reasoning:
                assembly.add_reasoning(reasoning)
            content = delta.content
            if content:
                assembly.add_text(content)
            blocks = getattr(delta, "thinking_blocks", None)
            if blocks:
                assembly.add_blocks(blocks)
            extra = getattr(delta, "provider_specific_fields", None)
            if extra and extra.get("thought_signatures"):
                assembly.add_signatures(extra["thought_signatures"])
            if delta.tool_calls:
                self._tool_calls = True
            moment = now()
            if assembly.started and moment - moved > grain:
                scope.reschedule(min(ends, moment + idle))
                moved = moment
            if moment - breathed > _BREATH_S:
                # What is there already is read without a pause, while all else would wait.
                await asyncio.sleep(0)
                breathed = now()
            if self._repeating:
                raise ModelError("too_long", f"{self._place.model} repeats itself without end")

    def _piece(self, delta: Delta) -> None:
        if self._first_piece is None:
            self._first_piece = self._now()
        self._repeating = self._repeating or self._repeats.add(delta.text)
        self._on_delta(delta)

    def _late(self, assembly: Assembly, *, total: bool) -> ModelError:
        if total:
            seconds = self._request.deadline_s
            return ModelError("deadline", f"{self._place.model} was not done after {seconds:g} s")
        if assembly.started:
            what = f"{self._place.server} sent nothing for {self._idle_s:g} s"
        else:
            what = f"{self._place.server} sent nothing in {self._bounds.first_piece_s:g} s"
        return ModelError("timeout", what)

    def _account(self, error: ModelError, assembly: Assembly) -> None:
        """What a failed call is billed for all the same, estimated."""
        error.streamed = assembly.started
        if assembly.started:
            usage = count_usage((), self._request.messages, assembly.text, assembly.reasoning)
            error.usage, error.cost = usage, cost_of(usage, self._price)

    def _reply(
        self, stream: _Stream, assembly: Assembly, params: Params, provider: str
    ) -> ModelReply:
        ended = self._now()
        finish = plain_finish(self._reason)
        assembly.finish(finish)
        fault = self._fault(stream, assembly, finish, streamed="stream" in params.sent)
        if fault is not None:
            self._account(fault, assembly)
            raise fault
        text, reasoning = assembly.text, assembly.reasoning
        usage = count_usage(
            stream.chunks,
            self._request.messages,
            text,
            reasoning,
            tells_reasoning="claude" not in self._place.model,
        )
        first = self._first_piece
        return ModelReply(
            text=text,
            reasoning=reasoning,
            finish_reason=finish,
            usage=usage,
            cost=cost_of(usage, self._price, stream.chunks),
            model=_served_model(stream) or self._place.model,
            provider_state=self._own(assembly, provider),
            dropped_params=tuple(params.dropped),
            first_token_ms=None if first is None else 1000 * (first - self._started),
            ms=1000 * (ended - self._started),
            unclosed_reasoning=assembly.unclosed,
            warnings=self._warnings(params, assembly),
        )

    def _own(self, assembly: Assembly, provider: str) -> dict[str, JsonValue] | None:
        """What may go back with this reply, and to whom; None: nothing."""
        state = assembly.provider_state(provider)
        if state is None and assembly.reasoning and self._profile.history_reasoning == "keep":
            state = {"provider": provider}
        return None if state is None else {**state, "model": self._place.model}

    def _fault(
        self, stream: _Stream, assembly: Assembly, finish: str, *, streamed: bool
    ) -> ModelError | None:
        """What is wrong with a reply that ended in peace; None: nothing."""
        place = self._place
        if finish == "content_filter":
            return ModelError(
                "content_policy", f"the provider's content filter stopped {place.model}"
            )
        if not assembly.started and finish != "length":
            if self._heard.form == "page":
                return ModelError(
                    "malformed_stream",
                    f"{place.server} sent a web page instead of a reply",
                    "check api_base: for most servers it ends in /v1",
                    retryable=False,
                )
            if streamed and self._heard.form == "whole":
                # The caller leaves out what is said to be refused, and asks anew.
                return ModelError("bad_request", f"{place.server} does not support stream")
            if self._tool_calls or finish == "tool_calls":
                return ModelError("empty", f"{place.model} only asked for tools that do not exist")
            return ModelError("empty", f"{place.server} sent an empty reply")
        if not finish:
            return ModelError("cut_stream", f"{place.server} ended in the middle of a reply")
        return None

    def _warnings(self, params: Params, assembly: Assembly) -> tuple[str, ...]:
        lines = [f"{self._place.model} does not take {name}: left out" for name in params.dropped]
        if self._tool_calls:
            lines.append("it asked for a tool call that nobody offered: ignored")
        if assembly.unclosed:
            lines.append("it ended inside its reasoning")
        return tuple(lines)


def _reason(stream: _Stream, told: Heard) -> str:
    """Why a stream ended, in the provider's word; empty: it never said.

    litellm ends a stream with `stop` also where the provider did not.
    """
    if told.known:
        return told.reason or ("stop" if told.done else "")
    return stream.received_finish_reason or stream.intermittent_finish_reason or ""


def _served_model(stream: _Stream) -> str | None:
    for chunk in stream.chunks[:1]:
        name = getattr(chunk, "model", None)
        if isinstance(name, str) and name:
            return name
    return None


_OPTIONAL = (
    "temperature", "top_p", "seed", "response_format", "reasoning_effort", "thinking",
)  # fmt: skip


def drop_unsupported(litellm: ModuleType, place: Place, params: Params) -> str:
    """Leave out what litellm would refuse to send, and say who the provider is."""
    try:
        bare, provider, _, _ = litellm.get_llm_provider(place.model)
    except Exception as error:
        raise explain(error, place, streamed=False) from error
    if place.api_base is not None and provider in ("openai", "hosted_vllm", "lm_studio"):
        # A server of one's own may take what the provider's own models do not.
        params.sent["allowed_openai_params"] = [n for n in _OPTIONAL if n in params.sent]
        return str(provider)
    supported = litellm.get_supported_openai_params(model=bare, custom_llm_provider=provider)
    for name in _OPTIONAL:
        if supported is not None and name in params.sent and name not in supported:
            params.drop(name)
    return str(provider)
