"""What lists read: a run's row with its summary, its sources and its artifacts. No folding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, insert, select

from planner_app.domain.errors import NotFound
from planner_app.domain.summary import RunSummary
from planner_app.history.columns import ARTIFACT, COMMAND, EVENT, RUN, SOURCE, TASK
from planner_app.history.log import clean, summary_columns, to_json
from planner_app.history.times import from_us, now_us, to_us

ENDED = frozenset({"done", "partial", "failed", "cancelled"})
_SUMMARY = tuple(RunSummary.model_fields)
_PAID = ("model.finished", "model.failed", "model.retried", "model.orphaned")
"""Events that say what a call cost, as `usd`."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task that is about to be recorded."""

    id: str
    title: str
    text_sha: str
    """Blob with the whole text; it is there already."""
    tags: tuple[str, ...] = ()
    example: str | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that is about to be recorded."""

    id: str
    task_id: str
    summary: RunSummary
    team: str = "default"
    folder: str | None = None
    parent_run_id: str | None = None
    parent_seq: int | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as lists show it."""

    run_id: str
    task_id: str
    created_at: datetime
    folder: str | None
    """Working folder from which it was submitted; None: unknown."""
    team: str
    tags: tuple[str, ...]
    parent_run_id: str | None
    parent_seq: int | None
    seq: int
    """Of its newest event."""
    last_at: datetime
    worker_id: str | None
    """Who holds its lease, alive or not; None: nobody."""
    fence: int
    unread: bool
    """Whether a person's command waits to be read."""
    summary: RunSummary

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.summary.status in ENDED


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A numbered source of a run."""

    run_id: str
    n: int
    seq: int
    kind: str
    title: str
    url: str | None
    sha256: str
    """Blob with its content."""
    text_sha: str | None
    """Blob with its readable text; None: the content is the text."""
    mime: str
    weak: bool


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """A file that a run produced."""

    run_id: str
    seq: int
    name: str
    title: str
    mime: str
    bytes: int
    sha256: str
    """Blob with its content."""
    step_id: str | None


def insert_task(connection: Connection, task: NewTask) -> None:
    """Writes a task's row."""
    connection.execute(
        insert(TASK).values(
            id=task.id,
            created_us=now_us(),
            title=clean(task.title),
            text_sha=task.text_sha,
            tags=to_json(list(task.tags)),
            example=task.example,
        )
    )


def insert_run(connection: Connection, run: NewRun) -> None:
    """Writes a run's row; its log is still empty."""
    now = now_us()
    connection.execute(
        insert(RUN).values(
            id=run.id,
            task_id=run.task_id,
            created_us=now,
            last_us=now,
            folder=None if run.folder is None else clean(run.folder),
            team=run.team,
            parent_run_id=run.parent_run_id,
            parent_seq=run.parent_seq,
            seq=0,
            fence=0,
            **summary_columns(run.summary),
        )
    )


_UNREAD = exists().where(COMMAND.c.run_id == RUN.c.id, COMMAND.c.read_seq.is_(None))
_RUNS = select(RUN, TASK.c.tags, _UNREAD.label("unread")).join(TASK, TASK.c.id == RUN.c.task_id)


def runs(
    connection: Connection,
    *,
    status: Sequence[str] = (),
    tag: str | None = None,
    task_id: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[RunRow]:
    """Runs, the newest first."""
    query: Select[Any] = _RUNS.order_by(RUN.c.created_us.desc(), RUN.c.id)
    if status:
        query = query.where(RUN.c.status.in_(status))
    if tag is not None:
        query = query.where(func.instr(TASK.c.tags, to_json(tag)) > 0)
    if task_id is not None:
        query = query.where(RUN.c.task_id == task_id)
    if limit is not None:
        query = query.limit(limit).offset(offset)
    return [_run_row(row) for row in connection.execute(query)]


def run(connection: Connection, run_id: str) -> RunRow:
    """One run. Raises NotFound."""
    row = connection.execute(_RUNS.where(RUN.c.id == run_id)).first()
    if row is None:
        raise NotFound(f"there is no run {run_id[:40]}", "list them with: planner tasks")
    return _run_row(row)


def _run_row(row: Row[Any]) -> RunRow:
    summary = RunSummary.model_construct(None, **{name: getattr(row, name) for name in _SUMMARY})
    return RunRow(
        run_id=row.id,
        task_id=row.task_id,
        created_at=from_us(row.created_us),
        folder=row.folder,
        team=row.team,
        tags=tuple(json.loads(row.tags)),
        parent_run_id=row.parent_run_id,
        parent_seq=row.parent_seq,
        seq=row.seq,
        last_at=from_us(row.last_us),
        worker_id=row.worker_id,
        fence=row.fence,
        unread=bool(row.unread),
        summary=summary,
    )


def status_counts(connection: Connection) -> dict[str, int]:
    """How many runs stand at each status."""
    rows = connection.execute(select(RUN.c.status, func.count()).group_by(RUN.c.status))
    return {row[0]: row[1] for row in rows}


def spent_since(connection: Connection, since: datetime) -> float:
    """US dollars that all runs spent at or after `since`; unknown prices count nothing."""
    start = to_us(since)
    began = select(func.total(RUN.c.usd)).where(RUN.c.created_us >= start)
    price = func.json_extract(EVENT.c.data, "$.usd")
    went_on = (
        select(func.total(price))
        .join(RUN, RUN.c.id == EVENT.c.run_id)
        .where(RUN.c.created_us < start, RUN.c.last_us >= start)
        .where(EVENT.c.at_us >= start, EVENT.c.type.in_(_PAID))
    )
    return sum(float(connection.execute(query).scalar_one()) for query in (began, went_on))


def sources(connection: Connection, run_id: str) -> list[SourceRow]:
    """A run's sources in the order of their numbers."""
    query = select(SOURCE).where(SOURCE.c.run_id == run_id).order_by(SOURCE.c.n)
    return [SourceRow(**row) for row in connection.execute(query).mappings()]


def artifacts(connection: Connection, run_id: str) -> list[ArtifactRow]:
    """A run's artifacts, the newest of each name, in the order in which they were saved."""
    query = select(ARTIFACT).where(ARTIFACT.c.run_id == run_id).order_by(ARTIFACT.c.seq)
    newest = {row["name"]: ArtifactRow(**row) for row in connection.execute(query).mappings()}
    return sorted(newest.values(), key=lambda row: row.seq)
