"""The task's files are there before the first action, and can be cited."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from planner_app.domain.catalogue import Attachment
from planner_app.domain.events import Event
from planner_app.engine import attachments
from tests.engine.world import Script, World, check, code, plan, report


def test_files_are_taken_together_up_to_a_size_and_none_is_left_out() -> None:
    sizes = [3, 3, 3, 20, 0, 1, 9]
    files = [Attachment(name=str(n), sha256="", bytes=size) for n, size in enumerate(sizes)]
    groups = [[file.bytes for file in group] for group in attachments.in_groups(files, 9)]
    assert groups == [[3, 3, 3], [20], [0, 1], [9]]


async def test_a_driver_that_ends_between_two_groups_of_files_leaves_the_rest_to_the_next(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "GROUP_BYTES", 8)
    names = [f"{n}.txt" for n in range(5)]
    for name in names:
        (tmp_path / name).write_text(f"I am {name}")
    script = Script().planner(plan({"id": "a"}))
    script.executor("a", code("import os\nsorted(os.listdir())")).executor("a", report())
    run_id = world.submit(script.checker(check()), files=[tmp_path / name for name in names])

    def end(event: Event) -> None:
        if event.type == "source.added" and event.data["n"] == 2:
            driver.cancel()

    driver = asyncio.create_task(world.drive(run_id, on_event=end))
    with pytest.raises(asyncio.CancelledError):
        await driver
    state = await world.drive(run_id)
    sources = [s for s in state.sources.values() if s.kind == "attachment"]
    assert [(s.n, s.title) for s in sources] == list(enumerate(names, start=1))
    assert str(names) in world.observation(run_id)
