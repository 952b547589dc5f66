"""What a run does when a model fails: another takes over, a conversation is made shorter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from planner_app.models.port import (
    Message,
    ModelError,
    ModelErrorKind,
    ModelReply,
    ModelRequest,
    ModelSpec,
    OnDelta,
    Price,
    Profile,
)
from planner_app.models.scripted import ScriptedClient
from planner_app.settings import TeamSettings
from tests.engine.world import Script, World, check, code, plan, report


class Failing:
    """A scripted client whose calls fail for some models, or the first time."""

    def __init__(self, kind: ModelErrorKind, models: str = "", once: str = "") -> None:
        self._inner = ScriptedClient()
        self._kind: ModelErrorKind = kind
        self._models = models
        self._once = once
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest, on_delta: OnDelta) -> ModelReply:
        self.requests.append(request)
        key = f"{request.key.role}/{request.key.turn}"
        if self._models and self._models in request.spec.name:
            raise ModelError(self._kind, "it does not work")
        if key == self._once:
            raise ModelError(self._kind, "it does not fit")
        return await self._inner.complete(request, on_delta)

    def price(self, spec: ModelSpec) -> Price | None:
        return self._inner.price(spec)

    def profile(self, spec: ModelSpec) -> Profile:
        return self._inner.profile(spec)

    def count_tokens(self, spec: ModelSpec, messages: Sequence[Message]) -> int:
        return self._inner.count_tokens(spec, messages)

    async def aclose(self) -> None:
        await self._inner.aclose()


def use(world: World, client: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes all models of the world answer through the client."""

    async def models(_example: str | None) -> Failing:
        await asyncio.sleep(0)
        return client

    monkeypatch.setattr(world.services, "models", models)


async def test_a_model_that_is_down_is_replaced_by_the_team_s_fallback(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script().planner("nobody answers this turn")
    script.planner(plan({"id": "a"})).executor("a", code("1")).executor("a", report())
    script.checker(check())
    name = script.save(world.folder / "spare.jsonl")
    team = TeamSettings(planner="scripted:/down", fallbacks={"planner": (name,)})
    settings = world.settings.model_copy(update={"teams": {"default": team}})
    world.settings = world.services.settings = settings
    use(world, Failing("auth", models="/down"), monkeypatch)
    run_id = world.submit(
        script, models={"planner": "scripted:/down", "executor": name, "checker": name}
    )
    state = await world.drive(run_id)
    assert state.status == "done"
    assert state.models["planner"] == name
    failed = world.events(run_id, "model.failed")
    assert [e.data["next_model"] for e in failed] == [name]


async def test_a_conversation_that_does_not_fit_is_made_shorter_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script().planner(plan({"id": "a"}))
    for n in range(6):
        script.executor("a", code(f"print('number {n} is a long story')"))
    script.executor("a", "never asked").executor("a", report(), expect="in short").checker(check())
    client = Failing("context_overflow", once="executor/7")
    use(world, client, monkeypatch)
    state = await world.run(script)
    assert state.status == "done"
    before, after = client.requests[7], client.requests[8]
    assert len(after.messages) < len(before.messages)
    assert before.messages[1].content in after.messages[1].content
    assert after.messages[-1] == before.messages[-1]


async def test_a_conversation_that_never_fits_fails_the_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script().planner(plan({"id": "a"}))
    name = script.save(world.folder / "planner.jsonl")
    use(world, Failing("context_overflow", models="/long"), monkeypatch)
    run_id = world.submit(script, models={"planner": name, "executor": "scripted:/long"})
    state = await world.drive(run_id)
    assert [a.outcome for a in state.steps["a"].attempts] == ["failed", "failed"]
    assert state.status == "failed"
