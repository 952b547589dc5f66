"""A history of its own, and a run in it that this test drives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import update

from planner_app.domain.catalogue import NoteAdded, RunCreated
from planner_app.domain.events import Event, EventDraft
from planner_app.domain.summary import RunSummary
from planner_app.history import History, NewRun, NewTask
from planner_app.history.columns import RUN


def note(text: str = "x") -> EventDraft:
    return NoteAdded(text=text).draft()


@dataclass
class DrivenRun:
    """A run whose lease this test holds."""

    history: History
    id: str
    fence: int = 1

    def append(self, *drafts: EventDraft, **options: object) -> list[Event]:
        return self.history.append_now(self.id, self.fence, drafts, **options)  # type: ignore[arg-type]

    def drive(self, fence: int, worker: str | None = "w_test") -> None:
        """Sets who drives it, as a claim does."""
        query = update(RUN).where(RUN.c.id == self.id).values(fence=fence, worker_id=worker)
        self.history.write(lambda connection: connection.execute(query))


def new_run(history: History, run_id: str, text: str = "Count the words") -> DrivenRun:
    sha = history.put_blob(text.encode())
    created = RunCreated(task_id=f"t{run_id[1:]}", text=text[:2000])
    summary = RunSummary(status="queued", phase="queued", title=text[:120])
    history.create_run(
        NewRun(run_id, created.task_id, summary, folder="/somewhere"),
        [created.draft(actor="user", blobs={"text": sha})],
        task=NewTask(created.task_id, text[:120], sha, tags=("one", "two")),
    )
    run = DrivenRun(history, run_id)
    run.drive(1)
    return run


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "home" / "planner.db"


@pytest.fixture
def history(database: Path) -> Iterator[History]:
    with History.open(database) as opened:
        yield opened


@pytest.fixture
def run(history: History) -> DrivenRun:
    return new_run(history, "r_aaaaaaaaaa")
