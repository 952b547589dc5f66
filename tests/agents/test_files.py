"""A task's files in a prompt: each with its source, and no wall of names for a large folder."""

from __future__ import annotations

from datetime import UTC, datetime

from planner_app.agents.files import MAX_LISTED, file_lines
from planner_app.domain.catalogue import Attachment
from planner_app.domain.state import RunState, SourceRef

AT = datetime(2026, 1, 1, tzinfo=UTC)


def with_files(count: int) -> RunState:
    files = [Attachment(name=f"data/{n}.txt", sha256=f"{n:064}", bytes=10) for n in range(count)]
    sources = {
        n: SourceRef(n=n, kind="attachment", title=file.name, sha256=file.sha256)
        for n, file in enumerate(files, start=1)
    }
    return RunState(
        run_id="r", task_id="t", text="x", created_at=AT, last_at=AT,
        attachments=tuple(files), sources=sources,
    )  # fmt: skip


def test_each_of_a_few_files_has_its_size_and_its_source() -> None:
    assert file_lines(with_files(2)) == [
        "data/0.txt (10 bytes) = source [1]",
        "data/1.txt (10 bytes) = source [2]",
    ]


def test_of_many_the_first_are_named_and_the_others_counted() -> None:
    lines = file_lines(with_files(5000))
    assert len(lines) == MAX_LISTED + 1
    assert lines[-1] == (
        "and 4,940 more, data/60.txt to data/4999.txt (49,400 bytes, sources [61] to [5000] in"
        " this order): list them with os.walk"
    )
