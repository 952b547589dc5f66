"""Drives one run from wherever its log stands: decide, perform, record, until it ends or rests."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from planner_app import __version__
from planner_app.agents.prompts import prompt_hashes
from planner_app.domain.catalogue import NoteAdded, RunClaimed, RunFinished
from planner_app.domain.errors import FenceLost, HistoryError, PlannerError
from planner_app.domain.events import EventDraft
from planner_app.domain.fold import fold
from planner_app.domain.moves import CallModel, Record, RunAction, WakeAt, next_moves
from planner_app.domain.state import RunState
from planner_app.engine.assembly import Crew, assemble
from planner_app.engine.attachments import attachment_sources
from planner_app.engine.commands import command_draft
from planner_app.engine.run_log import OnEvent, RunLog
from planner_app.engine.services import Services
from planner_app.engine.takeover import calls_under_way, has_ended, left_behind, orphans_of_ended
from planner_app.queue.port import Lease

_logger = logging.getLogger(__name__)
Effect = CallModel | RunAction


async def drive(
    lease: Lease,
    services: Services,
    *,
    on_event: OnEvent | None = None,
    wait_s: float = 0.0,
) -> RunState:
    """Drive a run until it ends, or rests for a person longer than `wait_s` seconds.

    Returns its state. Raises FenceLost when another driver took the run, HistoryError when the
    log cannot be written. Cancelling it stops what is under way and leaves the run to be resumed.
    """
    events = await services.history.load_events(lease.run_id)
    state = fold(events)
    if state.final is not None:
        return state
    log = RunLog(services.history, lease.run_id, lease.fence, state, on_event)
    return await _Driver(log, services, lease, wait_s).run()


class _Driver:
    def __init__(self, log: RunLog, services: Services, lease: Lease, wait_s: float) -> None:
        self._log = log
        self._services = services
        self._lease = lease
        self._wait_s = wait_s
        self._wake = asyncio.Event()
        self._tasks: dict[str, tuple[Effect, asyncio.Task[None]]] = {}
        self._failed: BaseException | None = None
        self._told = True
        """Whether commands may have come that were not read yet."""

    async def run(self) -> RunState:
        try:
            crew = await assemble(self._log, self._services)
        except HistoryError:
            raise  # it may pass
        except PlannerError as error:
            return await self._end_failed(error)
        listeners = [asyncio.create_task(self._listen()), asyncio.create_task(self._see_waits())]
        for listener in listeners:  # a driver that hears nobody must not go on
            listener.add_done_callback(self._noticed)
        try:
            await self._take_over(crew)
            return await self._loop(crew)
        finally:
            for listener in listeners:
                listener.cancel()
            await asyncio.gather(*listeners, return_exceptions=True)
            await self._stop([*self._tasks])
            await crew.sessions.close()
            await self._log.settled()

    async def _end_failed(self, error: PlannerError) -> RunState:
        """Without its parts the run cannot even begin: it ends and says why."""
        claimed = RunClaimed(
            worker_id=self._lease.worker_id, fence=self._lease.fence, version=__version__
        )
        finished = RunFinished(status="failed", reason=str(error)[:1000])
        await self._log.append(claimed.draft(), finished.draft(), durable=True)
        return self._log.state

    async def _take_over(self, crew: Crew) -> None:
        """What an earlier driver left under way is orphaned; the run is ours from here on."""
        state = self._log.state
        drafts: list[EventDraft] = []
        drafts.append(
            RunClaimed(
                worker_id=self._lease.worker_id,
                fence=self._lease.fence,
                version=__version__,
                prompts=prompt_hashes(),
                prices=crew.prices,
                profiles=crew.profiles,
                models=crew.models,
            ).draft()
        )
        # After the claim, so that the time in which nobody drove the run is not run time.
        drafts += left_behind(state)
        if state.started_at is None:
            drafts += [NoteAdded(text=line).draft() for line in crew.warnings]
        await self._log.append(*drafts, durable=True)
        async for sources in attachment_sources(self._log, self._services.tools(state).reader):
            await self._log.append(*sources)

    async def _loop(self, crew: Crew) -> RunState:
        while True:
            self._wake.clear()
            if self._failed is not None:
                await self._after_failure(self._failed)
            if self._told:
                await self._read_commands(crew)
            state = self._log.state
            if state.final is not None:
                return state
            moves = next_moves(state, self._log.now())
            if moves and isinstance(moves[0], Record):
                await self._record(crew, moves[0])
                continue
            for move in moves:
                if isinstance(move, CallModel | RunAction) and move.id not in self._tasks:
                    self._start(crew, move)
            wakes = [move.at for move in moves if isinstance(move, WakeAt)]
            if not await self._rest(wakes[0] if wakes else None):
                return self._log.state

    async def _record(self, crew: Crew, record: Record) -> None:
        """Append what follows by itself, and stop what it made pointless."""
        ends = any(draft.type == "run.finished" for draft in record.drafts)
        if ends and self._tasks:
            # Nothing is added after the end: what was under way is recorded first, with its cost.
            await self._stop([*self._tasks])
            return
        if ends and await self._unread():
            self._told = True  # what a person said until now is part of it
            return
        unpaid = calls_under_way(self._log.state) if ends else []
        await self._log.append(*unpaid, *record.drafts, durable=ends)
        state = self._log.state
        pointless = [
            move_id
            for move_id, (move, _) in self._tasks.items()
            if has_ended(state, move.step_id, move.attempt)
        ]
        if pointless:
            await self._stop(pointless)
            await self._log.append(*orphans_of_ended(self._log.state))
        await crew.sessions.close_ended(state)

    def _start(self, crew: Crew, move: Effect) -> None:
        task = asyncio.create_task(self._perform(crew, move), name=move.id)
        self._tasks[move.id] = (move, task)
        task.add_done_callback(lambda done: self._ended(move.id, done))

    async def _perform(self, crew: Crew, move: Effect) -> None:
        if isinstance(move, CallModel):
            await crew.calls.perform(move)
        else:
            await crew.actions.perform(move)

    def _ended(self, move_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(move_id, None)
        self._noticed(task)

    def _noticed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = self._failed or error
        self._wake.set()

    async def _after_failure(self, error: BaseException) -> None:
        """A lost fence or history ends the drive; a fault of ours ends the run with its reason."""
        self._failed = None
        if isinstance(error, FenceLost | HistoryError):
            raise error
        reason = str(error)
        if not isinstance(error, PlannerError):
            _logger.error("run %s: a move failed", self._log.run_id, exc_info=error)
            reason = f"internal error: {repr(error)[:900]}; see the log file"
        await self._stop([*self._tasks])
        finished = RunFinished(status="failed", reason=reason[:1000])
        unpaid = calls_under_way(self._log.state)
        await self._log.append(*unpaid, finished.draft(), durable=True)

    async def _rest(self, wake_at: datetime | None) -> bool:
        """Wait for something new; False: nothing came for as long as the driver may wait."""
        timeout: float | None = None
        if wake_at is not None:
            timeout = max(0.0, (wake_at - self._log.now()).total_seconds())
        # An action may wait for leave too; its sandbox is not kept for ever.
        resting = not self._tasks or self._log.state.status == "waiting_user"
        if resting:
            timeout = self._wait_s if timeout is None else min(timeout, self._wait_s)
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            due = wake_at is not None and self._log.now() >= wake_at
            return due or not resting
        return True

    async def _stop(self, move_ids: list[str]) -> None:
        tasks = [self._tasks[move_id][1] for move_id in move_ids if move_id in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._log.settled()

    # --- commands ----------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Wakes the loop when a command has come."""
        async for _ in self._services.history.changes():
            if await self._unread():
                self._told = True
                self._wake.set()

    async def _see_waits(self) -> None:
        """Wakes the loop when an action under way has begun to wait for a person."""
        while True:
            await self._log.until(lambda state: state.status == "waiting_user")
            self._wake.set()
            await self._log.until(lambda state: state.status != "waiting_user")

    async def _unread(self) -> bool:
        run_id = self._log.run_id
        return bool(await asyncio.to_thread(self._services.queue.unread_commands, run_id))

    async def _read_commands(self, crew: Crew) -> None:
        self._told = False
        unread = await asyncio.to_thread(self._services.queue.unread_commands, self._log.run_id)
        for command in unread:
            if self._log.state.final is not None:
                return
            draft = command_draft(command)
            await self._log.append(draft, durable=True)
            if draft.type == "user.interrupted":
                await crew.sessions.interrupt(draft.data["step"])
