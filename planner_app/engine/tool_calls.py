"""Answers the tool calls of a run's actions: the record first, then the guest's reply.

While a session is rebuilt, the recorded results answer instead, and nothing goes out.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from planner_app.broker.broker import Broker
from planner_app.broker.port import (
    NetPolicy,
    NewSource,
    StoredSource,
    ToolProblem,
    ToolValue,
)
from planner_app.broker.seen import SeenAddresses
from planner_app.domain.catalogue import (
    ArtifactSaved,
    QuestionAsked,
    SourceAdded,
    ToolFailed,
    ToolFinished,
    ToolStarted,
)
from planner_app.domain.events import Event, EventDraft
from planner_app.domain.move_changes import ask
from planner_app.domain.plan import Question
from planner_app.engine.run_log import RunLog
from planner_app.sandbox.session import ActionResult, GuestCall, GuestReply, Session

HOST = "ask "
"""How the broker's words for asking a host begin; the others are calls with effects outside."""
MAX_ARGS_BYTES = 4 * 1024
MAX_CALLS, MAX_ASKED_BYTES = 1000, 16 << 20
"""Of one action: each call is recorded with its arguments, and code may call in a loop."""
TOO_MUCH = (
    f"this action made more than {MAX_CALLS:,} tool calls, or gave them more than"
    f" {MAX_ASKED_BYTES >> 20} MiB: it can make no more, the next one can"
)

RecordKey = tuple[int, str, str, int]
"""Turn, name, canonical arguments, nth occurrence."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a tool call of an earlier session gave back."""

    reply: GuestReply
    files: dict[str, str] = field(default_factory=dict)
    """Workspace path to the sha256 of what the call wrote there."""


@dataclass
class Lane:
    """Where an attempt's tool calls stand."""

    step_id: str
    attempt: int
    turn: int = 0
    """Turn of the running action."""
    tries: int = 1
    calls: int = 0
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked_bytes: int = 0
    """Arguments of the action's calls so far."""
    recorded: dict[RecordKey, Recorded] = field(default_factory=dict)
    live: bool = True
    """False: only recorded results answer."""
    missed: list[str] = field(default_factory=list)
    """Calls of a rebuild that the record does not hold."""
    session: Session | None = None
    unbound: dict[str, str] = field(default_factory=dict)
    """Variables of earlier steps that could not be bound, and why."""
    news: list[str] = field(default_factory=list)
    """What the next action's result has to say beside its own."""

    def told(self, result: ActionResult) -> ActionResult:
        """The result with the news that are due."""
        news, self.news = [result.why, *self.news] if result.why else self.news, []
        return replace(result, why="; ".join(news))

    def begin(self, turn: int, tries: int, *, live: bool) -> None:
        """An action starts; counts of calls begin anew."""
        self.turn, self.tries, self.calls, self.live = turn, tries, 0, live
        self.asked_bytes = 0
        self.seen = Counter()


def canonical(args: dict[str, Any]) -> str:
    """Arguments as one text that their order does not change."""
    return json.dumps(args, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


class ToolCalls:
    """The tool side of one run."""

    def __init__(self, log: RunLog, broker: Broker, policy: NetPolicy, task: str) -> None:
        self._log = log
        self._broker = broker
        self._policy = policy
        self._seen = SeenAddresses()
        self._seen.add_text(task)
        self.asking = asyncio.Lock()
        """Held while it is found out whether a question has to be asked."""
        self._noted: set[int] = set()
        """Sources whose addresses count as seen already."""

    async def answer(self, lane: Lane, call: GuestCall) -> GuestReply:
        """Answer one call of an attempt's session. Never raises."""
        args = canonical(call.args)
        lane.asked_bytes += len(args)
        if lane.seen.total() >= MAX_CALLS or lane.asked_bytes > MAX_ASKED_BYTES:
            return GuestReply(ok=False, error=TOO_MUCH)  # nor recorded: a loop has no end
        lane.seen[call.name, args] += 1
        nth = lane.seen[call.name, args]
        recorded = lane.recorded.get((lane.turn, call.name, args, nth))
        if recorded is not None:
            return await self._from_record(lane, recorded)
        if not lane.live:
            lane.missed.append(call.name)  # a model is told: no arguments, which may hold web text
            return GuestReply(ok=False, error="this call is not in the record")
        return await self._live(lane, call, nth)

    async def _from_record(self, lane: Lane, recorded: Recorded) -> GuestReply:
        for path, sha in recorded.files.items():
            if lane.session is not None:
                data = (await self._log.history.load_blobs([sha]))[sha]
                await lane.session.write_file(path, data)
        return recorded.reply

    async def _live(self, lane: Lane, call: GuestCall, nth: int) -> GuestReply:
        lane.calls += 1
        where: dict[str, Any] = {
            "move_id": f"tool.{lane.calls}/{lane.step_id}/{lane.attempt}/{lane.turn}/{lane.tries}",
            "step_id": lane.step_id,
            "attempt": lane.attempt,
            "actor": "tool",
        }
        started = ToolStarted(name=call.name[:100], args=_shown(call.args), nth=nth)
        sha = await self._log.put_text(canonical(call.args))
        await self._log.append(started.draft(**where, blobs={"args": sha}))
        began = time.monotonic()
        context = RunContext(self, self._log, lane, self._policy)
        try:
            if call.name == "ask_user":
                reply, drafts = await self._ask_user(lane, call, where)
            else:
                value = await self._broker.call(call.name, call.args, context)
                reply, drafts = await self._value(call.name, value, context, where, began)
        except ToolProblem as problem:
            failed = ToolFailed(
                name=call.name[:100],
                kind=problem.kind,
                message=str(problem)[:2000],
                ms=(time.monotonic() - began) * 1000,
            )
            reply, drafts = GuestReply(ok=False, error=str(problem)), [failed.draft(**where)]
            drafts = [*await context.drafts(), *drafts]
        except asyncio.CancelledError:
            failed = ToolFailed(name=call.name[:100], kind="cancelled", message="given up")
            await self._log.append(failed.draft(**where))
            raise
        await self._log.append(*drafts, durable=True)
        return reply

    async def _ask_user(
        self, lane: Lane, call: GuestCall, where: dict[str, Any]
    ) -> tuple[GuestReply, list[EventDraft]]:
        """The question is recorded and ends the action; its answer is the next message."""
        question = Question(
            text=str(call.args.get("question", ""))[:2000] or "How shall I go on?",
            default=str(call.args.get("default", ""))[:500],
        )
        now = self._log.state.last_at
        asked = ask(self._log.state, "ask_user", [question], now, lane.step_id, lane.attempt)
        finished = ToolFinished(name="ask_user", summary=question.text[:200])
        blob = await self._log.put_text("null")
        return (
            GuestReply(ok=True, end_action=True),
            [asked, finished.draft(**where, blobs={"result": blob})],
        )

    async def _value(
        self,
        name: str,
        value: ToolValue,
        context: RunContext,
        where: dict[str, Any],
        began: float,
    ) -> tuple[GuestReply, list[EventDraft]]:
        result = json.dumps(value.value, ensure_ascii=False).encode("utf-8", "replace")
        shas = await self._log.put(result, *([value.blob] if value.blob else []))
        blobs = {"result": shas[0]} | ({"blob": shas[1]} if value.blob else {})
        blobs |= {f"file:{path}": sha for path, sha in context.written.items()}
        finished = ToolFinished(
            name=name,
            summary=value.summary[:300],
            source_ids=context.numbers[:60],
            ms=(time.monotonic() - began) * 1000,
        )
        drafts = [*await context.drafts(), finished.draft(**where, blobs=blobs)]
        return GuestReply(ok=True, value=value.value, blob=value.blob), drafts

    def seen(self, url: str) -> bool:
        """Whether the address came from the task, a hit or a fetched page."""
        for n, source in self._log.state.sources.items():
            if n not in self._noted:
                self._noted.add(n)
                if source.url:
                    self._seen.add(source.url)
                if source.text is not None:
                    self._seen.add_text(self._log.read(source.text))
        return url in self._seen


class RunContext:
    """What one tool call may use of its run."""

    def __init__(self, calls: ToolCalls, log: RunLog, lane: Lane, policy: NetPolicy) -> None:
        self.policy = policy
        self.numbers: list[int] = []
        self.written: dict[str, str] = {}
        self._calls = calls
        self._log = log
        self._lane = lane
        self._sources: list[tuple[int, NewSource]] = []
        self._artifacts: list[tuple[str, str, bytes]] = []

    def add_source(self, source: NewSource) -> int:
        """The source's number; the same kind, address and content get the same one."""
        sha = hashlib.sha256(source.content).hexdigest()
        n, new = self._log.number(source.kind, source.url, sha)
        if new:
            self._sources.append((n, source))
        if n not in self.numbers:
            self.numbers.append(n)
        return n

    def source_text(self, n: int) -> StoredSource | None:
        """The source `[n]`; None: the run has no such number."""
        for number, source in self._sources:
            if number == n:
                return StoredSource(source.title, source.url, source.text)
        known = self._log.state.sources.get(n)
        if known is None:
            return None
        text = self._log.read(known.text) if known.text is not None else ""
        return StoredSource(known.title, known.url, text)

    def seen(self, url: str) -> bool:
        """Whether the address came from the task, a hit or a fetched page."""
        return self._calls.seen(url)

    async def read_file(self, path: str, max_bytes: int) -> bytes:
        """A workspace file."""
        return await self._session().read_file(path, max_bytes)

    async def write_file(self, path: str, data: bytes) -> None:
        """Write a workspace file; a rebuild writes it again from the record."""
        await self._session().write_file(path, data)
        self.written[path] = (await self._log.put(data))[0]

    def save_artifact(self, name: str, title: str, data: bytes) -> None:
        """Keep the bytes as an artifact of the run."""
        self._artifacts.append((name, title, data))

    async def approve(self, what: str, detail: str) -> bool:
        """Ask the person, where the run's approval mode lets a question be asked.

        A yes to a host holds for the action that asks, one to a call with effects outside for
        that call; either may be given for the run. What is asked already is not asked twice.
        """
        lane = self._lane
        about = what if what.startswith(HOST) else f"{what} ({detail})"[:300]
        async with self._calls.asking:
            if (known := self._allowed(what, about)) is not None:
                return known
            state = self._log.state
            if state.approve == "never" or state.no_input or state.headless:
                return False
            asked = self._open_question(about)
            if asked is None:
                question = Question(text=f"May this task {what}? {detail}"[:1000])
                draft = ask(
                    state, "network", [question], state.last_at, lane.step_id, lane.attempt, about
                )
                await self._log.append(draft)
                asked = QuestionAsked.model_validate(draft.data).question_id
        await self._log.until(lambda s: asked not in s.questions or s.final is not None)
        return bool(self._allowed(what, about))

    def _allowed(self, what: str, about: str) -> bool | None:
        """What the person said of it, for now or for the run; None: nothing yet."""
        state, lane = self._log.state, self._lane
        whole = (f"network {what}", f"network {what} (")

        def named(said: tuple[str, ...]) -> bool:
            return any(one == whole[0] or one.startswith(whole[1]) for one in said)

        if named(state.refused):
            return False
        granted = (lane.step_id, lane.attempt, f"network {about}") in state.granted
        return True if granted or named(state.allowed) else None

    def _open_question(self, about: str) -> str | None:
        """The question that this attempt has asked about it already, before a crash perhaps."""
        mine = (self._lane.step_id, self._lane.attempt)
        for question in self._log.state.questions.values():
            if question.about == about and (question.step_id, question.attempt) == mine:
                return question.id
        return None

    def _session(self) -> Session:
        if self._lane.session is None:
            raise FileNotFoundError("the sandbox has no workspace yet")
        return self._lane.session

    async def drafts(self) -> list[EventDraft]:
        """The sources and artifacts of the call, as facts."""
        made = []
        for n, source in self._sources:
            made.append(await source_draft(self._log, n, source, self._lane))
        for name, title, data in self._artifacts:
            made.append(await artifact_draft(self._log, name, title, data, self._lane.step_id))
        return made


async def source_draft(
    log: RunLog, n: int, source: NewSource, lane: Lane | None = None
) -> EventDraft:
    """The fact that a numbered source was added, with its bytes and text stored."""
    content, text = await log.put(source.content, source.text.encode("utf-8", "replace"))
    return SourceAdded(
        n=n,
        kind=source.kind,
        title=source.title[:500],
        url=source.url[:4000] if source.url else None,
        sha256=content,
        mime=source.mime[:100],
        weak=source.weak,
    ).draft(
        step_id=lane.step_id if lane else None,
        attempt=lane.attempt if lane else None,
        actor="tool",
        blobs={"content": content, "text": text},
    )


async def artifact_draft(
    log: RunLog, name: str, title: str, data: bytes, step_id: str | None
) -> EventDraft:
    """The fact that an artifact was kept, with its bytes stored."""
    import mimetypes

    sha = (await log.put(data))[0]
    name = log.artifact_name(name, step_id)
    mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
    saved = ArtifactSaved(name=name, title=title[:300], bytes=len(data), mime=mime, sha256=sha)
    return saved.draft(step_id=step_id, actor="tool", blobs={"content": sha})


def _shown(args: dict[str, Any]) -> dict[str, Any]:
    """Arguments as the event shows them; the blob `args` holds all."""
    if len(canonical(args).encode("utf-8", "replace")) <= MAX_ARGS_BYTES:
        return args
    return {str(key)[:100]: str(value)[:200] for key, value in list(args.items())[:12]}


def recorded_calls(events: list[Event], log: RunLog) -> dict[RecordKey, Recorded]:
    """The tool results of an attempt's events, by what a rebuild asks for."""
    started: dict[str, tuple[int, str, str, int]] = {}
    records: dict[RecordKey, Recorded] = {}
    for event in events:
        if event.move_id is None or not event.type.startswith("tool."):
            continue
        turn = int(event.move_id.split("/")[3])
        if event.type == "tool.started":
            args = log.read(event.blobs["args"])
            started[event.move_id] = (turn, event.data["name"], args, event.data["nth"])
        elif event.type == "tool.finished" and event.move_id in started:
            value = json.loads(log.read(event.blobs["result"]))
            blob = log.history.get_blob(event.blobs["blob"]) if "blob" in event.blobs else b""
            files = {k[5:]: sha for k, sha in event.blobs.items() if k.startswith("file:")}
            ends = event.data["name"] == "ask_user"
            reply = GuestReply(ok=True, value=value, blob=blob, end_action=ends)
            records[started[event.move_id]] = Recorded(reply, files)
        elif event.type == "tool.failed" and event.data["kind"] != "cancelled":
            reply = GuestReply(ok=False, error=event.data["message"])
            records[started[event.move_id]] = Recorded(reply)
    return records
