"""Drives a run in this process: progress, questions, Ctrl-C, and the exit code at the end.

The run was claimed with its submission. Should another driver hold it all the same, it is followed
instead; people notice no difference.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner_app.cli.asking import Asker, NobodyThereError, Reply, Terminal, how_to_reply
from planner_app.cli.context import Context, columns, let_go_of_stdout, say
from planner_app.cli.exits import INTERRUPTED
from planner_app.cli.outcome import Outcome, print_outcome
from planner_app.domain.errors import BadInput, HistoryError

if TYPE_CHECKING:
    from planner_app.domain.events import Event
    from planner_app.history import History
    from planner_app.queue import CommandKind, Membership, Queue, Submitted
    from planner_app.queue.port import Lease
    from planner_app.settings import Settings

IDLE_SECONDS = 600.0
"""How long a sandbox is kept while a person is asked."""
PAUSE_SECONDS = 5.0
"""How long the driver may take to read a pause before it is stopped."""
SECOND_THOUGHT = 1.0
"""Seconds after Ctrl-C in which another one cancels."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run is shown and whether its person can be asked."""

    as_json: bool
    ask: bool


class Foreground:
    """One run, driven or followed by this process."""

    def __init__(self, history: History, queue: Queue, run_id: str, manner: Manner) -> None:
        self.outcome = Outcome(run_id)
        self._history = history
        self._queue = queue
        self._run_id = run_id
        self._manner = manner
        terminal = Terminal.open() if manner.ask else None
        self._terminal = terminal
        self._asker = None if terminal is None else Asker(terminal, self._reply, history)
        self._paused = asyncio.Event()
        self._interrupts = 0
        self._stop_wanted = asyncio.Event()
        self._cancel_wanted = asyncio.Event()
        self._hung_up = False
        self._stdout_open = True

    async def run(self, settings: Settings, member: Membership, lease: Lease | None) -> None:
        """Until the run ended, or rests with nobody to ask, or was interrupted."""
        from planner_app.queue.leases import kept

        self._history.be_patient(say)
        with self._signals():
            async with kept(member):
                await self._catch_up()
                work = self._follow() if lease is None else self._drive(lease, settings)
                try:
                    await self._until_done(work)
                finally:
                    await self._wind_up(lease)
        if self._terminal is not None:
            self._terminal.close()

    @property
    def hung_up(self) -> bool:
        """Whether the terminal went away, so that a worker should go on."""
        return self._hung_up

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C, or another signal to stop, came."""
        return self._interrupts > 0

    def take(self, event: Event) -> None:
        """Fold, show, and notice what matters here."""
        self.outcome.take(event)
        self._show(event)
        if self._asker is not None:
            self._asker.take(event)
        if event.type == "user.paused":
            self._paused.set()
            self._stop_wanted.set()

    async def _until_done(self, work: Coroutine[Any, Any, None]) -> None:
        """The work, until it is over, the person stops it, or there is nobody left to ask."""
        tasks = [asyncio.create_task(work), asyncio.create_task(self._stopped())]
        if self._asker is not None:
            tasks.append(asyncio.create_task(self._asker.run()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            with contextlib.suppress(NobodyThereError):
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, lease: Lease, settings: Settings) -> None:
        from planner_app.engine.driver import drive
        from planner_app.engine.services import open_services

        asks = self._asker is not None
        async with open_services(settings, self._history, self._queue) as services:
            while True:
                state = await drive(
                    lease, services, on_event=self.take, wait_s=IDLE_SECONDS if asks else 0.0
                )
                if state.final is not None or state.paused or not asks:
                    return
                await self._until_told()

    async def _follow(self) -> None:
        async for events in self._history.follow(self._run_id, self.outcome.last_seq):
            for event in events:
                self.take(event)
            state = self.outcome.state
            waits = state is not None and state.status == "waiting_user"
            if self.outcome.ended or (waits and self._asker is None):
                return

    async def _until_told(self) -> None:
        """Until a command waits for the run."""
        async for _ in self._history.changes():
            if await asyncio.to_thread(self._queue.unread_commands, self._run_id):
                return

    async def _reply(self, reply: Reply) -> None:
        await self._send(reply.kind, reply.data)

    async def _send(self, kind: CommandKind, data: dict[str, Any]) -> None:
        try:
            await asyncio.to_thread(self._queue.command, self._run_id, kind, data)
        except BadInput as error:  # the run ended meanwhile, or the text cannot be used
            say(f"planner: {error}")

    # --- stopping ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
        loop.add_signal_handler(signal.SIGTERM, self._on_terminate)
        loop.add_signal_handler(signal.SIGHUP, self._on_hang_up)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
            if self._interrupts:  # one more Ctrl-C must not spoil the last line
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_interrupt(self) -> None:
        self._history.be_patient(say, seconds=0)
        self._interrupts += 1
        if self._interrupts == 1:
            say("\npausing (Ctrl-C again cancels the task)")
        elif self._interrupts == 2:
            say("\ncancelling")
            self._cancel_wanted.set()
        self._stop_wanted.set()

    def _on_terminate(self) -> None:
        self._history.be_patient(say, seconds=0)
        self._interrupts = max(self._interrupts, 1)
        self._stop_wanted.set()

    def _on_hang_up(self) -> None:
        self._history.be_patient(say, seconds=0)
        self._hung_up = True
        self._stop_wanted.set()

    async def _stopped(self) -> None:
        """Returns when the run is paused, by whomever, or the terminal is gone.

        Our own pause may take too long to get into the log: then the driver is stopped all the
        same. A second Ctrl-C within a second means cancel.
        """
        await self._stop_wanted.wait()
        if self._hung_up or not self._interrupts:
            return
        loop = asyncio.get_running_loop()
        patience = loop.time() + SECOND_THOUGHT
        await self._send("pause", {})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._paused.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(patience):
                await self._cancel_wanted.wait()

    async def _wind_up(self, lease: Lease | None) -> None:
        """Record what was said and not read, and take the last events in."""
        await self._catch_up()
        if self._interrupts and not self.outcome.ended:
            if self._interrupts >= 2:
                await self._send("cancel", {"reason": "Ctrl-C"})
            if lease is not None:
                from planner_app.engine.settle import settle

                await settle(lease, self._history, self._queue)
            elif self._interrupts >= 2:  # its own driver reads it
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_SECONDS):
                        await self._follow()
        await self._catch_up()

    async def _catch_up(self) -> None:
        """Take in the events that are in the log and were not seen here."""
        for event in await self._history.load_events(self._run_id, self.outcome.last_seq):
            self.take(event)

    # --- showing -------------------------------------------------------------------------------

    def _show(self, event: Event) -> None:
        if not self._manner.as_json:
            from planner_app.view.text import progress_line

            line = progress_line(event, columns())
            if line:
                say(line)
            return
        if self._stdout_open:
            try:
                print(event.to_json(), flush=True)
            except BrokenPipeError:  # its reader has gone; the run goes on
                self._stdout_open = False
                let_go_of_stdout()


def drive_here(
    history: History,
    queue: Queue,
    member: Membership,
    submitted: Submitted,
    settings: Settings,
    manner: Manner,
    context: Context,
) -> tuple[Outcome, int]:
    """Drive the run; how it ended, and the exit code. `member` leaves when it is over."""
    from planner_app.worker.logs import removed, to_file

    run_id = submitted.run_id

    async def run() -> Foreground:
        foreground = Foreground(history, queue, run_id, manner)
        await foreground.run(settings, member, submitted.lease)
        return foreground

    handler = to_file(context.paths().log_file)  # a traceback is for the log, not for a person
    try:
        foreground = asyncio.run(run())
    except HistoryError:
        say(f"what was recorded is kept; go on with: planner resume {run_id}")
        raise
    finally:
        removed(handler)
    outcome = foreground.outcome
    if foreground.hung_up and not outcome.ended:
        from planner_app.queue import ensure_worker

        ensure_worker(queue, context.paths(), context.env)
        return outcome, INTERRUPTED
    if outcome.ended:
        if not manner.as_json:
            print_outcome(outcome, history)
        stopped = outcome.state is not None and outcome.state.final == "cancelled"
        return outcome, INTERRUPTED if foreground.interrupted and stopped else outcome.exit_code
    if foreground.interrupted or (outcome.state is not None and outcome.state.paused):
        say(f"paused; go on with: planner resume {run_id}")
        return outcome, INTERRUPTED
    asked = next(iter(outcome.state.questions.values()), None) if outcome.state else None
    say(f"it waits for your answer: {how_to_reply(asked.kind if asked else 'ask_user', run_id)}")
    return outcome, outcome.exit_code
