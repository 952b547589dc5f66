"""A real engine that is restarted, killed, filled, or loses its image, in the middle of the work.

At the session: one clear error or one `died` result. In a run: one clear event, and the step goes
on in a new sandbox or fails with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from planner_app.domain.errors import EngineMissing, ImageMissing, PlannerError, SandboxError
from planner_app.domain.events import Event
from planner_app.domain.state import RunState
from planner_app.engine.sessions import Sessions
from planner_app.sandbox import Launcher, SandboxOptions, open_launcher
from planner_app.sandbox.image import image_tag
from tests.engine.world import Script, World, check, code, open_world, plan, report
from tests.integration.private_engine import (
    PrivateEngine,
    build_image,
    dockerd,
    private_engine,
)
from tests.sandbox.toolbox import Running, Toolbox, opened, spec, works

pytestmark = pytest.mark.docker

SECONDS = 30.0
FOREVER = "print('on', flush=True)\nwhile True: pass"


@pytest.fixture(scope="module")
def own_engine(
    tmp_path_factory: pytest.TempPathFactory, small_base: Path
) -> Iterator[PrivateEngine]:
    folder = tmp_path_factory.mktemp("engine")
    command = dockerd(folder, "--add-runtime=broken=/bin/false")
    with private_engine(folder, small_base, command) as engine:
        yield engine


@pytest.fixture
def engine(own_engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch) -> PrivateEngine:
    """The private engine, which this process now takes for the engine."""
    monkeypatch.setenv("DOCKER_HOST", own_engine.url)
    return own_engine


@pytest.fixture
async def launcher(tmp_path: Path, engine: PrivateEngine) -> AsyncIterator[Launcher]:
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    yield launcher
    await launcher.close()


def containers(engine: PrivateEngine) -> list[Any]:
    with contextlib.closing(engine.client()) as client:
        return list(client.api.containers(all=True))


def one_clear_line(error: PlannerError, *words: str) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < 500
    for word in (*words, error.hint):
        assert word in str(error)


# -- at the session


async def test_a_restarted_engine_ends_the_action_at_once_and_the_next_sandbox_works(
    engine: PrivateEngine, launcher: Launcher
) -> None:
    async with opened(launcher, Toolbox()) as session:
        running = Running(session, FOREVER)
        await running.begun()
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(engine.restart))
            result = await running.task
            assert (result.status, result.state_lost, result.stdout) == ("died", True, "on\n")
            assert "engine" in result.why
        assert session.gone
    async with opened(launcher, Toolbox()) as session:
        await works(session)
    assert containers(engine) == []


async def test_a_killed_engine_ends_the_action_and_its_containers_when_it_is_back(
    engine: PrivateEngine, launcher: Launcher
) -> None:
    async with opened(launcher, Toolbox()) as session:
        running = Running(session, FOREVER)
        await running.begun()
        await asyncio.to_thread(engine.stop, signal.SIGKILL)
        try:
            async with asyncio.timeout(SECONDS):
                result = await running.task
                assert (result.status, result.state_lost) == ("died", True)
                with pytest.raises(EngineMissing) as caught:
                    await launcher.open(spec(), Toolbox())
            one_clear_line(caught.value, "engine", "planner doctor")
        finally:
            await asyncio.to_thread(engine.start)
    async with opened(launcher, Toolbox()) as session:
        await works(session)
    assert containers(engine) == []


async def test_an_image_removed_before_or_while_running_says_how_to_build_it(
    tmp_path: Path, engine: PrivateEngine, small_base: Path, launcher: Launcher
) -> None:
    async with opened(launcher, Toolbox()) as session:
        with contextlib.closing(engine.client()) as client:
            client.api.remove_image(image_tag(), force=True)
        try:
            await works(session)
            with pytest.raises(ImageMissing) as later:
                await launcher.open(spec(), Toolbox())
            with pytest.raises(ImageMissing) as before:
                await open_launcher("docker", SandboxOptions(home=tmp_path))
        finally:
            build_image(engine.url, small_base)
    for caught in (later, before):
        one_clear_line(caught.value, "image", "planner sandbox build")
    assert containers(engine) == []


async def test_an_engine_without_space_is_one_clear_error_and_open_sessions_go_on(
    engine: PrivateEngine, launcher: Launcher
) -> None:
    async with opened(launcher, Toolbox()) as session:
        with engine.full():
            with pytest.raises(SandboxError) as caught:
                await launcher.open(spec(), Toolbox())
            one_clear_line(caught.value, "no space left")
            await works(session)
    async with opened(launcher, Toolbox()) as session:
        await works(session)
    assert containers(engine) == []


def test_an_engine_that_one_may_not_use_says_so(tmp_path: Path, engine: PrivateEngine) -> None:
    from planner_app.sandbox import engine as containers_of

    me = os.geteuid()
    os.seteuid(65534)
    try:
        with pytest.raises(EngineMissing) as caught:
            containers_of.connect(SandboxOptions(home=tmp_path))
    finally:
        os.seteuid(me)
    one_clear_line(caught.value, "permission", engine.url)


@pytest.mark.parametrize(("runtime", "hint"), [("runsc", "runtime out of"), ("broken", "")])
async def test_a_runtime_that_is_unknown_or_fails_is_told_in_the_engines_words(
    tmp_path: Path, engine: PrivateEngine, runtime: str, hint: str
) -> None:
    options = SandboxOptions(home=tmp_path, pool_size=0, runtime=runtime)
    launcher = await open_launcher("docker", options)
    try:
        with pytest.raises(SandboxError) as caught:
            await launcher.open(spec(), Toolbox())
        one_clear_line(caught.value, "runtime", hint)
    finally:
        await launcher.close()
    assert containers(engine) == []


# -- in a run


class Faulty:
    """A run in which something is done to the engine once an event has come."""

    def __init__(self, world: World, engine: PrivateEngine) -> None:
        self.world = world
        self.engine = engine
        self.run_id = ""
        self._beside: asyncio.Task[object] | None = None

    async def run(
        self, script: Script, when: Callable[[Event], bool], fault: Callable[[], object]
    ) -> RunState:
        self.run_id = self.world.submit(script, sandbox="docker")
        faults = [fault]

        def look(event: Event) -> None:
            if faults and when(event):
                faults.pop()()

        async with asyncio.timeout(SECONDS):
            state = await self.world.drive(self.run_id, on_event=look)
            assert not faults, "the fault never came"
            if self._beside is not None:
                await self._beside
        return state

    def beside(self, fault: Callable[[], object]) -> Callable[[], None]:
        """The fault, while the run goes on."""

        def begin() -> None:
            self._beside = asyncio.create_task(asyncio.to_thread(fault))

        return begin

    def shown(self) -> str:
        """What `planner show` says."""
        command = [sys.executable, "-m", "planner_app", "show", self.run_id]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
        return done.stdout

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.world.events(self.run_id, kind)]


@pytest.fixture
async def faulty(
    tmp_path: Path, engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Faulty]:
    monkeypatch.setenv("PLANNER_SANDBOX_POOL", "0")
    async with open_world(tmp_path) as world:
        yield Faulty(world, engine)


def acting(turn: int) -> Callable[[Event], bool]:
    return lambda event: event.type == "action.started" and event.data["turn"] == turn


def script_of(*actions: str, attempt: int = 1, script: Script | None = None) -> Script:
    """A plan of one step whose executor acts so, and then reports."""
    script = script or Script().planner(plan({"id": "s1"}))
    for action in actions:
        script.executor("s1", code(action), attempt)
    return script.executor("s1", report(values=["x"]), attempt).checker(check())


async def test_an_action_is_begun_again_when_its_engine_restarts(faulty: Faulty) -> None:
    slow = "x += 1\nprint(echo_of)\nimport time\ntime.sleep(1)\nx"
    script = script_of("x = 41\necho_of = 'kept'", slow)
    state = await faulty.run(script, acting(2), faulty.beside(faulty.engine.restart))
    assert state.status == "done", state
    assert [a["turn"] for a in faulty.of("action.started")] == [1, 2, 2]
    assert [a["status"] for a in faulty.of("action.finished")] == ["ok", "ok"]
    assert "kept" in faulty.world.observation(faulty.run_id, 1)
    assert "Value: 42" in faulty.world.observation(faulty.run_id, 1)
    [lost] = faulty.of("session.lost")
    assert "engine" in lost["why"]
    assert [o["reason"] for o in faulty.of("action.orphaned")] == ["the container engine ended"]
    assert [r["actions"] for r in faulty.of("session.rebuilt")] == [1]
    assert faulty.of("attempt.finished") == [{"outcome": "done", "reason": ""}]


async def test_a_sandbox_removed_in_the_middle_of_an_action_is_told_and_replaced(
    faulty: Faulty,
) -> None:
    script = script_of("x = 1", FOREVER, "x = 41 + 1\nx")
    state = await faulty.run(script, acting(2), faulty.beside(faulty.engine.remove_all))
    assert state.status == "done", state
    assert [a["status"] for a in faulty.of("action.finished")] == ["ok", "died", "ok"]
    [lost] = faulty.of("session.lost")
    assert lost["why"]
    assert lost["tell"]
    assert len(faulty.of("session.started")) == 2
    assert faulty.of("attempt.finished") == [{"outcome": "done", "reason": ""}]


async def test_an_engine_that_restarts_while_a_sandbox_is_made_ready_costs_no_attempt(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Sessions._add_files

    async def restart_first(sessions: Sessions, *more: Any) -> None:
        monkeypatch.setattr(Sessions, "_add_files", made)
        await asyncio.to_thread(faulty.engine.restart)
        await made(sessions, *more)
        await more[0].list_files()

    monkeypatch.setattr(Sessions, "_add_files", restart_first)
    state = await faulty.run(script_of("x = 42"), acting(1), lambda: None)
    assert state.status == "done", state
    assert [a["status"] for a in faulty.of("action.finished")] == ["ok"]
    assert faulty.of("attempt.finished") == [{"outcome": "done", "reason": ""}]


async def test_a_sandbox_removed_between_two_actions_is_brought_back_with_its_variables(
    faulty: Faulty,
) -> None:
    script = script_of("x = 41", "x += 1\nx")
    remove = faulty.engine.remove_all
    state = await faulty.run(script, lambda e: e.type == "action.finished", remove)
    assert state.status == "done", state
    assert [a["status"] for a in faulty.of("action.finished")] == ["ok", "ok"]
    assert "42" in faulty.world.observation(faulty.run_id, 1)
    assert len(faulty.of("session.lost")) == 1
    assert [r["actions"] for r in faulty.of("session.rebuilt")] == [1]


async def test_a_run_that_is_claimed_while_the_engine_is_away_goes_on_once_it_is_back(
    faulty: Faulty,
) -> None:
    world, engine = faulty.world, faulty.engine
    run_id = world.submit(script_of("x = 42"), sandbox="docker")
    engine.stop()
    driving = asyncio.create_task(world.drive(run_id))
    try:
        await asyncio.sleep(0)  # the driver asks an engine that is not there
    finally:
        await asyncio.to_thread(engine.start)
    async with asyncio.timeout(SECONDS):
        state = await driving
    assert state.status == "done", state


async def test_a_step_fails_with_the_reason_when_the_engine_stays_away(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner_app.engine.patience.ENGINE_PAUSES", (0.1, 0.1))
    script = script_of("x = 1", FOREVER, "x = 2")
    script_of("x = 3", attempt=2, script=script)

    def kill() -> None:
        faulty.engine.stop(signal.SIGKILL)

    try:
        await faulty.run(script, acting(2), faulty.beside(kill))
    finally:
        await asyncio.to_thread(faulty.engine.start)
    ends = faulty.of("attempt.finished")
    assert [end["outcome"] for end in ends] == ["failed", "failed"]
    for end in ends:
        assert "the container engine gives no answer" in end["reason"]
    waited = [n["text"] for n in faulty.of("note.added") if "waited for" in n["text"]]
    assert len(waited) == 2
    assert "the container engine gives no answer" in faulty.shown()


async def test_a_step_fails_with_the_reason_when_the_image_is_removed(
    faulty: Faulty, small_base: Path
) -> None:
    script = script_of("x = 1")
    script_of("x = 2", attempt=2, script=script)

    def remove() -> None:
        with contextlib.closing(faulty.engine.client()) as client:
            client.api.remove_image(image_tag(), force=True)

    try:
        await faulty.run(script, lambda e: e.type == "run.claimed", remove)
    finally:
        build_image(faulty.engine.url, small_base)
    ends = faulty.of("attempt.finished")
    assert [end["outcome"] for end in ends] == ["failed", "failed"]
    assert all("run: planner sandbox build" in end["reason"] for end in ends)
