"""What the steering commands do: leave the command, and see that it is read.

A run that is driven reads its commands itself. One that nobody drives is claimed for the moment,
its commands are recorded, and if there is work again a worker is started for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner_app.cli.context import Context, emit, say
from planner_app.cli.reading import open_run
from planner_app.cli.watching import STILL
from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from planner_app.domain.events import Event
    from planner_app.history import History, RunRow
    from planner_app.queue import CommandKind, Queue

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
            data = command_data(kind, args)
            if data.get("plan") is not None:
                check_plan(data["plan"], history.events(run_id))
            if kind == "answer":
                check_answer(data["question_id"], history.events(run_id))
            queue.command(run_id, command, data)
            said = deliver(queue, history, run_id, command, context)
        row = history.run(run_id)
    if args.json:
        emit({"run_id": run_id, "command": kind, "read": not row.unread, **_status(row)})
    else:
        print(f"{run_id}: {said}")
    return 0


def command_data(kind: str, args: argparse.Namespace) -> dict[str, Any]:
    """The fields of the matching event. Raises BadInput."""
    data: dict[str, Any] = {}
    if kind in ("steer", "answer"):
        data["text"] = args.text
    if kind in ("cancel", "reject"):
        data["reason"] = args.reason
    if kind == "interrupt":
        data["step"] = args.step
    if kind in ("answer", "approve", "reject"):
        data["question_id"] = args.question
    if kind == "approve":
        data["scope"] = "run" if args.for_run else "once"
        data["plan"] = read_plan(Path(args.plan)) if args.plan else None
    return data


def read_plan(path: Path) -> dict[str, Any]:
    """A person's own edit of a plan. Raises BadInput naming the file and the first problem."""
    from pydantic import ValidationError

    from planner_app.domain.plan import Plan

    try:
        plan = Plan.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInput(f"the plan {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"the plan {path} cannot be used: {where}: {first['msg']}") from None
    except ValueError as error:
        raise BadInput(f"the plan {path} is not JSON: {error}") from None
    return plan.model_dump(mode="json")


def check_plan(plan: dict[str, Any], events: list[Event]) -> None:
    """Whether the edited plan can run in this run. Raises BadInput with the first problem."""
    from planner_app.domain.fold import fold
    from planner_app.domain.plan import Plan, plan_problems

    steps = fold(events).steps
    done = frozenset(name for name, step in steps.items() if step.status == "done")
    problems = plan_problems(Plan.model_validate(plan), done, frozenset(steps))
    if problems:
        raise BadInput(f"the plan cannot run: {problems[0]}")


def check_answer(question_id: str, events: list[Event]) -> None:
    """What asks for leave wants a yes or a no: a text, even "yes", would count as a no."""
    from planner_app.cli.asking import OPEN_KINDS, how_to_reply
    from planner_app.domain.fold import fold

    state = fold(events)
    open_ids = [q.id for q in state.questions.values() if q.reply is None]
    wanted = question_id or next(iter(open_ids), "")
    asked = state.questions.get(wanted)
    if asked is not None and asked.kind not in OPEN_KINDS:
        raise BadInput(
            f"it asks for your leave ({asked.questions[0][0]})",
            how_to_reply(asked.kind, events[0].run_id),
        )


def deliver(
    queue: Queue, history: History, run_id: str, kind: CommandKind, context: Context
) -> str:
    """See that the command is read; what became of the run, in a few words."""
    lease_free = _settle_if_free(queue, history, run_id)
    if not lease_free and not _wait_until_read(history, run_id):
        return f"told to {kind}; its driver has not read it yet"
    row = history.run(run_id)
    status = row.summary.status
    if row.ended or status in STILL:
        return status.replace("_", " ").replace("waiting user", "waits for you")
    if row.worker_id is None:
        _start_worker(queue, context)
        return f"{_PAST.get(kind, kind)}; a worker goes on with it"
    return _PAST.get(kind, kind)


_PAST = {
    "cancel": "told to end",
    "pause": "told to pause",
    "resume": "resumed",
    "interrupt": "its running action is stopped",
    "steer": "it got your message",
    "answer": "answered",
    "approve": "approved",
    "reject": "rejected",
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
    deadline = time.monotonic() + READ_SECONDS
    while history.run(run_id).unread:
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
