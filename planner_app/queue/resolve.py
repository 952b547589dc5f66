"""Which run a person means by an id, the beginning of one, or `last`."""

from __future__ import annotations

import difflib
from pathlib import Path

from sqlalchemy import Connection, select

from planner_app.domain.errors import BadInput, NotFound
from planner_app.history import History
from planner_app.history.columns import RUN

_HINT = "list them with: planner tasks"


def resolve(history: History, text: str, cwd: Path | None = None) -> str:
    """The run's id; a task means its latest run, `last` the last submitted from `cwd`, else of all.

    Raises NotFound with the nearest id, BadInput when the beginning fits several.
    """
    wanted = text.strip().lower()
    with history.reading() as connection:
        if wanted == "last":
            return _last(connection, cwd)
        if not wanted:
            raise BadInput("no run was named", "give an id, the beginning of one, or: last")
        found = _beginning_with(connection, wanted)
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(sorted(found)[:4])
            raise BadInput(f"{text[:40]!r} fits {len(found)} runs: {some}", "type more of it")
        near = _nearest(connection, wanted)
    hint = f"did you mean {near}?" if near else _HINT
    raise NotFound(f"there is no run or task {text[:40]!r}", hint)


def _last(connection: Connection, cwd: Path | None) -> str:
    newest = select(RUN.c.id).order_by(RUN.c.created_us.desc()).limit(1)
    if cwd is not None:
        here = connection.execute(newest.where(RUN.c.folder == str(cwd))).scalar()
        if here is not None:
            return str(here)
    found = connection.execute(newest).scalar()
    if found is None:
        raise NotFound("there is no run yet", 'delegate a task with: planner run "TASK"')
    return str(found)


def _beginning_with(connection: Connection, wanted: str) -> list[str]:
    """Runs by their own id or their task's; the two letters in front may be left out."""
    starts = [wanted] if wanted[:2] in ("r_", "t_") else [f"r_{wanted}", f"t_{wanted}"]
    runs: set[str] = set()
    for start in starts:
        runs |= set(
            connection.execute(
                select(RUN.c.id).where(RUN.c.id.startswith(start, autoescape=True)).limit(20)
            ).scalars()
        )
        tasks = connection.execute(
            select(RUN.c.task_id)
            .where(RUN.c.task_id.startswith(start, autoescape=True))
            .distinct()
            .limit(20)
        ).scalars()
        for task in tasks:
            latest = select(RUN.c.id).where(RUN.c.task_id == task)
            found = connection.execute(latest.order_by(RUN.c.created_us.desc()).limit(1)).scalar()
            runs.add(str(found))
    exact = {run for run in runs if run in starts}
    return sorted(exact or runs)


def _nearest(connection: Connection, wanted: str) -> str | None:
    newest = select(RUN.c.id, RUN.c.task_id).order_by(RUN.c.created_us.desc()).limit(300)
    known = {name for row in connection.execute(newest) for name in row}
    close = difflib.get_close_matches(wanted, sorted(known), n=1, cutoff=0.6)
    return close[0] if close else None
