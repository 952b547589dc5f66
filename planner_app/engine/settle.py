"""Reads a person's commands into a run that nobody drives, without models and sandboxes."""

from __future__ import annotations

from planner_app import __version__
from planner_app.domain.catalogue import RunClaimed
from planner_app.domain.fold import fold
from planner_app.domain.moves import Record, next_moves
from planner_app.domain.state import RunState
from planner_app.engine.commands import command_draft
from planner_app.engine.run_log import RunLog
from planner_app.engine.takeover import left_behind
from planner_app.history import History
from planner_app.queue.embedded import Queue
from planner_app.queue.port import Lease


async def settle(lease: Lease, history: History, queue: Queue) -> RunState:
    """Record the run's unread commands and what follows from them by itself.

    A cancel ends the run, a pause or an answer is noted; moves that need a model or a sandbox are
    left to the next driver. Raises FenceLost when another driver has the run.
    """
    events = await history.load_events(lease.run_id)
    log = RunLog(history, lease.run_id, lease.fence, fold(events))
    if log.state.final is not None:
        return log.state
    claimed = RunClaimed(worker_id=lease.worker_id, fence=lease.fence, version=__version__)
    drafts = [command_draft(command) for command in queue.unread_commands(lease.run_id)]
    await log.append(claimed.draft(), *left_behind(log.state), *drafts, durable=True)
    while log.state.final is None and (log.state.cancel or log.state.phase != "queued"):
        moves = next_moves(log.state, log.now())
        if not moves or not isinstance(moves[0], Record):
            break
        await log.append(*moves[0].drafts, durable=True)
    return log.state
