"""A model that answers from a saved run: the same replies to the same calls, at no cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from planner_app.domain.catalogue import BETTERS
from planner_app.models.port import (
    Cost,
    Delta,
    ModelError,
    ModelReply,
    ModelRequest,
    ModelSpec,
    OnDelta,
    Profile,
    ReplyKey,
)
from planner_app.models.unpaid import UnpaidClient

PREFIX = "recorded:"

CallId = tuple[str, str | None, int | None, int, str]
"""Role, step, attempt, turn, and the purpose of a further call, which shares its reply's turn."""

Recording = Mapping[CallId, ModelReply]
LoadRecording = Callable[[str], Recording]
"""Gives a saved run's replies by the run's id. Raises NotFound."""


def call_id(key: ReplyKey) -> CallId:
    """What a recorded reply is found by."""
    further = key.purpose if key.purpose in BETTERS else ""
    return key.role, key.step, key.attempt, key.turn, further


class RecordedClient(UnpaidClient):
    """Answers from saved runs; `recorded:RUN` names the run."""

    def __init__(self, load: LoadRecording) -> None:
        self._load = load
        self._recordings: dict[str, Recording] = {}

    async def complete(self, request: ModelRequest, on_delta: OnDelta) -> ModelReply:
        """The reply that this call got then. Raises ModelError of kind `unrecorded`."""
        run = request.spec.name.removeprefix(PREFIX)
        if run not in self._recordings:
            self._recordings[run] = self._load(run)
        reply = self._recordings[run].get(call_id(request.key))
        if reply is None:
            raise ModelError("unrecorded", f"run {run} has no reply for {request.key}")
        if reply.reasoning:
            on_delta(Delta("reasoning", reply.reasoning))
        if reply.text:
            on_delta(Delta("text", reply.text))
        return reply.model_copy(update={"cost": Cost(usd=0.0, source="scripted")})

    def profile(self, spec: ModelSpec) -> Profile:
        """Plain habits: the replies are there already."""
        return Profile(family="recorded", think_mode="off", notes="replies come from a saved run")
