"""What `planner watch` does: a run's progress from its events, as any process appends them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, columns, say
from planner_app.cli.exits import INTERRUPTED
from planner_app.cli.outcome import Outcome, print_outcome
from planner_app.cli.reading import open_run

if TYPE_CHECKING:
    from planner_app.domain.events import Event
    from planner_app.history import History

UNATTENDED_SECONDS = 5.0
"""How long a run may be without a driver before the watcher is told."""
STILL = frozenset({"paused", "waiting_user"})


def watch(args: argparse.Namespace, context: Context) -> int:
    """Follow the run until it ends. Ctrl-C leaves it running."""
    with open_run(context, args.run) as (history, run_id):
        try:
            return asyncio.run(_follow(history, run_id, as_json=args.json))
        except KeyboardInterrupt:
            say(f"the run goes on; watch it again with: planner watch {run_id}")
            return INTERRUPTED


async def _follow(history: History, run_id: str, *, as_json: bool) -> int:
    outcome = Outcome(run_id)
    minding = asyncio.create_task(_mind_the_driver(history, run_id))
    try:
        async for events in history.follow(run_id):
            for event in events:
                outcome.take(event)
                _print(event, as_json=as_json)
            sys.stdout.flush()
            if outcome.ended:
                break
    finally:
        minding.cancel()
        await asyncio.gather(minding, return_exceptions=True)
    if not as_json:
        print_outcome(outcome, history)
    return outcome.exit_code


async def _mind_the_driver(history: History, run_id: str) -> None:
    """A run that was left by a dead process would be watched for ever: say so, once."""
    from planner_app.queue import Queue

    await asyncio.sleep(UNATTENDED_SECONDS)
    row = await asyncio.to_thread(history.run, run_id)
    living = {worker.worker_id for worker in await asyncio.to_thread(Queue(history).workers)}
    if not row.ended and row.summary.status not in STILL and row.worker_id not in living:
        say(f"nobody works on it now: planner resume {run_id}")


def _print(event: Event, *, as_json: bool) -> None:
    if as_json:
        print(event.to_json())
        return
    from planner_app.view.text import progress_line

    line = progress_line(event, columns())
    if line:
        say(line)
    if event.type == "question.asked":
        from planner_app.cli.asking import how_to_reply

        say(f"answer it with: {how_to_reply(event.data['kind'], event.run_id)}")
