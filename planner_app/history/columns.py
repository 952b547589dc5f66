"""The tables' names for statements, without the models behind them.

Building the models of `tables.py` takes longer than a whole list of tasks may; reading and writing
needs the names only. A test holds the two alike.
"""

from __future__ import annotations

from sqlalchemy import Boolean, TableClause, column, table


def _named(name: str, columns: str, yes_no: tuple[str, ...] = ()) -> TableClause:
    """A table with its columns in order; `yes_no` come back as bool."""
    made = [column(each, Boolean if each in yes_no else None) for each in columns.split()]
    return table(name, *made)


TASK = _named(
    "task",
    "id created_us title text_sha tags example",
)
RUN = _named(
    "run",
    """
    id task_id created_us folder team parent_run_id parent_seq seq last_us worker_id fence
    wake_us status phase title example steps_done steps_total usd unpriced_calls tokens calls
    actions started_at ended_at active_seconds wake_at needs answer_head reason
    """,
)
EVENT = _named(
    "event",
    "run_id seq at_us type v move_id step_id attempt cause_seq command_id actor data blobs",
)
BLOB = _named(
    "blob",
    "sha256 size codec data",
)
SOURCE = _named(
    "source",
    "run_id n seq kind title url sha256 text_sha mime weak",
    ("weak",),
)
ARTIFACT = _named(
    "artifact",
    "run_id seq name title mime bytes sha256 step_id",
)
COMMAND = _named(
    "command",
    "n id run_id kind data at_us read_seq",
)
WORKER = _named(
    "worker",
    "id kind pid host boot version max_runs started_us renewed_s stop_asked",
    ("stop_asked",),
)
SEARCH_ENTRY = _named(
    "search_entry",
    "id run_id seq kind title",
)
