"""What was said to a run, and what a deadline brings, while no process drives it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from planner_app.engine import run_log
from planner_app.engine.driver import drive
from planner_app.engine.run_clock import RunClock
from planner_app.history.times import now_us
from planner_app.queue import leases
from planner_app.queue.port import CommandKind
from tests.engine.world import Script, World, check, code, plan, report
from tests.worker.test_processes import freeze
from tests.worker.waiting import until

HELD_UP = """
import os, time
while not os.path.exists({!r}):
    time.sleep(0.02)
"""


def say_to_a_worker_and_kill_it(
    world: World, run_id: str, said: Sequence[tuple[CommandKind, dict[str, Any]]]
) -> None:
    """The worker is stopped in the middle of an action, so it has no chance to read them."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "planner_app", "worker", "run"], stderr=subprocess.DEVNULL
    )
    try:
        until(world.history, lambda: bool(world.events(run_id, "action.started")), 90)
        freeze(world.history, worker)
        for kind, data in said:
            world.queue.command(run_id, kind, data)
    finally:
        worker.kill()
        worker.wait()


async def test_what_was_said_to_a_worker_that_was_killed_before_it_read_it_is_not_lost(
    world: World,
) -> None:
    go = world.folder / "go"
    script = Script().planner(plan({"id": "a"})).executor("a", code(HELD_UP.format(str(go))))
    script.executor("a", report(), expect="The person adds: in metres").checker(check())
    run_id = world.submit(script)
    said: list[tuple[CommandKind, dict[str, Any]]] = [
        ("steer", {"text": "in metres"}),
        ("budget", {"limits": {"calls": 50}}),
        ("pause", {}),
    ]
    await asyncio.to_thread(say_to_a_worker_and_kill_it, world, run_id, said)
    go.touch()
    assert len(world.queue.unread_commands(run_id)) == 3
    paused = await world.drive(run_id)
    assert (paused.status, paused.budget.calls, len(paused.said)) == ("paused", 50, 1)
    world.queue.command(run_id, "resume", {})
    state = await world.drive(run_id)
    assert state.status == "done", state.reason
    assert len(world.events(run_id, "user.steered")) == 1


async def test_a_deadline_that_passed_with_nobody_there_brings_its_default_at_the_next_claim(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script().planner(plan({"id": "a"}))
    script.executor("a", code("ask_user('Which one?', default='the first')"))
    script.executor("a", report(), expect="Which one? -> the first").checker(check())
    asks = world.settings.approve.model_copy(update={"answer_minutes": 45.0})
    world.settings = world.settings.model_copy(update={"approve": asks})
    run_id = world.submit(script)
    waiting = await world.drive(run_id)
    assert waiting.status == "waiting_user"
    worker = await asyncio.to_thread(world.queue.join, "worker")
    assert world.queue.claim(worker.worker_id) is None, "it is not due"
    later = timedelta(minutes=46)
    monkeypatch.setattr(leases, "now_us", lambda: now_us() + later // timedelta(microseconds=1))
    wall = partial(RunClock, wall=lambda: datetime.now(UTC) + later)
    monkeypatch.setattr(run_log, "RunClock", wall)
    lease = world.queue.claim(worker.worker_id)
    assert lease is not None
    state = await drive(lease, world.services)
    assert (state.status, state.questions) == ("done", {})
    assert [e.data["how"] for e in world.events(run_id, "question.closed")] == ["expired"]
    assert state.active_seconds < 600, "the time in which it waited is no run time"
    worker.leave()
