"""What survives when the process that drives a run is killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from planner_app.domain.fold import fold
from planner_app.examples.library import load_example
from planner_app.queue.submission import Submission
from tests.engine.world import World

DRIVER = """
import asyncio, os, sys
from pathlib import Path
from planner_app.engine.driver import drive
from planner_app.engine.services import open_services
from planner_app.history import History
from planner_app.queue.embedded import Queue
from planner_app.settings import load_settings

async def main(run_id):
    settings = load_settings(Path.cwd(), os.environ)
    history = History.open(settings.paths.database)
    queue = Queue(history)
    me = queue.join("run")
    lease = queue.claim(me.worker_id, run_id)
    async with open_services(settings, history, queue) as services:
        await drive(lease, services, on_event=lambda e: print(e.seq, flush=True))

asyncio.run(main(sys.argv[1]))
"""


def submit_example(world: World, name: str) -> str:
    example = load_example(name)
    wanted = Submission(
        text=example.task,
        files=example.files,
        models=example.models,
        example=example.name,
        sandbox="unsafe-host",
        no_input=True,
    )
    return world.queue.submit(wanted, world.settings).run_id


def drive_and_kill(run_id: str, at_seq: int) -> None:
    """Drives the run in a process of its own and kills it once an event is in the log."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, run_id],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= at_seq:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.read()
    process.wait(timeout=20)


@pytest.mark.parametrize("name", ["research", "surprise"])
async def test_a_killed_run_ends_in_the_same_answer_with_no_action_twice(
    world: World, name: str
) -> None:
    whole = await world.drive(submit_example(world, name))
    assert whole.status == "done"
    rng = random.Random(name)
    run_id = submit_example(world, name)
    kills = sorted(rng.sample(range(5, whole.last_seq - 2), 3))
    for at_seq in kills:
        await asyncio.to_thread(drive_and_kill, run_id, at_seq)
    state = await world.drive(run_id)
    assert state.status == "done"
    assert _text(state.answer) == _text(whole.answer)
    events = world.history.events(run_id)
    done = Counter(
        (e.step_id, e.attempt, e.data["turn"]) for e in events if e.type == "action.finished"
    )
    assert set(done.values()) == {1}
    tools = Counter(
        (e.step_id, e.attempt, (e.move_id or "").split("/")[3], e.data["name"])
        for e in events
        if e.type == "tool.finished"
    )
    whole_tools = Counter(
        (e.step_id, e.attempt, (e.move_id or "").split("/")[3], e.data["name"])
        for e in world.history.events(whole.run_id)
        if e.type == "tool.finished"
    )
    assert tools == whole_tools
    for before, event in pairwise(events):
        # The claim comes first, or the time in which nobody drove the run would be run time.
        if event.type.endswith(".orphaned"):
            assert before.type == "run.claimed" or before.type.endswith(".orphaned")
    assert fold(events) == state


def _text(answer: object) -> str:
    """The answer without its source numbers, which depend on who came first."""
    import re

    from planner_app.domain.plan import Answer

    assert isinstance(answer, Answer)
    return re.sub(r"\[\d+\]", "[n]", answer.text)


async def test_a_driver_that_lost_its_lease_can_write_no_more(world: World, tmp_path: Path) -> None:
    from planner_app.domain.catalogue import NoteAdded
    from planner_app.domain.errors import FenceLost
    from planner_app.engine.run_log import RunLog

    run_id = submit_example(world, "surprise")
    first = world.queue.join("run")
    lease = world.queue.claim(first.worker_id, run_id)
    assert lease is not None
    log = RunLog(world.history, run_id, lease.fence, fold(world.history.events(run_id)))
    first.leave()
    second = world.queue.join("run")
    assert world.queue.claim(second.worker_id, run_id) is not None
    before = len(world.history.events(run_id))
    with pytest.raises(FenceLost):
        await log.append(NoteAdded(text="from the past").draft())
    assert len(world.history.events(run_id)) == before
    second.leave()
