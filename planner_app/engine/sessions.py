"""The sandboxes of a run's attempts: opened when an action is due, filled, rebuilt, closed."""

from __future__ import annotations

import asyncio
import tarfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import zip_longest
from typing import Any

from planner_app.agents.observation import observation_text
from planner_app.domain.catalogue import (
    Attachment,
    NoteAdded,
    SessionLost,
    SessionRebuilt,
    SessionStarted,
)
from planner_app.domain.errors import SandboxError
from planner_app.domain.events import Event
from planner_app.domain.state import RunState
from planner_app.engine import patience
from planner_app.engine.attachments import in_groups
from planner_app.engine.handover import (
    earlier_workspaces,
    give_values,
    give_workspace,
    given_at,
    given_files,
)
from planner_app.engine.run_log import RunLog
from planner_app.engine.tool_calls import Lane, ToolCalls, recorded_calls
from planner_app.sandbox.limits import Limits
from planner_app.sandbox.session import (
    ActionResult,
    GuestCall,
    GuestModule,
    GuestReply,
    Launcher,
    Session,
    SessionClosed,
    SessionSpec,
    ToolHandler,
)

REBUILD_SECONDS = 60.0
"""Recorded run time above which a session is not rebuilt."""
_SENT_TOGETHER = 256 * 1024


class Sessions:
    """The sandboxes of one run, by step and attempt."""

    def __init__(
        self,
        log: RunLog,
        launcher: Launcher,
        limits: Limits,
        modules: tuple[GuestModule, ...],
        tools: ToolCalls,
        labels: dict[str, str],
        scrub: Callable[[str], str],
    ) -> None:
        self._log = log
        self._launcher = launcher
        self._limits = limits
        self._modules = modules
        self._tools = tools
        self._labels = labels
        self._scrub = scrub
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}

    async def get(self, step_id: str, attempt: int) -> tuple[Session, Lane]:
        """The attempt's session, opened and brought to where its recorded actions left it.

        Raises SandboxError, EngineMissing or ImageMissing when there is none to be had.
        """
        key = (step_id, attempt)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            lane = self._lanes.get(key)
            if lane is not None and lane.session is not None:
                if not lane.session.gone:
                    return lane.session, lane
                await self._lose(lane, lane.session, lane.session.gone, tell=False)
            lane = Lane(step_id, attempt)
            self._lanes[key] = lane
            try:
                session = await self._open(lane)
            except SessionClosed:  # it ended while it was made ready: its engine may have, too
                await asyncio.sleep(patience.ENGINE_PAUSES[0])
                session = await self._open(lane)
            return session, lane

    async def _open(self, lane: Lane) -> Session:
        state = self._log.state
        step = state.steps[lane.step_id]
        attempt = step.attempts[lane.attempt - 1]
        spec = SessionSpec(
            run_id=state.run_id,
            step_id=lane.step_id,
            attempt=lane.attempt,
            limits=self._limits,
            modules=self._modules,
            seed=attempt.seed,
            labels=self._labels,
        )

        async def answer(call: GuestCall) -> GuestReply:
            return await self._tools.answer(lane, call)

        began = time.monotonic()
        session = await self._opened(spec, answer)
        lane.session = session
        try:
            await self._add_files(session, lane)
            bound = await self._bind_inputs(session, lane)
            started = SessionStarted(
                kind=self._launcher.kind,
                generation=session.generation,
                ms=(time.monotonic() - began) * 1000,
                bound=bound,
                files=[a.name for a in state.attachments][:50],
            )
            await self._log.append(started.draft(step_id=lane.step_id, attempt=lane.attempt))
            await self._rebuild(session, lane)
        except BaseException:
            lane.session = None
            await session.close()
            raise
        return session

    async def _opened(self, spec: SessionSpec, answer: ToolHandler) -> Session:
        """A new sandbox. An engine that gives no answer may be restarting: it is waited for."""

        async def tell(text: str) -> None:
            note = NoteAdded(text=text[:500])
            await self._log.append(note.draft(step_id=spec.step_id, attempt=spec.attempt))

        return await patience.outlast(lambda: self._launcher.open(spec, answer), tell)

    async def _add_files(self, session: Session, lane: Lane) -> None:
        """What was given, then the workspaces of earlier steps: the newest of a file stays."""
        if given := given_files(self._log, lane.step_id):
            await session.import_workspace(self._packed(given))
        for workspace in earlier_workspaces(self._log.state, lane.step_id):
            if left_out := await give_workspace(self._log, session, workspace):
                names = ", ".join(left_out)
                why = "left out, since another step's file or folder is there"
                await self._tell(lane, f"{why}: {names}")

    async def _tell(self, lane: Lane, text: str) -> None:
        """Say it in the trace, and with the next action's result."""
        lane.news.append(" ".join(text.split()))
        note = NoteAdded(text=lane.news[-1][:500])
        await self._log.append(note.draft(step_id=lane.step_id, attempt=lane.attempt))

    async def _packed(self, files: Sequence[Attachment]) -> AsyncGenerator[bytes, None]:
        """Files as a tar stream: small ones sent together, large ones one by one."""
        at = given_at(self._log)
        waiting = bytearray()
        for group in in_groups(files, _SENT_TOGETHER):
            loaded = await self._log.history.load_blobs([file.sha256 for file in group])
            for file in group:
                data = loaded[file.sha256]
                header = tarfile.TarInfo(file.name)
                header.size, header.mtime = len(data), at
                waiting += header.tobuf(tarfile.PAX_FORMAT)
                if len(data) < _SENT_TOGETHER:
                    waiting += data
                else:
                    yield bytes(waiting)
                    waiting.clear()
                    yield data
                waiting += b"\0" * (-len(data) % tarfile.BLOCKSIZE)
            yield bytes(waiting)
            waiting.clear()
        yield b"\0" * (2 * tarfile.BLOCKSIZE)

    async def after_action(self, lane: Lane, result: ActionResult) -> None:
        """One whose process was lost gets its inputs again; in place of one that is gone the next
        action opens another, and the model is told."""
        session = lane.session
        if session is None or not (result.state_lost or result.status == "died"):
            return
        why = session.gone
        if not why:
            try:
                await self._bind_inputs(session, lane)
                return
            except SandboxError as error:
                why = session.gone or str(error)
        await self._lose(lane, session, why, tell=True)

    async def lost_with_engine(self, lane: Lane) -> bool:
        """Whether a lane's sandbox went because its engine did; then it is recorded as lost, and
        the next one is brought to where this one was before its action."""
        session = lane.session
        if session is None or not session.gone:
            return False
        await session.close()
        if session.engine_lost:
            await self._lose(lane, session, session.gone, tell=False)
        return session.engine_lost

    async def _lose(self, lane: Lane, session: Session, why: str, *, tell: bool) -> None:
        """Record that a sandbox is gone and clear away what is left of it."""
        lane.session = None
        lost = SessionLost(why=why[:500], tell=tell)
        await self._log.append(lost.draft(step_id=lane.step_id, attempt=lane.attempt))
        await session.close()

    async def _bind_inputs(self, session: Session, lane: Lane) -> list[str]:
        """Bind the variables that earlier steps hand on; their names. The next action's result
        says what cannot be bound here, and it is not tried again: it may cost the process."""
        steps = self._log.state.steps
        step = steps[lane.step_id].step
        wanted = {name: steps[dep].values[name] for dep in step.deps for name in steps[dep].values}
        wanted |= {
            name: steps[source].values[name]
            for name, source in step.inputs.items()
            if name in steps[source].values
        }
        while True:
            wanted = {name: value for name, value in wanted.items() if name not in lane.unbound}
            bound, failed = await give_values(self._log, session, wanted)
            if not failed:
                return bound
            lane.unbound |= failed
            whys = (f"{name} is not there: {why}" for name, why in failed.items())
            await self._tell(lane, "; ".join(whys))

    async def _rebuild(self, session: Session, lane: Lane) -> None:
        """Run the recorded actions again with the recorded tool results.

        Not those before a loss that the model was told of: it counts on none of them.
        """
        log = self._log
        events: list[Event] = []
        for event in await log.history.load_attempt(log.run_id, lane.step_id, lane.attempt):
            told = event.type == "session.lost" and event.data["tell"]
            events = [] if told else [*events, event]
        lane.recorded = recorded_calls(events, self._log)
        finished = [e for e in events if e.type == "action.finished"]
        if not finished:
            return
        where: dict[str, Any] = {"step_id": lane.step_id, "attempt": lane.attempt}
        took = _run_seconds(events)
        if sum(took.values()) > REBUILD_SECONDS:
            why = f"its actions took {sum(took.values()):.0f} s, too long to run again"
            await self._log.append(SessionLost(why=why, tell=True).draft(**where))
            return
        count = "1 action is" if len(finished) == 1 else f"{len(finished)} actions are"
        text = f"the sandbox is brought back: {count} run again with the recorded tool results"
        await self._log.append(NoteAdded(text=text).draft(**where))
        began = time.monotonic()
        differences = await self._rerun(session, lane, events, took)
        if lane.missed:
            await session.reset()
            why = f"a tool call differed when it was rebuilt: {lane.missed[0]}"
            await self._log.append(SessionLost(why=why, tell=True).draft(**where))
            return
        rebuilt = SessionRebuilt(
            actions=len(finished),
            ms=(time.monotonic() - began) * 1000,
            differences=differences[:20],
        )
        await self._log.append(rebuilt.draft(**where))

    async def _rerun(
        self, session: Session, lane: Lane, events: list[Event], took: dict[int, float]
    ) -> list[str]:
        """What came out otherwise than it is recorded, a line for each action."""
        codes = {e.move_id: e.blobs["code"] for e in events if e.type == "action.started"}
        finished = [e for e in events if e.type == "action.finished"]
        where: dict[str, Any] = {"step_id": lane.step_id, "attempt": lane.attempt}
        differences = []
        for number, event in enumerate(finished, start=1):
            turn = event.data["turn"]
            lane.begin(turn, 1, live=False)
            # What was stopped then is stopped again, after the same time.
            stopped = event.data["status"] in ("interrupted", "timeout")
            seconds = max(took[turn], 0.1) if stopped else None
            result = await session.run(self._log.read(codes[event.move_id]), timeout=seconds)
            result = lane.told(result)
            await self.after_action(lane, result)
            if lane.missed:
                break
            recorded = self._log.read(event.blobs["observation"])
            now = self._scrub(observation_text(result, turn))
            if (difference := _difference(recorded, now, 1 if stopped else 0)) is not None:
                differences.append(f"action {turn}: {difference}")
            if number < len(finished):
                done = NoteAdded(text=f"{number} of {len(finished)} actions were run again")
                await self._log.append(done.draft(**where))
        return differences

    async def interrupt(self, step_id: str | None) -> None:
        """Stop the running action of one step, or of all."""
        for (step, _), lane in list(self._lanes.items()):
            if lane.session is not None and step_id in {None, step}:
                await lane.session.interrupt()

    async def close_ended(self, state: RunState) -> None:
        """Close the sandboxes of attempts that ended."""
        for key, lane in list(self._lanes.items()):
            step = state.steps.get(key[0])
            if step is None or step.attempts[key[1] - 1].outcome is not None:
                del self._lanes[key]
                if lane.session is not None:
                    await lane.session.close()

    async def close(self) -> None:
        """Close all."""
        lanes, self._lanes = list(self._lanes.values()), {}
        await asyncio.gather(*(lane.session.close() for lane in lanes if lane.session is not None))


def _run_seconds(events: list[Event]) -> dict[int, float]:
    """Turn to the run time of its action, without the waiting for tools."""
    took: dict[int, float] = {}
    waited = 0.0
    for event in events:
        if event.type == "action.started":
            waited = 0.0
        elif event.type in ("tool.finished", "tool.failed"):
            waited += event.data["ms"]
        elif event.type == "action.finished":
            took[event.data["turn"]] = max(0.0, event.data["ms"] - waited) / 1000
    return took


def _difference(recorded: str, now: str, skipped: int) -> str | None:
    """The first line in which two observations differ; None: there is none."""
    # The marks around an observation hold a hash of it.
    before, after = (
        [line for line in text.splitlines()[skipped:] if not line.startswith("<<<")]
        for text in (recorded, now)
    )
    for one, other in zip_longest(before, after, fillvalue=""):
        if one != other:
            return f"was {one[:120]!r}, is now {other[:120]!r}"
    return None
