"""Open the way to models: each call goes where its model's name says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from planner_app.domain.errors import NotFound
from planner_app.models.litellm_client import LiteLLMClient, LiteLLMOptions
from planner_app.models.port import (
    Message,
    ModelClient,
    ModelReply,
    ModelRequest,
    ModelSpec,
    OnDelta,
    Price,
    Profile,
)
from planner_app.models.profiles import ProfileBook
from planner_app.models.recorded import PREFIX as RECORDED
from planner_app.models.recorded import LoadRecording, RecordedClient, Recording
from planner_app.models.scripted import PREFIX as SCRIPTED
from planner_app.models.scripted import ScriptedClient


def open_client(
    options: LiteLLMOptions | None = None,
    *,
    scripts: Path | None = None,
    recordings: LoadRecording | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> ModelClient:
    """The client of a process. Nothing is imported or connected before the first call.

    `options`: what the settings say about real models. `scripts`: the folder that `scripted:PATH`
    is relative to. `recordings`: gives the replies of a saved run for `recorded:RUN`. `sleep`
    paces scripted replies.
    """
    return _Router(
        ScriptedClient(scripts, sleep=sleep),
        RecordedClient(recordings or _no_recordings),
        LiteLLMClient(options or LiteLLMOptions(ProfileBook.load())),
    )


def _no_recordings(run: str) -> Recording:
    raise NotFound(f"no saved run {run!r} can be read here")


class _Router:
    def __init__(
        self, scripted: ScriptedClient, recorded: RecordedClient, real: LiteLLMClient
    ) -> None:
        self._scripted = scripted
        self._recorded = recorded
        self._real = real

    def _for(self, spec: ModelSpec) -> ModelClient:
        if spec.name.startswith(SCRIPTED):
            return self._scripted
        return self._recorded if spec.name.startswith(RECORDED) else self._real

    async def complete(self, request: ModelRequest, on_delta: OnDelta) -> ModelReply:
        return await self._for(request.spec).complete(request, on_delta)

    def price(self, spec: ModelSpec) -> Price | None:
        return self._for(spec).price(spec)

    def profile(self, spec: ModelSpec) -> Profile:
        return self._for(spec).profile(spec)

    def count_tokens(self, spec: ModelSpec, messages: Sequence[Message]) -> int:
        return self._for(spec).count_tokens(spec, messages)

    async def aclose(self) -> None:
        for client in (self._scripted, self._recorded, self._real):
            await client.aclose()
