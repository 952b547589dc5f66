"""Puts together what one run needs: its models, its tools, its sandboxes, and who uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from planner_app.agents.turn import Surroundings
from planner_app.broker.catalogue import (
    ToolModule,
    load_modules,
    module_from_source,
    prompt_text,
)
from planner_app.broker.policy import parse_policy
from planner_app.domain.catalogue import Role
from planner_app.domain.errors import ModelMissing
from planner_app.domain.state import RunState
from planner_app.engine.actions import Actions
from planner_app.engine.further_calls import FurtherCalls
from planner_app.engine.live import LiveText
from planner_app.engine.model_calls import ModelCalls
from planner_app.engine.outcomes import Outcomes
from planner_app.engine.patience import outlast
from planner_app.engine.requests import CallParts
from planner_app.engine.run_log import RunLog
from planner_app.engine.services import Services
from planner_app.engine.sessions import Sessions
from planner_app.engine.tool_calls import ToolCalls
from planner_app.models.port import ModelClient, ModelSpec
from planner_app.models.price_table import withdrawal
from planner_app.sandbox.session import GuestModule

ROLES: tuple[Role, ...] = ("planner", "executor", "checker")


@dataclass(frozen=True, slots=True)
class Crew:
    """Who works on one run."""

    calls: ModelCalls
    actions: Actions
    sessions: Sessions
    models: dict[str, str]
    """Role to model, as far as the task left it open."""
    prices: dict[str, list[float] | None]
    """Model to US dollars for a million tokens sent and received; None: unknown."""
    profiles: dict[str, str]
    warnings: tuple[str, ...]
    """What a reader of the trace should know of the models: one is soon withdrawn."""


async def assemble(log: RunLog, services: Services) -> Crew:
    """Everything that a run needs. Raises PlannerError for what is missing."""
    state = log.state
    models = settled_models(state, services)

    def models_now() -> dict[str, str]:
        return models | log.state.models

    def fallback(role: Role) -> str | None:
        failed = (models_now()[role], *log.state.gone.get(role, ()))
        return services.fallback(state.team, role, failed)

    spec_for = services.spec_for(state, models_now)
    client = await services.models(state.example)
    modules = _modules(log, state, services)
    task = log.read(state.text_sha) if state.text_sha else state.text
    broker = services.broker(state, modules)
    # A worker may take a run over sooner than the engine is back: that must not end the run.
    launcher = await outlast(lambda: services.launcher(state.sandbox))
    tools = ToolCalls(log, broker, parse_policy(state.net), task)
    guests = tuple(GuestModule(module.name, module.source) for module in modules)
    limits = services.limits(state.team, state.limits)
    labels = {"task": state.task_id}
    sessions = Sessions(log, launcher, limits, guests, tools, labels, services.scrub)
    around = Surroundings(
        task=task,
        today=datetime.now(UTC).date().isoformat(),
        tools=lambda only: prompt_text(modules, only or None),
        read=log.read,
        source_text=_source_reader(log),
        schema=log.read(state.schema_sha) if state.schema_sha else "",
    )
    live = LiveText(services.live, state.run_id)
    outcomes = Outcomes(log, sessions, around)
    further = FurtherCalls(log, outcomes, around, services.settings.thinking)
    parts = CallParts(log, client, spec_for, around, services.scrub, further)
    calls = ModelCalls(parts, live, services.daily, services.deadline, services.limiter, fallback)
    actions = Actions(log, sessions, live, limits.action_seconds, services.scrub)
    specs = {role: spec_for(role) for role in ROLES}
    return Crew(
        calls=calls,
        actions=actions,
        sessions=sessions,
        models=models,
        prices=_prices(client, specs.values()),
        profiles={role: client.profile(spec).family for role, spec in specs.items()},
        warnings=_withdrawals(specs.values()),
    )


def _prices(client: ModelClient, specs: Iterable[ModelSpec]) -> dict[str, list[float] | None]:
    """Model to US dollars for a million tokens sent and received; None: unknown."""
    known = {spec.name: client.price(spec) for spec in specs}
    return {
        name: None if price is None else [price.input_usd_per_mtok, price.output_usd_per_mtok]
        for name, price in known.items()
    }


def _withdrawals(specs: Iterable[ModelSpec]) -> tuple[str, ...]:
    """A line for each model that its provider withdraws; own servers' are nobody's to withdraw."""
    today = datetime.now(UTC).date()
    lines = [withdrawal(spec.name, today) for spec in specs if spec.api_base is None]
    return tuple(dict.fromkeys(filter(None, lines)))


def settled_models(state: RunState, services: Services) -> dict[str, str]:
    """Each role's model: the task's own, else the team's, else what the keys give.

    Raises ModelMissing when the planner's is not known.
    """
    found = dict(state.models)
    if "planner" not in found:
        found = services.default_models(state.team) | found
    if "planner" not in found and "executor" in found:
        found["planner"] = found["executor"]
    if "planner" not in found:
        raise ModelMissing(
            "no model is configured for the planner",
            "set a provider's key, or [teams.default] in the settings; see: planner doctor",
        )
    found.setdefault("executor", found["planner"])
    found.setdefault("checker", found["planner"])
    if state.mode == "solo":
        found["executor"] = found["planner"]
    return found


def _modules(log: RunLog, state: RunState, services: Services) -> tuple[ToolModule, ...]:
    """The bundled tools, the person's folder, and the modules that came with the task."""
    own = tuple(
        module_from_source(name, log.read(sha), bundled=False) for name, sha in state.tools.items()
    )
    names = {module.name for module in own}
    folder = () if state.example else (services.tools_folder,)
    rest = tuple(m for m in load_modules(folder, ()) if m.name not in names)
    return (*rest, *own)


def _source_reader(log: RunLog) -> Callable[[int], str]:
    def read(n: int) -> str:
        source = log.state.sources.get(n)
        return log.read(source.text) if source is not None and source.text is not None else ""

    return read
