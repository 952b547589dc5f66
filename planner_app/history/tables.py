"""The tables of history and queue, as SQLModel classes that fit SQLite and Postgres alike.

Times are whole microseconds since 1970 UTC, so that they sort and compare everywhere; JSON is text
with ASCII escapes, so that any string a model or a page holds can be stored. The full-text index
is the database's own and stands in `schema.py`. Statements are written with `columns.py`, which has
the same tables by name at a tenth of the cost.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Text
from sqlmodel import Field, SQLModel


class _Table(SQLModel):
    """Base of the tables, with metadata of its own: other users of SQLModel are not our concern."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )


def _text(*, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(Text, primary_key=primary_key, nullable=nullable)


def _refers(to: str, *, primary_key: bool = False) -> Column[str]:
    return Column(Text, ForeignKey(to), primary_key=primary_key, nullable=False)


def _big(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


class TaskTable(_Table, table=True):
    """What a person delegated."""

    __tablename__ = "task"

    id: str = Field(sa_column=_text(primary_key=True))
    created_us: int = Field(sa_column=_big())
    title: str = Field(sa_column=_text())
    """First line of the text, at most 120 characters."""
    text_sha: str = Field(sa_column=_text())
    """Blob with the whole text."""
    tags: str = Field(sa_column=_text())
    """JSON list of strings."""
    example: str | None = Field(default=None, sa_column=_text(nullable=True))


class RunTable(_Table, table=True):
    """One attempt at a task: its newest summary, who drives it, and how far its log is."""

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_task", "task_id"),
        Index("ix_run_created", "created_us"),
        Index("ix_run_status", "status"),
    )

    id: str = Field(sa_column=_text(primary_key=True))
    task_id: str = Field(sa_column=_refers("task.id"))
    created_us: int = Field(sa_column=_big())
    folder: str | None = Field(default=None, sa_column=_text(nullable=True))
    """Working folder from which it was submitted."""
    team: str = Field(sa_column=_text())
    parent_run_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    parent_seq: int | None = None

    seq: int = 0
    """Of the newest event; 0: none yet."""
    last_us: int = Field(sa_column=_big())
    """Time of the newest event."""
    worker_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    """Who holds the lease; None: nobody."""
    fence: int = 0
    """Grows with every claim; an append must carry the newest."""
    wake_us: int | None = Field(default=None, sa_column=_big(nullable=True))
    """When something is due by itself; None: nothing is."""

    status: str = Field(sa_column=_text())
    phase: str = Field(sa_column=_text())
    title: str = Field(sa_column=_text())
    example: str | None = Field(default=None, sa_column=_text(nullable=True))
    steps_done: int = 0
    steps_total: int = 0
    usd: float = 0.0
    unpriced_calls: int = 0
    tokens: int = Field(default=0, sa_column=_big())
    calls: int = 0
    actions: int = 0
    started_at: str | None = Field(default=None, sa_column=_text(nullable=True))
    ended_at: str | None = Field(default=None, sa_column=_text(nullable=True))
    active_seconds: float = 0.0
    wake_at: str | None = Field(default=None, sa_column=_text(nullable=True))
    needs: str = Field(default="", sa_column=_text())
    answer_head: str = Field(default="", sa_column=_text())
    reason: str = Field(default="", sa_column=_text())


class EventTable(_Table, table=True):
    """The log: what happened, in order, for ever."""

    __tablename__ = "event"

    run_id: str = Field(sa_column=_refers("run.id", primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    at_us: int = Field(sa_column=_big())
    type: str = Field(sa_column=_text())
    v: int
    move_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    step_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    attempt: int | None = None
    cause_seq: int | None = None
    command_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    actor: str = Field(sa_column=_text())
    data: str = Field(sa_column=_text())
    blobs: str = Field(sa_column=_text())


class BlobTable(_Table, table=True):
    """Bytes by what they are."""

    __tablename__ = "blob"

    sha256: str = Field(sa_column=_text(primary_key=True))
    size: int = Field(sa_column=_big())
    """Of the bytes themselves."""
    codec: str = Field(sa_column=_text())
    """`zlib`, or `raw` where that would not be smaller."""
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class SourceTable(_Table, table=True):
    """What a claim may cite."""

    __tablename__ = "source"

    run_id: str = Field(sa_column=_refers("run.id", primary_key=True))
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    seq: int
    kind: str = Field(sa_column=_text())
    title: str = Field(sa_column=_text())
    url: str | None = Field(default=None, sa_column=_text(nullable=True))
    sha256: str = Field(sa_column=_text())
    text_sha: str | None = Field(default=None, sa_column=_text(nullable=True))
    """Blob with the readable text; None: the content is the text."""
    mime: str = Field(sa_column=_text())
    weak: bool = False


class ArtifactTable(_Table, table=True):
    """Files that runs produced."""

    __tablename__ = "artifact"

    run_id: str = Field(sa_column=_refers("run.id", primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    name: str = Field(sa_column=_text())
    title: str = Field(sa_column=_text())
    mime: str = Field(sa_column=_text())
    bytes: int = Field(sa_column=_big())
    sha256: str = Field(sa_column=_text())
    step_id: str | None = Field(default=None, sa_column=_text(nullable=True))


class CommandTable(_Table, table=True):
    """What people said to a run, until its driver reads it."""

    __tablename__ = "command"
    __table_args__ = (Index("ix_command_run", "run_id", "read_seq"),)

    n: int | None = Field(default=None, primary_key=True)
    """Order of arrival."""
    id: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    run_id: str = Field(sa_column=_refers("run.id"))
    kind: str = Field(sa_column=_text())
    data: str = Field(sa_column=_text())
    """The fields of the matching event, as JSON."""
    at_us: int = Field(sa_column=_big())
    read_seq: int | None = None
    """The event that records it as read; None: unread."""


class WorkerTable(_Table, table=True):
    """Processes that drive runs."""

    __tablename__ = "worker"

    id: str = Field(sa_column=_text(primary_key=True))
    kind: str = Field(sa_column=_text())
    """`worker`, or `run` for a command that drives its own run only."""
    pid: int
    host: str = Field(sa_column=_text())
    boot: str = Field(sa_column=_text())
    """Which start of the machine `renewed_s` counts from."""
    version: str = Field(sa_column=_text())
    max_runs: int = 1
    started_us: int = Field(sa_column=_big())
    renewed_s: float = 0.0
    """Of a clock that stands still while the machine sleeps."""
    stop_asked: bool = False


class SearchEntryTable(_Table, table=True):
    """What each row of the full-text index speaks of; the text itself is in events and blobs."""

    __tablename__ = "search_entry"
    __table_args__ = (Index("ix_search_entry_run", "run_id"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(sa_column=_refers("run.id"))
    seq: int
    kind: str = Field(sa_column=_text())
    title: str = Field(sa_column=_text())


METADATA = _Table.metadata
