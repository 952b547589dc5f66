"""Waiting for what the database comes to say, instead of for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from planner_app.history import History


def until(history: History, holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Blocks until `holds`, looking after each change of the database."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        history.wait_for_change(0.2)


async def until_async(history: History, holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """The same on an event loop."""
    async with asyncio.timeout(seconds):
        while not holds():
            seen = history.watcher.count()
            if holds():
                return
            waiting = asyncio.create_task(history.watcher.changed(seen))
            await asyncio.wait([waiting], timeout=0.2)
            waiting.cancel()


def status(history: History, run_id: str) -> str:
    return history.run(run_id).summary.status
