"""A world whose models are served over HTTP by the loopback server, and whose waits are none."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from planner_app.cli.outcome import Outcome
from planner_app.domain.events import Event
from planner_app.domain.state import RunState
from planner_app.engine.model_access import model_options
from planner_app.models.call import Bounds
from planner_app.models.limiter import Limiter
from planner_app.models.litellm_client import LiteLLMClient
from planner_app.queue.submission import Submission
from planner_app.settings_values import Values
from planner_app.view.text import progress_line
from tests.engine.world import World, check, fenced
from tests.loopback.server import LoopbackServer, Reply

PLANNER, EXECUTOR, CHECKER = "openai/plans", "openai/codes", "openai/judges"
CANARY = "sk-proj-canary0123456789canary0123-wxyz"
"""The key that is sent, and must never be seen again."""
TEAM = {"planner": PLANNER, "executor": EXECUTOR, "checker": CHECKER}
AT_ONCE = Reply(fenced("json", '{"steps": [], "answer": "It is 42."}'))
"""A planner that needs no steps: the run is its call and the check."""
GOOD_CHECK = Reply(check())


@dataclass
class Waits:
    """Waits that take no time, and a clock that believes in them."""

    taken: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return time.monotonic() + sum(self.taken)

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)


@dataclass
class Told:
    """What became of a run: for the person, and for whoever reads its trace."""

    state: RunState
    events: list[Event]
    lines: list[str]
    """What `planner run` printed while it went on."""
    problem: str
    """Its last line, when the run is not done."""
    exit_code: int

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.type == kind]


@dataclass
class Served:
    """Runs against one server."""

    world: World
    server: LoopbackServer
    waits: Waits

    @classmethod
    def by(
        cls, world: World, server: LoopbackServer, bounds: Bounds | None = None, **settings: Any
    ) -> Served:
        """The world with its openai/ models there. `settings` are sections, as in config.toml."""
        bases = {"openai/": server.base} | settings.get("models", {}).get("api_bases", {})
        sections = settings | {"models": {**settings.get("models", {}), "api_bases": bases}}
        given = {
            name: world.settings.model_dump()[name] | section for name, section in sections.items()
        }
        values = Values.model_validate(given)
        changed = {name: getattr(values, name) for name in given}
        world.settings = world.services.settings = world.settings.model_copy(update=changed)
        waits = Waits()
        world.services.limiter = Limiter(clock=waits.clock, sleep=waits.sleep)
        options = model_options(world.settings, {"OPENAI_API_KEY": CANARY})
        world.services._client = LiteLLMClient(replace(options, bounds=bounds or Bounds()))
        return cls(world, server, waits)

    async def run(self, **wanted: Any) -> Told:
        """One run from its submission to its end."""
        wanted = {"models": TEAM, "sandbox": "unsafe-host"} | wanted
        submission = Submission(text=wanted.pop("text", "What is 6 * 7?"), **wanted)
        run_id = self.world.queue.submit(submission, self.world.settings).run_id
        outcome = Outcome(run_id)
        lines: list[str] = []

        def on_event(event: Event) -> None:
            outcome.take(event)
            if line := progress_line(event, 100):
                lines.append(line)

        for event in self.world.history.events(run_id):
            outcome.take(event)
        state = await self.world.drive(run_id, on_event=on_event)
        events = self.world.events(run_id)
        return Told(state, events, lines, outcome.problem, outcome.exit_code)
