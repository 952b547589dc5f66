"""The warm pool, and what is left when a process, a session or a launcher ends: nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from planner_app.sandbox import (
    Launcher,
    Limits,
    SandboxOptions,
    Session,
    open_launcher,
    remove_leftovers,
)
from planner_app.sandbox import engine as containers
from planner_app.sandbox.limits import MIB
from tests.sandbox.toolbox import Toolbox, opened, spec, works

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 30.0


@pytest.fixture
def client() -> Iterator[Any]:
    import docker

    client = docker.from_env()
    yield client
    client.close()


def of_home(client: Any, home: Path) -> list[str]:
    """Short ids of the containers of a data folder, running or not."""
    label = f"{containers.HOME}={SandboxOptions(home=home).home_label}"
    found = client.api.containers(all=True, filters={"label": label})
    return [one["Id"][:12] for one in found if one["State"] != "removing"]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does; asking is the only way to know."""
    async with asyncio.timeout(SECONDS):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def launcher_of(home: Path, **options: Any) -> AsyncIterator[Launcher]:
    launcher = await open_launcher("docker", SandboxOptions(home=home, **options))
    try:
        yield launcher
    finally:
        await launcher.close()


async def warm(launcher: Launcher, count: int) -> None:
    await until(lambda: len(getattr(launcher, "_warm")) == count)  # noqa: B009


LIMITS = Limits(grace_seconds=0.5, action_seconds=30)


async def test_opening_takes_a_warm_sandbox_without_asking_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with launcher_of(tmp_path, pool_size=2, limits=LIMITS) as launcher:
        await warm(launcher, 2)

        def refuse(*args: object, **more: object) -> str:
            raise AssertionError("the engine was asked")

        with monkeypatch.context() as patched:
            patched.setattr(containers, "create", refuse)
            patched.setattr(containers, "start", refuse)
            session = await launcher.open(spec(limits=LIMITS), Toolbox())
            await works(session)
            await session.close()


async def test_a_sandbox_is_never_used_twice_and_the_pool_fills_up_again(tmp_path: Path) -> None:
    async with launcher_of(tmp_path, pool_size=1, limits=LIMITS) as launcher:
        seen = set()
        for _ in range(3):
            await warm(launcher, 1)
            async with opened(launcher, Toolbox(), spec(limits=LIMITS)) as session:
                result = await session.run("import os; os.path.exists('mine'), 'x' in globals()")
                assert result.value == "(False, False)"
                await session.run("x = 1; open('mine', 'w').close()")
                seen.add(session.where)
        assert len(seen) == 3


async def test_other_limits_than_the_pools_get_a_sandbox_of_their_own(tmp_path: Path) -> None:
    other = Limits(memory_bytes=200 * MIB, pids=40, grace_seconds=0.5)
    async with launcher_of(tmp_path, pool_size=1, limits=LIMITS) as launcher:
        await warm(launcher, 1)
        async with opened(launcher, Toolbox(), spec(limits=other)) as session:
            code = (
                "import glob\n[int(open(p).read()) for p in ('/sys/fs/cgroup/memory.max',"
                " '/sys/fs/cgroup/memory/memory.limit_in_bytes') if glob.glob(p)]"
            )
            assert (await session.run(code)).value == f"[{200 * MIB}]"


async def test_a_warm_sandbox_that_died_is_not_given_out(tmp_path: Path, client: Any) -> None:
    async with launcher_of(tmp_path, pool_size=1, limits=LIMITS) as launcher:
        await warm(launcher, 1)
        [dead] = await asyncio.to_thread(of_home, client, tmp_path)
        await asyncio.to_thread(client.api.remove_container, dead, force=True)
        async with opened(launcher, Toolbox(), spec(limits=LIMITS)) as session:
            assert session.where != dead
            await works(session)


async def test_closing_the_launcher_drains_the_pool_and_ends_what_is_open(
    tmp_path: Path, client: Any
) -> None:
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=2))
    session = await launcher.open(spec(), Toolbox())
    running = asyncio.create_task(session.run("while True: pass", timeout=60))
    await launcher.close()
    async with asyncio.timeout(SECONDS):
        assert (await running).status == "died"
    await until(lambda: of_home(client, tmp_path) == [])
    await session.close()


async def test_closing_in_the_middle_of_a_start_leaves_nothing(tmp_path: Path, client: Any) -> None:
    for delay in (0.0, 0.02, 0.1, 0.25):
        launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=2))
        opening = asyncio.create_task(launcher.open(spec(), Toolbox()))
        await asyncio.sleep(delay)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await launcher.close()
    await until(lambda: of_home(client, tmp_path) == [])


async def test_a_burst_of_twenty_all_work(tmp_path: Path, client: Any) -> None:
    small = Limits(memory_bytes=128 * MIB, pids=40, grace_seconds=0.5)
    async with launcher_of(tmp_path, pool_size=0, limits=small) as launcher:
        sessions: list[Session] = await asyncio.gather(
            *(launcher.open(spec(limits=small), Toolbox()) for _ in range(20))
        )
        assert len({session.where for session in sessions}) == 20

        async def many(number: int, session: Session) -> int:
            right = 0
            for n in range(50):
                result = await session.run(f"{number} * 1000 + {n}")
                right += result.value == str(number * 1000 + n)
            return right

        results = await asyncio.gather(*(many(n, one) for n, one in enumerate(sessions)))
        assert results == [50] * 20
        await asyncio.gather(*(session.close() for session in sessions))
    await until(lambda: of_home(client, tmp_path) == [])


async def test_a_killed_process_leaves_no_container(tmp_path: Path, client: Any) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.feeding_host",
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        where = (await process.stdout.readline()).decode().strip()
    assert where in await asyncio.to_thread(of_home, client, tmp_path)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await until(lambda: of_home(client, tmp_path) == [])


async def test_leftovers_are_collected_of_this_home_and_of_dead_processes_only(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    engine = await asyncio.to_thread(containers.connect, SandboxOptions(home=mine))

    def make(home: Path) -> str:
        return containers.create(engine, SandboxOptions(home=home), Limits(), {})[:12]

    made: list[str] = []
    try:
        made.append(await asyncio.to_thread(make, mine))  # of a living process: this one
        with monkeypatch.context() as patched:
            node = os.uname().nodename
            patched.setattr(containers, "owner_mark", lambda: f"{node}/999999999/1")
            made.append(await asyncio.to_thread(make, mine))
            made.append(await asyncio.to_thread(make, other))
        removed = await asyncio.to_thread(remove_leftovers, client, mine)
        assert len(removed) == 1
        assert of_home(client, mine) == [made[0]]
        assert of_home(client, other) == [made[2]]
    finally:
        for container in made:
            await asyncio.to_thread(containers.remove, engine, container)
        engine.client.close()
