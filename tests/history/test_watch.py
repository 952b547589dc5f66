"""Changes by other processes are noticed, without waiting for them in a busy loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

from planner_app.history import History
from tests.history.conftest import DrivenRun, note

ROOT = Path(__file__).parents[2]


async def test_changes_yield_at_once_and_then_for_every_change(run: DrivenRun) -> None:
    changes = run.history.changes()
    await anext(changes)
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.12)
    assert not waiting.done(), "nothing changed"
    await run.history.append(run.id, 1, [note()])
    async with asyncio.timeout(20):
        await waiting


async def test_another_processes_change_is_seen(run: DrivenRun) -> None:
    code = (
        "from planner_app.history import History\n"
        "from tests.history.conftest import note\n"
        f"with History.open({str(run.history.path)!r}) as history:\n"
        f"    history.append_now({run.id!r}, 1, [note('hi')])\n"
    )
    changes = run.history.changes()
    await anext(changes)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT)
    async with asyncio.timeout(30):
        while run.history.run(run.id).seq == 1:
            await anext(changes)
    assert await process.wait() == 0


async def test_several_listeners_all_hear_of_a_change(run: DrivenRun) -> None:
    listeners = [run.history.changes() for _ in range(3)]
    for each in listeners:
        await anext(each)
    waiting = [asyncio.ensure_future(anext(each)) for each in listeners]
    await run.history.append(run.id, 1, [note()])
    async with asyncio.timeout(20):
        await asyncio.gather(*waiting)


async def test_following_gives_old_and_new_events_once_each(run: DrivenRun) -> None:
    run.append(note("before"))
    seen: list[int] = []
    async with asyncio.timeout(20):
        async for events in run.history.follow(run.id):
            seen += [event.seq for event in events]
            if seen[-1] >= 6:
                break
            await run.history.append(run.id, 1, [note(), note()])
    assert seen == [1, 2, 3, 4, 5, 6]


def test_waiting_ends_with_a_change_or_with_the_time(run: DrivenRun) -> None:
    assert not run.history.wait_for_change(0.06)
    seen = run.history.watcher.count()
    run.append(note())
    assert run.history.watcher.wait(20, seen), "also for a change that came before the wait"
    thread = threading.Timer(0.1, run.append, [note()])
    thread.start()
    assert run.history.wait_for_change(20)
    thread.join()


def test_a_watcher_that_nobody_changes_for_counts_nothing(history: History) -> None:
    first = history.watcher.count()
    history.runs()
    assert history.watcher.count() == first
