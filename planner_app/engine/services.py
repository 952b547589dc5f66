"""What all runs of a process share: history, queue, models, sandboxes, the way to the web."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property, partial

from pydantic import JsonValue

from planner_app.broker.broker import Broker
from planner_app.broker.catalogue import ToolModule
from planner_app.broker.services import Services as ToolServices
from planner_app.broker.services import open_recorded, open_web
from planner_app.domain.catalogue import Role
from planner_app.domain.errors import ModelMissing, NotFound
from planner_app.domain.state import RunState
from planner_app.engine.daily import DailyBudget
from planner_app.engine.recordings import load_recording
from planner_app.examples.library import example_folder
from planner_app.history import History
from planner_app.history.live import LiveWriter, live_file
from planner_app.history.scrub import Scrubber
from planner_app.models.limiter import Limiter, Pace
from planner_app.models.port import ModelClient, ModelSpec
from planner_app.queue.embedded import Queue
from planner_app.sandbox.limits import Limits
from planner_app.sandbox.options import SandboxOptions
from planner_app.sandbox.session import Launcher
from planner_app.settings import SandboxKind, Settings
from planner_app.settings_keys import all_keys, find_team

SCRIPTED = "scripted:"
SpecFor = Callable[[Role], ModelSpec]


class Services:
    """Opened once in a process that drives runs; parts are made when they are first needed."""

    def __init__(
        self, settings: Settings, history: History, queue: Queue, live: LiveWriter
    ) -> None:
        self.settings = settings
        self.history = history
        self.queue = queue
        self.live = live
        self.tools_folder = settings.tools_folder
        """Where a person's own tool modules are."""
        self._scrubber = Scrubber.from_env(os.environ)
        self._client: ModelClient | None = None
        self._launchers: dict[SandboxKind, Launcher] = {}
        self._tools: dict[str | None, ToolServices] = {}
        self._lock = asyncio.Lock()
        self.limiter = Limiter(self._pace, clock=time.monotonic)
        """What all runs of this process keep to at each provider."""
        self.daily = DailyBudget(lambda: self.settings.budget.daily_usd, history.spent_since)
        """What all runs of this process keep to in a day."""

    def _pace(self, provider: str, model: str) -> Pace:
        return Pace(**self.settings.models.pace_of(provider, model).model_dump())

    def scrub(self, text: str) -> str:
        """The text without secrets."""
        return self._scrubber.text(text)

    @cached_property
    def _keys(self) -> dict[str, str]:
        """Providers' keys by variable. The keyring is asked late: it costs 0.4 s."""
        keys = {key.variable: key.secret for key in all_keys(os.environ).values()}
        self._scrubber = Scrubber.from_env(os.environ, keys.values())
        return keys

    # --- models --------------------------------------------------------------------------------

    async def models(self, example: str | None) -> ModelClient:
        """The way to all models; a bundled example's replies are scripted."""
        if example is not None:
            from planner_app.models.scripted import ScriptedClient

            return ScriptedClient(example_folder(example).parent)
        async with self._lock:
            if self._client is None:
                self._client = await asyncio.to_thread(self._open_models)
            return self._client

    def _open_models(self) -> ModelClient:
        from planner_app.engine.model_access import model_options
        from planner_app.models.client import open_client

        load = partial(load_recording, self.history, self.queue)
        return open_client(model_options(self.settings, self._keys), recordings=load)

    def default_models(self, team: str) -> dict[str, str]:
        """Role to model for a task that leaves it open; empty when nothing is configured."""
        try:
            return find_team(self.settings.choice(team), os.environ).models
        except (ModelMissing, NotFound):
            return {}

    def spec_for(self, state: RunState, models: Callable[[], Mapping[str, str]]) -> SpecFor:
        """How each role's model is reached in this run; `models` gives the role's model now."""
        team = self.settings.teams.get(state.team)

        def spec(role: Role) -> ModelSpec:
            name = models()[role]
            if state.example is not None and name.startswith(SCRIPTED):
                return ModelSpec(name=f"{SCRIPTED}{state.example}/script.jsonl")
            base = self.settings.models.api_base(name) or state.api_bases.get(name)
            options: dict[str, JsonValue] = {}
            if team is not None:
                base = team.base_for(role, name) or base
                if role in team.options:
                    options = team.options[role].model_dump(exclude_none=True)
            return ModelSpec(name=name, api_base=base, options=options)

        return spec

    def fallback(self, team: str, role: Role, failed: Collection[str]) -> str | None:
        """The model that the team names to take over from those that failed; None: none is left."""
        chosen = self.settings.teams.get(team)
        named = chosen.fallbacks.get(role, ()) if chosen is not None else ()
        return next((name for name in named if name not in failed), None)

    def deadline(self, model: str) -> float | None:
        """Seconds for one call of a model, where the settings say so."""
        return self.settings.models.timeout(model)

    # --- sandboxes -----------------------------------------------------------------------------

    async def launcher(self, kind: SandboxKind) -> Launcher:
        """What opens sandboxes of a kind. Raises EngineMissing, ImageMissing."""
        async with self._lock:
            if kind not in self._launchers:
                from planner_app.sandbox import open_launcher

                self._launchers[kind] = await open_launcher(kind, self._sandbox_options())
            return self._launchers[kind]

    def limits(self, team: str, task: Mapping[str, float]) -> Limits:
        """What one sandbox of a team may use, in a task with limits of its own."""
        return Limits.parse(self.settings.limits(team, task))

    def _sandbox_options(self) -> SandboxOptions:
        sandbox = self.settings.sandbox
        return SandboxOptions(
            home=self.history.folder,
            packages=sandbox.packages,
            pool_size=sandbox.pool,
            runtime=sandbox.runtime or "",
            preload=sandbox.preload,
            limits=self.limits(self.settings.team, {}),
        )

    # --- tools ---------------------------------------------------------------------------------

    def broker(self, state: RunState, modules: Iterable[ToolModule]) -> Broker:
        """The tools of one run."""
        return self.tools(state).broker(modules)

    def tools(self, state: RunState) -> ToolServices:
        """What its tools read from: an example's recorded pages, or the web."""
        if state.example not in self._tools:
            net = self.settings.net
            self._tools[state.example] = (
                open_recorded(example_folder(state.example))
                if state.example is not None
                else open_web(
                    backends=net.search_backends,
                    searxng_url=net.searxng_url,
                    allow_hosts=net.allow_hosts,
                )
            )
        return self._tools[state.example]

    async def close(self) -> None:
        """Close what was opened; the history stays open."""
        for launcher in self._launchers.values():
            await launcher.close()
        if self._client is not None:
            await self._client.aclose()
        for tools in self._tools.values():
            await tools.close()


@asynccontextmanager
async def open_services(
    settings: Settings, history: History, queue: Queue
) -> AsyncIterator[Services]:
    """The services of this process, closed at the end."""
    live = LiveWriter(live_file(history.path))
    services = Services(settings, history, queue, live)
    try:
        yield services
    finally:
        await services.close()
        await asyncio.to_thread(live.close)
