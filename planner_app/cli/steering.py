"""What the steering commands do: leave the command, and see that it is read.

A run that is driven reads its commands itself. One that nobody drives is claimed for the moment,
its commands are recorded, and if there is work again a worker is started for it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner_app.cli.context import Context, emit, say
from planner_app.cli.reading import open_run
from planner_app.cli.watching import STILL
from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from planner_app.domain.plan import Plan
    from planner_app.domain.state import RunState
    from planner_app.history import History, RunRow
    from planner_app.queue import CommandKind, Queue

REPLIES = frozenset({"answer", "approve", "reject"})
READ_SECONDS = 5.0
"""How long to wait for a driver to read a command, before saying that it is on its way."""


def steer(args: argparse.Namespace, context: Context) -> int:
    """Carry out one of the steering commands on the named run."""
    kind: str = args.command
    if kind == "retry":
        from planner_app.cli.delegate import retry

        return retry(args, context)
    with open_run(context, args.run) as (history, run_id):
        from planner_app.queue import Queue

        queue = Queue(history)
        before = history.run(run_id)
        if kind == "resume" and before.summary.status not in STILL and not before.ended:
            said = _go_on(queue, history, run_id, context)
        else:
            command: Any = kind
            data = command_data(kind, args, context)
            if kind in REPLIES:
                from planner_app.domain.fold import fold

                state = fold(history.events(run_id))
                data = reply_data(kind, data, args, state, context)
            queue.command(run_id, command, data)
            if data.get("plan") is not None:
                _plan_file(context, run_id).unlink(missing_ok=True)
            said = deliver(queue, history, run_id, command, context)
        row = history.run(run_id)
    if args.json:
        emit({"run_id": run_id, "command": kind, "read": not row.unread, **_status(row)})
    else:
        print(f"{run_id}: {said}")
    return 0


def command_data(kind: str, args: argparse.Namespace, context: Context) -> dict[str, Any]:
    """The fields of the matching event. Raises BadInput for a budget that is none."""
    data: dict[str, Any] = {}
    if kind in ("steer", "answer"):
        data["text"] = args.text
    if kind in ("cancel", "reject"):
        data["reason"] = args.reason
    if kind == "interrupt":
        data["step"] = args.step
    if kind in ("approve", "reject"):
        data["scope"] = "run" if args.for_run else "once"
    if kind == "budget":
        data["limits"] = _limits(args, context)
    return data


def _limits(args: argparse.Namespace, context: Context) -> dict[str, float | None]:
    """The limits that are named, in the units of the event."""
    from planner_app.cli.delegate import budget_settings

    flags = [flag for flag in budget_settings(args) if flag.value is not None]
    if not flags:
        raise BadInput("no limit is named", f"for example: planner budget {args.run} --max-usd 5")
    limits = context.settings(flags).budget.limits().model_dump()
    names = [flag.key.removeprefix("budget.").replace("minutes", "seconds") for flag in flags]
    return {name: limits[name] for name in names}


def reply_data(
    kind: str, data: dict[str, Any], args: argparse.Namespace, state: RunState, context: Context
) -> dict[str, Any]:
    """A reply's fields with the question it is for. Raises BadInput for one that fits none.

    What asks for leave wants a yes or a no: a text, even "yes", would count as neither.
    """
    from planner_app.cli.asking import LASTING, OPEN_KINDS, how_to_reply

    if state.final is not None:
        return data  # the queue says what can be done instead
    waiting = {q.id: q for q in state.questions.values() if q.reply is None}
    asked = waiting.get(args.question) if args.question else next(iter(waiting.values()), None)
    if asked is None:
        hint = f"it asks {', '.join(waiting)}" if waiting else ""
        hint = hint or f'to tell it something: planner steer {state.run_id} "TEXT"'
        what = f"no question {args.question} of it is open" if args.question else "it asks nothing"
        raise BadInput(f"run {state.run_id}: {what} now", hint)
    if kind == "answer" and asked.kind not in OPEN_KINDS:
        raise BadInput(
            f"it asks for your leave ({asked.questions[0][0]})",
            how_to_reply(asked.kind, state.run_id),
        )
    if data.get("scope") == "run" and asked.kind not in LASTING:
        raise BadInput(
            f"this cannot be said for the whole run ({asked.questions[0][0]})",
            how_to_reply(asked.kind, state.run_id),
        )
    if kind == "approve" and (args.plan or args.edit):
        if asked.kind != "plan":
            raise BadInput(f"it asks about no plan now ({asked.questions[0][0]})")
        data |= {"plan": _edited(args, state, context).model_dump(mode="json")}
    return data | {"question_id": asked.id}


def _edited(args: argparse.Namespace, state: RunState, context: Context) -> Plan:
    """The person's own plan. Raises BadInput with the first thing that is wrong with it."""
    from planner_app.domain.plan_edit import read_plan
    from planner_app.tui.editing import PlanFile, edit, read_text

    if args.plan:
        return read_plan(read_text(Path(args.plan)), state)
    return edit(PlanFile(_plan_file(context, state.run_id).parent, state), context.env)


def _plan_file(context: Context, run_id: str) -> Path:
    return context.paths().data / "plans" / f"{run_id}.json"


def deliver(
    queue: Queue, history: History, run_id: str, kind: CommandKind, context: Context
) -> str:
    """See that the command is read; what became of the run, in a few words."""
    lease_free = _settle_if_free(queue, history, run_id)
    if not lease_free and not _wait_until_read(history, run_id):
        return f"told to {kind}; its driver has not read it yet"
    row = history.run(run_id)
    status = row.summary.status
    if row.ended and row.unread:
        raise BadInput(
            f"run {run_id} ended ({status}) before it read this",
            f'go on from it with: planner continue {run_id} "TEXT"',
        )
    if kind == "steer" and not row.ended:
        readers = _readers(history, run_id)
        if row.worker_id is None and status not in STILL:
            _start_worker(queue, context)
        return readers
    if row.ended or status in STILL:
        return status.replace("_", " ").replace("waiting user", "waits for you")
    if row.worker_id is None:
        _start_worker(queue, context)
        return f"{_PAST.get(kind, kind)}; a worker goes on with it"
    return _PAST.get(kind, kind)


def _readers(history: History, run_id: str) -> str:
    """Who will read the newest message, in a sentence."""
    from planner_app.domain.fold import fold

    state = fold(history.events(run_id))
    newest = state.said[-1].seq if state.said else 0
    readers = [
        f"the executor of step {key}"
        for key, step in state.steps.items()
        if step.status == "running" and newest in [note.seq for note in step.attempts[-1].outbox]
    ]
    if newest in [note.seq for note in state.outbox]:
        readers.append("the planner")
    if not readers:
        return "your message was read"
    return f"your message goes to {' and '.join(readers)} at the next turn"


_PAST = {
    "cancel": "told to end",
    "pause": "told to pause",
    "resume": "resumed",
    "interrupt": "its running action is stopped",
    "answer": "answered",
    "approve": "approved",
    "reject": "rejected",
    "budget": "its budget is set",
}


def _go_on(queue: Queue, history: History, run_id: str, context: Context) -> str:
    """A run that is not paused, but perhaps left by a process that died."""
    living = {worker.worker_id for worker in queue.workers()}
    if history.run(run_id).worker_id in living:
        return "is being worked on; follow it with: planner watch " + run_id
    _start_worker(queue, context)
    return "a worker goes on with it; follow it with: planner watch " + run_id


def _settle_if_free(queue: Queue, history: History, run_id: str) -> bool:
    """Record the commands ourselves when nobody drives the run; whether that was so."""
    member = queue.join("run")
    try:
        lease = queue.claim(member.worker_id, run_id)
        if lease is None:
            return False
        from planner_app.engine.settle import settle

        asyncio.run(settle(lease, history, queue))
        return True
    finally:
        member.leave()


def _wait_until_read(history: History, run_id: str) -> bool:
    """Whether nothing is left to wait for: it was read, or the run ended without it."""
    deadline = time.monotonic() + READ_SECONDS
    while (row := history.run(run_id)).unread and not row.ended:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        history.wait_for_change(left)
    return True


def _start_worker(queue: Queue, context: Context) -> None:
    from planner_app.queue import ensure_worker

    started = ensure_worker(queue, context.paths(), context.env)
    if started.pid is not None:
        say(f"started a worker (pid {started.pid})")


def _status(row: RunRow) -> dict[str, Any]:
    return {"status": row.summary.status, "needs": row.summary.needs}
