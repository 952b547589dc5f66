"""A program that has the history open (a browser, a backup) holds a run up and loses none of it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from planner_app.domain.errors import HistoryError
from planner_app.domain.events import Event
from planner_app.engine.driver import drive
from planner_app.engine.sessions import Sessions
from planner_app.engine.tool_calls import Lane
from planner_app.history import open as opening
from planner_app.sandbox.session import Session
from tests.engine.world import Script, World, check, code, open_world, plan, report


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write asks for the lock many times a second, so that a test need not wait for seconds."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.02)


@pytest.mark.parametrize("at", ["model.started", "action.started", "step.reported"])
async def test_a_run_goes_on_where_it_was_when_the_lock_is_gone(
    tmp_path: Path, short_waits: None, at: str
) -> None:
    script = Script().planner(plan({"id": "a"})).executor("a", code("print(6 * 7)"))
    script.executor("a", report()).checker(check())
    waits: list[str] = []
    async with open_world(tmp_path) as world:
        other = sqlite3.connect(
            world.history.path, timeout=30, isolation_level=None, check_same_thread=False
        )

        def let_go(line: str) -> None:
            waits.append(line)
            other.execute("ROLLBACK")

        def lock(event: Event) -> None:
            if event.type == at and not waits and not other.in_transaction:
                other.execute("BEGIN EXCLUSIVE")

        world.history.be_patient(let_go)
        with closing(other):
            run_id = world.submit(script)
            state = await world.drive(run_id, on_event=lock)
        assert state.status == "done"
        assert ["is locked by another program; it is waited for" in line for line in waits] == [
            True
        ]
        assert (state.spent.calls, state.spent.actions) == (4, 1)
        assert not world.events(run_id, "model.orphaned", "action.orphaned")


@pytest.mark.parametrize("at", ["turn.taken", "action.finished"])
async def test_a_history_that_fails_for_a_moment_is_no_fault_of_the_sandbox(
    world: World, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    script = Script().planner(plan({"id": "a"})).executor("a", code("print(6 * 7)"))
    script.executor("a", report()).checker(check())
    run_id = world.submit(script)
    get = Sessions.get

    async def fails(sessions: Sessions, step_id: str, attempt: int) -> tuple[Session, Lane]:
        if world.events(run_id, at):
            raise HistoryError("the history cannot be read")
        return await get(sessions, step_id, attempt)

    with monkeypatch.context() as patch:
        patch.setattr(Sessions, "get", fails)
        with pytest.raises(HistoryError, match="cannot be read"):
            await world.drive(run_id)
    state = await world.drive(run_id)
    assert state.status == "done"
    notes = [event.data["text"] for event in world.events(run_id, "note.added")]
    assert not [text for text in notes if "lost" in text]
    assert len(state.steps["a"].attempts) == 1


async def test_a_run_whose_wait_was_ended_can_be_taken_up_later(
    tmp_path: Path, short_waits: None
) -> None:
    script = Script().planner(plan({"id": "a"})).executor("a", report()).checker(check())
    locked = threading.Event()
    async with open_world(tmp_path) as world:
        run_id = world.submit(script)
        me = await asyncio.to_thread(world.queue.join, "run")
        lease = await asyncio.to_thread(world.queue.claim, me.worker_id, run_id)
        assert lease is not None
        with closing(sqlite3.connect(world.history.path, isolation_level=None)) as other:

            def lock(event: Event) -> None:
                if event.type == "model.started" and not locked.is_set():
                    other.execute("BEGIN EXCLUSIVE")
                    locked.set()

            # As Ctrl-C does: who waits already gives up as well.
            world.history.be_patient(lambda _: world.history.be_patient(print, seconds=0))
            with pytest.raises(HistoryError, match="locked by another program"):
                await drive(lease, world.services, on_event=lock)
        await asyncio.to_thread(me.leave)
        assert (await world.drive(run_id)).status == "done"
