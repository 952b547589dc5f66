"""What a step leaves behind is handed on, kept, or said not to be."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from planner_app.engine import handover
from planner_app.engine.handover import keep_workspace, left_files
from planner_app.sandbox.session import FileInfo

MB = 1_000_000


def files(**sizes: int) -> list[FileInfo]:
    return [FileInfo(name, size, datetime.now(UTC)) for name, size in sizes.items()]


@pytest.fixture
def log() -> Any:
    """A run with one step and one attachment."""
    step = SimpleNamespace(step=SimpleNamespace(deps=()))
    attached = SimpleNamespace(name="given", bytes=5)
    kept = {"known": SimpleNamespace(bytes=7)}
    state = SimpleNamespace(artifacts=kept, attachments=[attached], steps={"a": step})
    return SimpleNamespace(state=state)


def test_files_that_nobody_named_are_kept_and_those_given_or_hidden_are_not(log: Any) -> None:
    found = files(given=5, known=7, named=7, made=7, empty=0, _x=3) + files(**{".hidden": 3})
    assert left_files(log, found, "a", ["named"]) == (["made", "_x"], "")


def test_an_attachment_that_was_changed_counts_as_made(log: Any) -> None:
    assert left_files(log, files(given=6), "a", [])[0] == ["given"]


def test_an_artifact_that_was_changed_counts_as_made(log: Any) -> None:
    assert left_files(log, files(known=8), "a", [])[0] == ["known"]


def test_files_that_are_too_large_or_too_many_are_told(log: Any) -> None:
    found = files(**{f"f{n:02}": 1 for n in range(25)}, big=11 * MB, huge=200 * MB)
    kept, note = left_files(log, found, "a", [])
    assert kept == [f"f{n:02}" for n in range(20)]
    for word in ("big (11 MB)", "huge (200 MB)", "5 files beyond the first 20"):
        assert word in note


async def test_a_workspace_beyond_the_cap_is_told(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "MAX_WORKSPACE_BYTES", 100 * 2**20)
    session: Any = None  # it is not asked
    kept, why = await keep_workspace(log, session, files(given=5, big=101 * 2**20))
    assert kept is None
    assert "101 MiB" in why
    assert await keep_workspace(log, session, files(given=5)) == (None, "")
