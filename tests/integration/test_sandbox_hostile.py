"""Hostile actions against a real container: it lives, the loss of state is told, the next
action is right, the host's memory does not grow, and nothing hangs."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from pathlib import Path

import pytest

from planner_app.sandbox import ActionResult, Limits, Session
from planner_app.sandbox.calls import MAX_AT_WORK
from planner_app.sandbox.limits import MIB
from planner_app.sandbox.wire import MAX_BLOB
from tests.integration.hostile_actions import BOMBS, DESCRIPTORS, ENDS, SIGNALS
from tests.integration.hostile_insides import PATCHES, TOOLS
from tests.integration.hostile_leftovers import LEFTOVERS
from tests.sandbox.shared import Kind, lasting, launcher, session, tools
from tests.sandbox.toolbox import PeakMemory, Toolbox

__all__ = ["lasting", "launcher", "session", "tools"]

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

ACTION_SECONDS = 1.0
HANG_SECONDS = 30.0
DISPLAYS = 32 * MIB
"""What an action may show, 16 MB, held twice while it is handed on."""
FORGETS = ("the globals cleared", "all that gc can see")
"""Actions that take the variables away by Python's own means: that is theirs to do."""


@pytest.fixture(scope="module")
def kind() -> Kind:
    return "docker"


@pytest.fixture(scope="module")
def limits() -> Limits:
    """Small, so that every bomb is full soon."""
    return Limits(
        memory_bytes=256 * MIB,
        pids=64,
        workspace_bytes=32 * MIB,
        tmp_bytes=16 * MIB,
        inodes=5000,
        grace_seconds=0.5,
        action_seconds=30,
    )


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def kept_bytes(before: int) -> int:
    """What the host still holds, once freed memory has been given back to the system.

    The allocator keeps what was freed for a while: that is no growth, so it is asked to let go.
    """
    trim = ctypes.CDLL(None).malloc_trim
    async with asyncio.timeout(HANG_SECONDS):
        while (kept := resident_bytes() - before) >= 20 * MIB:
            gc.collect()
            trim(0)
            await asyncio.sleep(0.1)
    return kept


async def attack(
    session: Session, code: str, replies: int = 0, seconds: float = ACTION_SECONDS
) -> ActionResult:
    """Run it and hold everything that must be true afterwards.

    `replies`: bytes of tool replies that the host may rightly hold on the way; gone at the end.
    """
    await session.run("kept = 1")
    resident, memory = resident_bytes(), PeakMemory()
    async with asyncio.timeout(HANG_SECONDS):
        result = await session.run(code, timeout=seconds)
        second = await session.run("1+1")
        third = await session.run("'kept' in globals()")
    assert getattr(session, "alive")  # noqa: B009 - not part of the port
    assert (second.status, second.value) == ("ok", "2"), (result, second)
    assert third.status == "ok", (result, second, third)
    kept = third.value == "True"
    told = result.state_lost or second.state_lost or third.state_lost
    assert kept or told, (result, second, third)
    assert memory.grown < 20 * MIB + replies, memory.grown
    assert await kept_bytes(resident) < 20 * MIB
    assert len(result.stdout) + len(result.stderr) < 2 * MIB
    return result


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_of(session: Session, name: str) -> None:
    await attack(session, BOMBS[name], replies=DISPLAYS if name == "displays" else 0)


async def test_the_memory_limit_is_told_as_such(session: Session) -> None:
    result = await attack(session, BOMBS["memory"], seconds=20)
    assert (result.status, result.oom, result.state_lost) == ("died", True, True)


@pytest.mark.parametrize("name", DESCRIPTORS)
async def test_descriptors_with(session: Session, name: str) -> None:
    await attack(session, DESCRIPTORS[name])


@pytest.mark.parametrize("name", SIGNALS)
async def test_signals_with(session: Session, name: str) -> None:
    await attack(session, SIGNALS[name])


@pytest.mark.parametrize("name", ENDS)
async def test_an_end_by(session: Session, name: str) -> None:
    await attack(session, ENDS[name])


@pytest.mark.parametrize("name", PATCHES)
async def test_a_process_with(session: Session, name: str) -> None:
    if name in FORGETS:
        await session.run(PATCHES[name])
        assert (await session.run("1+1")).value == "2"
    else:
        await attack(session, PATCHES[name])


async def test_memory_that_was_written_over_costs_the_state_and_not_the_container(
    session: Session,
) -> None:
    """Nobody can see such damage before it shows: the action that meets it is told as died."""
    await session.run("import ctypes; ctypes.memset(id(1) + 24, 7, 1)")
    results = [await session.run("1+1") for _ in range(2)]
    assert (results[-1].status, results[-1].value) == ("ok", "2")
    assert results[0].value == "2" or results[0].state_lost


@pytest.mark.parametrize("name", TOOLS)
async def test_the_tools_after(session: Session, tools: Toolbox, name: str) -> None:
    large = name == "unread replies"
    await attack(session, TOOLS[name], replies=MAX_AT_WORK * MAX_BLOB if large else 0)
    assert (await session.run("echo(7)")).value == "7"


@pytest.mark.parametrize("name", LEFTOVERS)
async def test_the_next_action_after(session: Session, name: str) -> None:
    result = await attack(session, LEFTOVERS[name])
    for _ in range(2):
        printed = await session.run("import sys; print('é\\n漢'); print('x', file=sys.stderr)")
        assert printed.stdout == "é\n漢\n", (result, printed)
        assert printed.stderr.endswith("x\n"), (result, printed)
    assert (await session.run("echo(7)")).value == "7"


async def test_a_caller_that_never_stops_sending_costs_the_supervisor_little(
    session: Session,
) -> None:
    for _ in range(2):
        await attack(session, TOOLS["an endless call"])
    code = "int(open('/proc/1/status').read().split('VmRSS:')[1].split()[0])"
    assert int((await session.run(code)).value or "") < 60_000  # KiB


async def test_a_gigabyte_of_output_adds_little_to_the_host(session: Session) -> None:
    code = "import os\nfor _ in range(16_000): os.write(1, b'x' * 65536)"
    await session.run("print('x' * 3_000_000)")  # what an output at its cap costs is known
    memory = PeakMemory()
    async with asyncio.timeout(60):
        result = await session.run(code, timeout=50)
    assert result.status == "ok"
    assert len(result.stdout.encode()) + result.dropped_bytes >= 16_000 * 65536
    assert memory.grown < 10 * MIB


async def test_what_a_full_workspace_says_and_how_it_is_freed(session: Session) -> None:
    await attack(session, BOMBS["disk"])
    result = await session.run("import os; os.remove('big'); open('small', 'w').write('x')")
    assert (result.status, result.value) == ("ok", "1")
