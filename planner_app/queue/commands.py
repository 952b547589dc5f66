"""What people say to a run: checked, kept until its driver reads it, never lost."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from planner_app.domain.errors import BadInput, NotFound
from planner_app.domain.ids import new_id
from planner_app.history import ENDED, History
from planner_app.history.columns import COMMAND, RUN
from planner_app.history.log import to_json
from planner_app.history.scrub import Scrubber
from planner_app.history.times import from_us, now_us
from planner_app.queue.port import Command, CommandKind

EVENT_TYPES: dict[CommandKind, str] = {
    "cancel": "user.cancelled",
    "pause": "user.paused",
    "resume": "user.resumed",
    "interrupt": "user.interrupted",
    "steer": "user.steered",
    "answer": "user.answered",
    "approve": "user.approved",
    "reject": "user.rejected",
    "budget": "user.budgeted",
}
"""The event that records each kind of command as read."""

_LIMITS = frozenset({"usd", "tokens", "seconds", "calls", "actions"})


def checked(kind: CommandKind, data: Mapping[str, Any]) -> dict[str, Any]:
    """The command's data as its event will hold them, without secrets. Raises BadInput."""
    from pydantic import ValidationError

    from planner_app.domain.catalogue import TYPES

    if kind not in EVENT_TYPES:
        raise BadInput(f"{kind!r} is no command", f"use one of {', '.join(EVENT_TYPES)}")
    if kind in ("steer", "answer"):
        _check_text(kind, data.get("text"))
    if kind == "budget":
        _check_limits(data.get("limits", {}))
    scrubbed = Scrubber.from_env(os.environ).json(dict(data))
    try:
        event = TYPES[EVENT_TYPES[kind]].model_validate(scrubbed)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or kind
        raise BadInput(f"the command {kind} cannot be used: {where}: {first['msg']}") from error
    try:
        return event.draft(command_id="c_").data
    except ValueError as error:
        raise BadInput(
            f"the text of {kind} is too long for a message", "say it in under 10,000 characters"
        ) from error


def _check_text(kind: CommandKind, text: object) -> None:
    if not isinstance(text, str) or not text.strip():
        raise BadInput(f"the text of {kind} is empty", f'for example: planner {kind} RUN "TEXT"')
    if "\x00" in text:
        raise BadInput(f"the text of {kind} is binary", "use plain text")


def _check_limits(limits: object) -> None:
    if not isinstance(limits, Mapping) or not limits or set(limits) - _LIMITS:
        raise BadInput("a budget needs limits", f"use {', '.join(sorted(_LIMITS))}")
    for name, value in limits.items():
        if value is None:
            continue
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise BadInput(f"budget {name} is {value!r}", "use a number from 0 upwards")


def send(history: History, run_id: str, kind: CommandKind, data: Mapping[str, Any]) -> str:
    """Leaves a command, safe on the disk. Raises NotFound, and BadInput for a run that ended."""
    payload = to_json(checked(kind, data))
    command_id = new_id("c")

    def work(connection: Connection) -> str:
        row = connection.execute(select(RUN.c.status).where(RUN.c.id == run_id)).first()
        if row is None:
            raise NotFound(f"there is no run {run_id[:40]}", "list them with: planner tasks")
        if row.status in ENDED:
            raise BadInput(
                f"run {run_id} has ended ({row.status}), so there is nothing to {kind}",
                f'go on from it with: planner continue {run_id} "TEXT"',
            )
        values = {"id": command_id, "run_id": run_id, "kind": kind, "data": payload}
        connection.execute(insert(COMMAND), values | {"at_us": now_us()})
        return command_id

    return history.write(work, durable=True)


def unread(history: History, run_id: str) -> list[Command]:
    """The commands that no event records yet, in the order of arrival."""
    query = (
        select(COMMAND.c.id, COMMAND.c.kind, COMMAND.c.data, COMMAND.c.at_us)
        .where(COMMAND.c.run_id == run_id, COMMAND.c.read_seq.is_(None))
        .order_by(COMMAND.c.n)
    )
    with history.reading() as connection:
        rows = connection.execute(query).all()
    return [Command(row.id, row.kind, json.loads(row.data), from_us(row.at_us)) for row in rows]
