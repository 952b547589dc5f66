"""An engine that fails: one clear error or one `died` result, never a hang or a traceback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from planner_app.domain.errors import EngineMissing, ImageMissing, PlannerError, SandboxError
from planner_app.sandbox import SandboxOptions, SessionClosed, open_launcher
from planner_app.sandbox import engine as containers
from planner_app.sandbox.engine_endpoint import find_endpoint
from tests.sandbox.toolbox import Running, Toolbox, opened, spec, works

SECONDS = 30.0
SILENCE = 0.5
"""Seconds that an engine says nothing; by hand it was tried with 35."""


@pytest.fixture
def client() -> Iterator[Any]:
    import docker

    client = docker.from_env()
    yield client
    client.close()


class Proxy:
    """A loopback engine address that can stop answering, or cut every connection."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._target)
        self._writers |= {writer, back}
        self._keep(self._carry(reader, back))
        self._keep(self._carry(there, writer))

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._flows.wait()
                target.write(data)
                await target.drain()
            target.write_eof()

    def silence(self) -> None:
        """Everything stays open and nothing moves any more."""
        self._flows.clear()

    def speak(self) -> None:
        """What was held back comes now."""
        self._flows.set()

    def cut(self) -> None:
        for writer in self._writers:
            writer.close()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    address = find_endpoint().url
    if not address.startswith("unix://"):
        pytest.skip("the engine here is not on a unix socket")
    proxy = Proxy(address.removeprefix("unix://"))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy.url = f"tcp://127.0.0.1:{port}"
    monkeypatch.setenv("DOCKER_HOST", proxy.url)
    yield proxy
    await proxy.close()
    server.close()


def one_clear_line(error: PlannerError, *words: str) -> None:
    told = f"{error}"
    assert len(told) < 500
    assert "\n" not in told
    assert "Traceback" not in told
    for word in words:
        assert word in told
    assert error.hint


@pytest.mark.docker
async def test_a_container_removed_from_outside_is_told_as_died_at_once(
    tmp_path: Path, client: Any
) -> None:
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=1))
    try:
        async with opened(launcher, Toolbox()) as session:
            running = Running(session, "print('on', flush=True)\nwhile True: pass")
            await running.begun()
            await asyncio.to_thread(client.api.remove_container, session.where, force=True)
            result = await running.result()
            assert (result.status, result.state_lost) == ("died", True)
            assert result.why
            with pytest.raises(SessionClosed):
                await session.run("1+1")
        async with opened(launcher, Toolbox()) as session:
            await works(session)
    finally:
        await launcher.close()


@pytest.mark.docker
async def test_a_container_removed_before_its_start_is_told_without_waiting_for_its_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = containers.start

    def removed(engine: containers.Engine, container: str) -> None:
        containers.remove(engine, container)
        start(engine, container)

    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    monkeypatch.setattr(containers, "start", removed)
    try:
        async with asyncio.timeout(SECONDS):  # the guest itself would be waited for for minutes
            with pytest.raises(SandboxError, match="does not start"):
                await launcher.open(spec(), Toolbox())
    finally:
        await launcher.close()


@pytest.mark.docker
async def test_a_container_stopped_from_outside_between_actions_is_noticed(
    tmp_path: Path, client: Any
) -> None:
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    try:
        async with opened(launcher, Toolbox()) as session:
            await asyncio.to_thread(client.api.kill, session.where)
            async with asyncio.timeout(SECONDS):
                try:
                    result = await session.run("1+1")
                except SessionClosed:
                    return
            assert (result.status, result.state_lost) == ("died", True)
    finally:
        await launcher.close()


@pytest.mark.docker
async def test_a_paused_container_is_told_as_died_by_the_hosts_clock(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner_app.sandbox.guest_session.SLACK_SECONDS", 0.5)
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    try:
        async with opened(launcher, Toolbox()) as session:
            await asyncio.to_thread(client.api.pause, session.where)
            async with asyncio.timeout(SECONDS):
                result = await session.run("1+1", timeout=0.5)
            assert (result.status, result.state_lost) == ("died", True)
    finally:
        await launcher.close()


@pytest.mark.docker
async def test_an_image_that_is_missing_says_how_to_build_it(tmp_path: Path) -> None:
    options = SandboxOptions(home=tmp_path, image="planner-sandbox:there-is-none")
    with pytest.raises(ImageMissing) as caught:
        await open_launcher("docker", options)
    one_clear_line(caught.value, "image")
    assert "planner sandbox build" in caught.value.hint


@pytest.mark.docker
async def test_an_image_that_goes_away_later_fails_the_next_opening(tmp_path: Path) -> None:
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    engine = getattr(launcher, "_engine")  # noqa: B009
    gone = containers.Engine(engine.client, engine.endpoint, "planner-sandbox:there-is-none")
    setattr(launcher, "_engine", gone)  # noqa: B010
    try:
        with pytest.raises(ImageMissing) as caught:
            await launcher.open(spec(), Toolbox())
        one_clear_line(caught.value, "image")
    finally:
        await launcher.close()


async def test_no_engine_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address in (f"tcp://127.0.0.1:{port}", f"unix://{tmp_path}/no.sock"):
        monkeypatch.setenv("DOCKER_HOST", address)
        async with asyncio.timeout(SECONDS):
            with pytest.raises(EngineMissing) as caught:
                await open_launcher("docker", SandboxOptions(home=tmp_path))
        one_clear_line(caught.value, address)


async def test_no_permission_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(EngineMissing) as caught:
        await open_launcher("docker", SandboxOptions(home=tmp_path))
    one_clear_line(caught.value, "permission")


async def test_something_that_is_no_engine_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    monkeypatch.setenv("DOCKER_HOST", address)
    async with server, asyncio.timeout(SECONDS):
        with pytest.raises(EngineMissing) as caught:
            await open_launcher("docker", SandboxOptions(home=tmp_path))
    one_clear_line(caught.value, "500")


@pytest.mark.docker
async def test_an_engine_reached_by_tcp_serves_like_one_on_a_socket(
    tmp_path: Path, proxy: Proxy
) -> None:
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    try:
        async with opened(launcher, Toolbox()) as session:
            await works(session)
            assert (await session.run("echo(5)")).value == "5"
    finally:
        await launcher.close()


@pytest.mark.docker
async def test_an_engine_whose_connections_break_in_an_action_is_told_as_died(
    tmp_path: Path, proxy: Proxy
) -> None:
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    try:
        async with opened(launcher, Toolbox()) as session:
            running = Running(session, "print('on', flush=True)\nwhile True: pass")
            await running.begun()
            proxy.cut()
            result = await running.result()
            assert (result.status, result.state_lost) == ("died", True)
        async with opened(launcher, Toolbox()) as session:
            await works(session)
    finally:
        await launcher.close()


@pytest.mark.docker
async def test_an_engine_that_falls_silent_is_told_as_died_and_closing_does_not_hang(
    tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner_app.sandbox.guest_session.SLACK_SECONDS", 0.5)
    monkeypatch.setattr(containers, "ENGINE_SECONDS", 2)
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    session = await launcher.open(spec(), Toolbox())
    proxy.silence()
    async with asyncio.timeout(SECONDS):
        result = await session.run("1+1", timeout=0.5)
        assert (result.status, result.state_lost) == ("died", True)
        with pytest.raises(PlannerError):
            await launcher.open(spec(), Toolbox())
        await session.close()
        await launcher.close()


@pytest.mark.docker
async def test_a_silence_that_ends_costs_time_and_nothing_else(
    tmp_path: Path, proxy: Proxy
) -> None:
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    try:
        async with opened(launcher, Toolbox()) as session:
            running = Running(session, "print('on', flush=True)\necho(1)\nx = 41\nx + 1")
            await running.begun()
            proxy.silence()
            opening = asyncio.create_task(launcher.open(spec(), Toolbox()))
            await asyncio.sleep(SILENCE)
            assert not running.task.done()
            proxy.speak()
            result = await running.result()
            assert (result.status, result.value, result.state_lost) == ("ok", "42", False)
            async with asyncio.timeout(SECONDS):
                other = await opening
            await works(other)
            await other.close()
    finally:
        await launcher.close()
