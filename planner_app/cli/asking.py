"""Asks a person at the terminal what a run wants to know, without holding up the run.

The terminal itself is read (`/dev/tty`), since stdin may be the task, and read by the event loop,
so that a prompt ends at once when the question was answered elsewhere or Ctrl-C came.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from planner_app.cli.context import one_line, say
from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from planner_app.domain.events import Event
    from planner_app.domain.state import RunState
    from planner_app.history import History
    from planner_app.queue import CommandKind

OPEN_KINDS = frozenset({"clarify", "ask_user", "review"})
"""Questions whose answer is text; the others are allowed or refused."""
LASTING = frozenset({"action", "network"})
"""What may be allowed or refused for the whole run."""
MAX_CODE_LINES = 40


def _local_time(iso: str) -> str:
    return datetime.fromisoformat(iso).astimezone().strftime("%H:%M")


class NobodyThereError(Exception):
    """The terminal was closed, or Ctrl-D was typed: the question stays open."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the person said, as a command."""

    kind: CommandKind
    data: dict[str, Any]


class Terminal:
    """Reads lines from the controlling terminal."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def open(cls) -> Terminal | None:
        """The controlling terminal; None when there is none."""
        try:
            return cls(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
        except OSError:
            return None

    async def line(self, prompt: str) -> str:
        """A line as typed, without its end. Raises NobodyThereError."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[bytes] = loop.create_future()

        def read() -> None:
            loop.remove_reader(self._fd)
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                data = b""
            if not ready.done():
                ready.set_result(data)

        os.write(self._fd, prompt.encode("utf-8", "replace"))
        loop.add_reader(self._fd, read)
        try:
            data = await ready
        finally:
            loop.remove_reader(self._fd)
        if not data:
            raise NobodyThereError
        return data.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Let go of the terminal."""
        os.close(self._fd)


def how_to_reply(kind: str, run_id: str) -> str:
    """The command that replies to a question of this kind from elsewhere."""
    if kind in OPEN_KINDS:
        return f'planner answer {run_id} "TEXT"'
    if kind == "plan":
        return f'planner approve {run_id} [--edit], or planner reject {run_id} --reason "TEXT"'
    return f'planner approve {run_id}, or planner reject {run_id} --reason "TEXT"'


class Asker:
    """Puts the questions of one run to the person, one after the other."""

    def __init__(self, terminal: Terminal, send: Callable[[Reply], Any], history: History) -> None:
        self._terminal = terminal
        self._send = send
        self._history = history
        self._waiting: asyncio.Queue[Event] = asyncio.Queue()
        self._closed: dict[str, asyncio.Event] = {}
        self._code: dict[str, str] = {}

    def take(self, event: Event) -> None:
        """Notice questions, and what becomes of them."""
        if event.type == "question.asked":
            self._closed[event.data["question_id"]] = asyncio.Event()
            self._waiting.put_nowait(event)
        elif event.type == "question.closed" and event.data["question_id"] in self._closed:
            self._closed[event.data["question_id"]].set()
        elif event.type == "model.finished" and event.step_id and "text" in event.blobs:
            self._code[event.step_id] = event.blobs["text"]

    async def run(self) -> None:
        """Ask for ever; cancelled when the run ends. Raises NobodyThereError."""
        while True:
            event = await self._waiting.get()
            closed = self._closed[event.data["question_id"]]
            asking = asyncio.ensure_future(self._ask(event))
            gone = asyncio.ensure_future(closed.wait())
            try:
                await asyncio.wait({asking, gone}, return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    await self._send(asking.result())
                else:
                    say("\n(answered elsewhere)")
            finally:
                asking.cancel()
                gone.cancel()
                await asyncio.gather(asking, gone, return_exceptions=True)

    async def _ask(self, event: Event) -> Reply:
        question_id = event.data["question_id"]
        questions = [(q["text"], q["default"]) for q in event.data["questions"]]
        if event.data["kind"] in OPEN_KINDS:
            if deadline := event.data["deadline"]:
                say(f"(without an answer the defaults stand from {_local_time(deadline)} on)")
            answers = [await self._ask_text(text, default) for text, default in questions]
            numbered = (f"{n}. {a}" for n, a in enumerate(answers, start=1))
            text = answers[0] if len(answers) == 1 else "\n".join(numbered)
            return Reply("answer", {"text": text, "question_id": question_id})
        if event.data["kind"] == "action":
            self._show_code(event)
        for text, _default in questions:
            say(f"? {one_line(text)}")
        if event.data["kind"] == "plan":
            return await self._ask_plan(event.run_id, question_id)
        return await self._ask_leave(question_id, lasting=event.data["kind"] in LASTING)

    async def _ask_text(self, text: str, default: str) -> str:
        say(f"? {one_line(text)}")
        hint = f" [{one_line(default)[:80]}]" if default else ""
        while True:
            said = await self._terminal.line(f"{hint}> ".lstrip())
            if said or default:
                return said or default

    async def _ask_plan(self, run_id: str, question_id: str) -> Reply:
        from planner_app.domain.fold import fold

        state = fold(await self._history.load_events(run_id))
        for step in state.proposed.steps if state.proposed else ():
            after = f" (after {', '.join(step.deps)})" if step.deps else ""
            say(one_line(f"    {step.id}  {step.objective}{after}"))
        while True:
            said = (await self._terminal.line("[y]es, [e]dit, [n]o> ")).lower()
            if said in ("y", "yes"):
                return Reply("approve", {"question_id": question_id})
            if said in ("n", "no"):
                return await self._refused(question_id, "once")
            if said in ("e", "edit"):
                try:
                    plan = await asyncio.to_thread(self._edit, state)
                except BadInput as error:
                    say(f"planner: {error}")
                    continue
                return Reply("approve", {"question_id": question_id, "plan": plan})

    def _edit(self, state: RunState) -> dict[str, Any]:
        from planner_app.tui.editing import PlanFile, edit

        file = PlanFile(self._history.folder / "plans", state)
        plan = edit(file, os.environ)
        file.done()
        return plan.model_dump(mode="json")

    async def _refused(self, question_id: str, scope: str) -> Reply:
        reason = await self._terminal.line("why? (the model reads it)> ")
        return Reply("reject", {"question_id": question_id, "reason": reason, "scope": scope})

    async def _ask_leave(self, question_id: str, *, lasting: bool) -> Reply:
        choices = "[y]es, [a]lways in this run, [n]o, ne[v]er in this run> "
        if not lasting:
            choices = "[y]es, [n]o> "
        while True:
            said = (await self._terminal.line(choices)).lower()
            if said in ("y", "yes"):
                return Reply("approve", {"question_id": question_id, "scope": "once"})
            if lasting and said in ("a", "always"):
                return Reply("approve", {"question_id": question_id, "scope": "run"})
            if said in ("n", "no"):
                return await self._refused(question_id, "once")
            if lasting and said in ("v", "never"):
                return await self._refused(question_id, "run")

    def _show_code(self, event: Event) -> None:
        from planner_app.view.clean import clean

        sha = self._code.get(event.step_id or "")
        if sha is None:
            return
        lines = clean(self._history.get_blob(sha).decode("utf-8", "replace")).splitlines()
        for line in lines[:MAX_CODE_LINES]:
            say(f"    {line}")
        if len(lines) > MAX_CODE_LINES:
            say(f"    ... {len(lines) - MAX_CODE_LINES} more lines")
