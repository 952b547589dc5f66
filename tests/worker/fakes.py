"""A drive without models and sandboxes: it counts in the run's log, and does what the task says.

As a program it is a worker process with that drive: `python -m tests.worker.fakes DATABASE`.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from planner_app.domain.catalogue import NoteAdded, RunFinished
from planner_app.domain.summary import RunSummary
from planner_app.history import History
from planner_app.queue import EVENT_TYPES, Lease, Queue
from planner_app.worker import Drive, Worker


def summary(status: str, **more: object) -> RunSummary:
    return RunSummary.model_validate({"status": status, "phase": "executing", "title": "t"} | more)


class CountingDrive:
    """Task `count 20 5`: twenty notes, 5 ms apart, then done; whatever was counted before counts.

    `fail`: raises. `hold`: waits for ever. `ask`: waits for a person, ends when one says something.
    `nothing`: returns at once.
    """

    def __init__(self, history: History, queue: Queue) -> None:
        self.history = history
        self.queue = queue
        self.driving: set[str] = set()
        self.most = 0
        """Runs that were driven at once."""
        self.calls: list[str] = []
        self.cancelled: list[str] = []

    async def __call__(self, lease: Lease) -> object:
        self.calls.append(lease.run_id)
        self.driving.add(lease.run_id)
        self.most = max(self.most, len(self.driving))
        try:
            return await self._drive(lease)
        except asyncio.CancelledError:
            self.cancelled.append(lease.run_id)
            raise
        finally:
            self.driving.discard(lease.run_id)

    async def _drive(self, lease: Lease) -> object:
        events = await self.history.load_events(lease.run_id)
        what, *numbers = events[0].data["text"].split()
        match what:
            case "fail":
                raise RuntimeError("no luck")
            case "hold":
                await self._note(lease, "holds", "executing")
                await asyncio.Event().wait()
            case "ask":
                await self._ask(lease)
            case "count":
                await self._count(lease, len(events), int(numbers[0]), int(numbers[1]))
            case "nothing":
                return None
        return None

    async def _count(self, lease: Lease, seen: int, upto: int, pause_ms: int) -> None:
        for n in range(seen, upto + 1):
            await self._note(lease, f"{n} {lease.fence}", "executing")
            await asyncio.sleep(pause_ms / 1000)
        await self._finish(lease)

    async def _ask(self, lease: Lease) -> None:
        unread = await asyncio.to_thread(self.queue.unread_commands, lease.run_id)
        if not unread:
            await self._note(lease, "which one?", "waiting_user")
            return
        for command in unread:
            draft = NoteAdded(text=EVENT_TYPES[command.kind]).draft(command_id=command.id)
            await self.history.append(lease.run_id, lease.fence, [draft])
        await self._finish(lease)

    async def _note(self, lease: Lease, text: str, status: str) -> None:
        draft = NoteAdded(text=text).draft()
        await self.history.append(lease.run_id, lease.fence, [draft], summary=summary(status))

    async def _finish(self, lease: Lease) -> None:
        ended = summary("done", ended_at=datetime.now(UTC).isoformat())
        final = RunFinished(status="done").draft()
        await self.history.append(lease.run_id, lease.fence, [final], summary=ended, durable=True)


@asynccontextmanager
async def handed(drive: Drive) -> AsyncIterator[Drive]:
    yield drive


async def main(database: str) -> None:
    logging.basicConfig(level=logging.INFO)
    with History.open(database) as history:
        queue = Queue(history)
        drive = CountingDrive(history, queue)
        worker = Worker(history, queue, lambda: handed(drive), idle_seconds=60)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
