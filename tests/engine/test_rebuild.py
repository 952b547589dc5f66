"""A sandbox that went away comes back as it was, and what came out otherwise is said."""

from __future__ import annotations

import pytest

from planner_app.engine import tool_calls
from tests.engine.world import Script, World, check, code, plan, report

UNLIKE = "import uuid\nx = str(uuid.uuid4())\nprint('same')\nprint(x)"
SAVING = "open('a.txt', 'w').write('one')\nprint(save_artifact('a.txt', 'first')['bytes'])"
ENDLESS = "while True: pass"
LOSING = "import os\nos._exit(1)"
ASKING = "kept = open('a.txt').read()\nask_user('More?')"


def acting(*actions: str) -> Script:
    script = Script().planner(plan({"id": "a"}))
    for action in actions:
        script.executor("a", code(action))
    return script.executor("a", report()).checker(check())


async def brought_back(world: World, *actions: str, last: str = "print(kept)") -> str:
    """A run whose sandbox is dropped while its last action but one waits for a person."""
    run_id = world.submit(acting(*actions, ASKING, last), limits={"action_seconds": 0.3})
    assert (await world.drive(run_id)).status == "waiting_user"
    world.queue.command(run_id, "answer", {"text": "yes"})
    assert (await world.drive(run_id)).status == "done"
    return run_id


async def test_no_tool_is_called_twice_and_progress_is_told(world: World) -> None:
    run_id = await brought_back(world, SAVING, "n = 1")
    assert "one" in world.observation(run_id, 3)
    assert len(world.events(run_id, "artifact.saved")) == 1
    assert [e.data["name"] for e in world.events(run_id, "tool.started")] == [
        "save_artifact",
        "ask_user",
    ]
    notes = [e.data["text"] for e in world.events(run_id, "note.added")]
    assert [note for note in notes if "run again" in note][1:] == [
        "1 of 3 actions were run again",
        "2 of 3 actions were run again",
    ]
    (rebuilt,) = world.events(run_id, "session.rebuilt")
    assert (rebuilt.data["actions"], rebuilt.data["differences"]) == (3, [])


async def test_a_different_outcome_is_told_with_what_it_was(world: World) -> None:
    run_id = await brought_back(world, SAVING, UNLIKE, last="print('now', x)")
    (rebuilt,) = world.events(run_id, "session.rebuilt")
    (told,) = rebuilt.data["differences"]
    was = world.observation(run_id, 1).splitlines()[-2]
    now = world.observation(run_id, 3).partition("now ")[2][:36]
    assert told.startswith("action 2: was ")
    assert was in told
    assert now in told


@pytest.mark.parametrize(("action", "status"), [(ENDLESS, "timeout"), (LOSING, "died")])
async def test_what_was_stopped_or_lost_its_process_is_so_again(
    world: World, action: str, status: str
) -> None:
    run_id = await brought_back(world, SAVING, action, "y = 2", last="print(kept, y)")
    assert [e.data["status"] for e in world.events(run_id, "action.finished")][1] == status
    (rebuilt,) = world.events(run_id, "session.rebuilt")
    assert rebuilt.data["differences"] == []
    assert "one 2" in world.observation(run_id, 4)


async def test_an_action_that_calls_without_end_is_refused_and_fills_no_history(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_calls, "MAX_CALLS", 3)
    calling = """
said = []
for n in range(9):
    try: said.append(save_artifact(f'{n}.txt', 'none'))
    except ToolError as e: said.append(str(e))
print(len(said), said[-1])
"""
    run_id = await brought_back(world, SAVING, calling, last="print(len(said))")
    assert "9 this action made more than" in world.observation(run_id, 1)
    assert len(world.events(run_id, "tool.started")) == 1 + 3 + 1
    (rebuilt,) = world.events(run_id, "session.rebuilt")
    assert rebuilt.data["differences"] == []
