"""A world for one run: scripted models, everything else real, the guest as a local process."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from planner_app.domain.state import RunState
from planner_app.engine.driver import drive
from planner_app.engine.services import Services, open_services
from planner_app.history import History
from planner_app.queue.embedded import Queue
from planner_app.queue.submission import Submission
from planner_app.settings import Settings, load_settings


def fenced(language: str, text: str) -> str:
    """A fenced block."""
    return f"```{language}\n{text}\n```"


def plan(*steps: dict[str, Any], **more: Any) -> str:
    """A planner's turn with a plan."""
    full = [{"objective": f"do {step['id']}", "kind": "compute"} | step for step in steps]
    return "The plan.\n" + fenced("json", json.dumps({"steps": full} | more))


def code(text: str) -> str:
    """An executor's turn that acts."""
    return "I act.\n" + fenced("python", text)


def report(verdict: str = "done", result: str = "found it", **more: Any) -> str:
    """An executor's turn that ends its step."""
    return fenced("report", json.dumps({"verdict": verdict, "result": result} | more))


def answer(text: str = "It is so.", *source_ids: int, **more: Any) -> str:
    """A planner's turn with the answer."""
    claims = [{"text": text, "source_ids": list(source_ids)}]
    return fenced("json", json.dumps({"text": text, "claims": claims} | more))


def check(ok: bool = True, *problems: str) -> str:
    """A checker's turn."""
    return fenced("json", json.dumps({"ok": ok, "problems": list(problems)}))


@dataclass
class Script:
    """Replies by who asks; turns count by themselves."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def planner(self, text: str, **more: Any) -> Script:
        return self._add({"role": "planner"}, text, more)

    def executor(self, step: str, text: str, attempt: int = 1, **more: Any) -> Script:
        return self._add({"role": "executor", "step": step, "attempt": attempt}, text, more)

    def checker(self, text: str, **more: Any) -> Script:
        return self._add({"role": "checker"}, text, more)

    def _add(self, who: dict[str, Any], text: str, more: dict[str, Any]) -> Script:
        key = tuple(who.values())
        self.counts[key] = self.counts.get(key, 0) + 1
        self.lines.append(who | {"turn": self.counts[key], "text": text} | more)
        return self

    def save(self, path: Path) -> str:
        """Writes the script; the name of the model that answers from it."""
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        return f"scripted:{path}"


@dataclass
class World:
    """One history with its queue and services."""

    folder: Path
    settings: Settings
    history: History
    queue: Queue
    services: Services

    def submit(self, script: Script, text: str = "Do the thing.", **more: Any) -> str:
        """A queued run whose models answer from the script; its id."""
        model = script.save(self.folder / f"script-{len(list(self.folder.glob('script-*')))}.jsonl")
        models = dict.fromkeys(("planner", "executor", "checker"), model)
        models |= more.pop("models", {})
        more = {"sandbox": "unsafe-host"} | more
        wanted = Submission(text=text, models=models, **more)
        return self.queue.submit(wanted, self.settings).run_id

    async def drive(
        self,
        run_id: str,
        *,
        on_event: Callable[[Event], None] | None = None,
        wait_s: float = 0.0,
    ) -> RunState:
        """Drives the run until it ends or rests, as a worker would."""
        me = await asyncio.to_thread(self.queue.join, "run")
        lease = await asyncio.to_thread(self.queue.claim, me.worker_id, run_id)
        assert lease is not None, "the run cannot be claimed"
        try:
            return await drive(lease, self.services, on_event=on_event, wait_s=wait_s)
        finally:
            await asyncio.to_thread(me.leave)

    async def run(self, script: Script, text: str = "Do the thing.", **more: Any) -> RunState:
        """Submits and drives; the state must be what the log folds to."""
        run_id = self.submit(script, text, **more)
        state = await self.drive(run_id)
        assert state == fold(self.history.events(run_id))
        return state

    def events(self, run_id: str, *types: str) -> list[Event]:
        """The run's events, of some types."""
        return [e for e in self.history.events(run_id) if not types or e.type in types]

    def observation(self, run_id: str, number: int = 0) -> str:
        """What the executor read of the run's action of that place."""
        event = self.events(run_id, "action.finished")[number]
        return self.history.get_blob(event.blobs["observation"]).decode()


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    """A world of its own in a folder."""
    settings = load_settings(folder, os.environ)
    history = History.open(settings.paths.database)
    queue = Queue(history)
    try:
        async with open_services(settings, history, queue) as services:
            yield World(folder, settings, history, queue, services)
    finally:
        history.close()
