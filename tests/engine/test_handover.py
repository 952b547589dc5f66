"""What a step leaves behind is handed on, kept, or said not to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from planner_app.engine import handover
from planner_app.engine.handover import earlier_workspaces, keep_workspace, left_files
from planner_app.sandbox.session import FileInfo
from tests.engine.world import Script, World, answer, check, code, plan, report

MB = 1_000_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CHANGED = BEGAN + timedelta(seconds=1)


def files(at: datetime = CHANGED, **sizes: int) -> list[FileInfo]:
    return [FileInfo(name, size, at) for name, size in sizes.items()]


@pytest.fixture
def log() -> Any:
    """A run with one step and one attachment."""
    step = SimpleNamespace(step=SimpleNamespace(deps=()))
    attached = SimpleNamespace(name="given", bytes=5)
    state = SimpleNamespace(
        artifacts={}, attachments=[attached], steps={"a": step}, created_at=BEGAN
    )
    return SimpleNamespace(state=state)


def test_files_that_nobody_named_are_kept_and_those_given_or_hidden_are_not(log: Any) -> None:
    found = files(BEGAN, given=5) + files(named=7, made=7, empty=0, _x=3) + files(**{".hidden": 3})
    assert left_files(log, found, "a", ["named"]) == (["made", "_x"], "")


@pytest.mark.parametrize("found", [files(BEGAN, given=6), files(CHANGED, given=5)])
def test_an_attachment_that_was_changed_counts_as_made(log: Any, found: list[FileInfo]) -> None:
    assert left_files(log, found, "a", [])[0] == ["given"]


def test_files_that_are_too_large_or_too_many_are_told(log: Any) -> None:
    found = files(CHANGED, **{f"f{n:02}": 1 for n in range(25)}, big=11 * MB, huge=200 * MB)
    kept, note = left_files(log, found, "a", [])
    assert kept == [f"f{n:02}" for n in range(20)]
    for word in ("big (11 MB)", "huge (200 MB)", "5 files beyond the first 20"):
        assert word in note


async def test_a_workspace_beyond_the_cap_is_told(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "MAX_WORKSPACE_BYTES", 100 * 2**20)
    session: Any = None  # it is not asked
    kept, why = await keep_workspace(log, session, files(given=5, big=101 * 2**20), "a")
    assert kept is None
    assert "101 MiB" in why
    assert await keep_workspace(log, session, files(BEGAN, given=5), "a") == (None, "")


def test_a_step_goes_on_from_the_workspaces_before_one_that_left_none() -> None:
    def step(key: str, workspace: str | None, *deps: str) -> Any:
        return SimpleNamespace(step=SimpleNamespace(id=key, deps=deps), workspace=workspace)

    steps = [step("a", "A"), step("b", None, "a"), step("c", "C", "a"), step("d", None, "b", "c")]
    state: Any = SimpleNamespace(steps={one.step.id: one for one in steps})
    assert earlier_workspaces(state, "c") == ["A"]
    assert earlier_workspaces(state, "d") == ["A", "C"]


async def test_the_newest_version_of_a_file_goes_on_and_no_artifact_covers_another(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "given.txt").write_text("old")
    script = Script().planner(
        plan(
            {"id": "a"},
            {"id": "b", "deps": ["a"]},
            {"id": "c", "deps": ["a"]},
            {"id": "d", "deps": ["b", "c"]},
        )
    )
    write = "open({!r}, 'w').write({!r})"
    script.executor("a", code(write.format("given.txt", "new") + "\n" + write.format("n", "one")))
    script.executor("b", code(write.format("n", "two") + "\n" + write.format("out", "from b")))
    script.executor("c", code(write.format("out", "from c")))
    script.executor("d", code("[open(n).read() for n in ('given.txt', 'n')]"))
    for key in "abcd":
        script.executor(key, report())
    script.planner(answer("So.", 1)).checker(check())
    state = await world.run(script, files=(tmp_path / "given.txt",))
    assert "Value: ['new', 'two']" in world.observation(state.run_id, 3)
    kept = {n: world.history.get_blob(a.sha256) for n, a in state.artifacts.items()}
    (other,) = {"b/out", "c/out"} & kept.keys()
    assert {kept.pop("out"), kept.pop(other)} == {b"from b", b"from c"}
    assert kept == {"given.txt": b"new", "n": b"two"}


OWN = """
import os
class Own: pass
class Deadly:
    def __reduce__(self): return (os._exit, (3,))
own, deadly, plain, half, pair = Own(), Deadly(), 1, chr(0xD800), (2, 3)
"""


async def test_what_cannot_be_handed_on_is_said_and_the_step_goes_on_with_the_rest(
    world: World,
) -> None:
    names = ["own", "deadly", "plain", "half", "pair", *(f"x{n}" for n in range(16))]
    script = Script().planner(plan({"id": "a"}, {"id": "b", "deps": ["a"]}))
    script.executor("a", code(OWN)).executor("a", report(values=names))
    look = "plain, ord(half), pair, 'deadly' in globals()"
    told = "not handed on: PicklingError: Own was made by an action"
    script.executor("b", code(look), expect=told).executor("b", report())
    script.planner(answer("So.", 1)).checker(check())
    state = await world.run(script)
    assert state.status == "done"
    seen = world.observation(state.run_id, 1)
    assert "(1, 55296, (2, 3), False)" in seen
    assert "Note: " in seen
    assert "deadly is not there: its process exited with code 3" in seen
    notes = [event.data["text"] for event in world.events(state.run_id, "note.added")]
    assert "of 21 values the first 20 count" in notes


async def test_a_sandbox_that_goes_while_a_report_is_read_is_brought_back_for_it(
    world: World, tmp_path: Path
) -> None:
    once = f"""
import os, pathlib, signal
class Deadly:
    def __reduce__(self):
        once = pathlib.Path({str(tmp_path / "once")!r})
        if not once.exists():
            once.touch()
            os.kill(os.getppid(), signal.SIGKILL)
        return int, (7,)
x = Deadly()
"""
    script = Script().planner(plan({"id": "a"}, {"id": "b", "deps": ["a"]}))
    script.executor("a", code(once)).executor("a", report(values=["x"]))
    script.executor("b", code("x")).executor("b", report())
    state = await world.run(script.planner(answer("So.", 1)).checker(check()))
    assert "Value: 7" in world.observation(state.run_id, 1)
    assert [
        event.type for event in world.events(state.run_id, "session.lost", "session.rebuilt")
    ] == [
        "session.lost",
        "session.rebuilt",
    ]
