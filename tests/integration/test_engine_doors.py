"""An engine reached by TCP, TLS or a context serves whole sessions like the local one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from planner_app.domain.errors import EngineMissing
from planner_app.sandbox import SandboxOptions, open_launcher
from planner_app.sandbox.engine_client import open_client
from planner_app.sandbox.engine_endpoint import find_endpoint, ping
from tests.integration.engine_doors import Door, door, make_certificates, server_tls
from tests.integration.whole_session import serves_all
from tests.sandbox.toolbox import Toolbox, opened, works

pytestmark = pytest.mark.docker


@pytest.fixture
def engine_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Path of the socket of the engine that is here; afterwards nobody has chosen any."""
    address = find_endpoint().url
    if not address.startswith("unix://"):
        pytest.skip("the engine here is not on a unix socket")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "client"))
    return address.removeprefix("unix://")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on the path")
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture
async def secure(engine_socket: str, certificates: Path) -> AsyncIterator[Door]:
    async with door(engine_socket, server_tls(certificates)) as opened:
        yield opened


def add_context(folder: Path, name: str, host: str, certificates: Path | None = None) -> None:
    """As `docker context create` writes it."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / key
    meta.mkdir(parents=True)
    told = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host}}}
    (meta / "meta.json").write_text(json.dumps(told))
    if certificates is not None:
        tls = folder / "contexts" / "tls" / key / "docker"
        tls.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            shutil.copy(certificates / file, tls / file)


async def test_over_tcp(
    engine_socket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with door(engine_socket) as plain:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{plain.port}")
        await serves_all(tmp_path)


async def test_over_tls_with_the_clients_variables(
    secure: Door, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{secure.port}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    await serves_all(tmp_path)


async def test_over_tls_by_a_context_that_is_in_use(
    secure: Door, certificates: Path, tmp_path: Path
) -> None:
    client = tmp_path / "client"
    add_context(client, "far", f"tcp://127.0.0.1:{secure.port}", certificates)
    (client / "config.json").write_text('{"currentContext": "far"}')
    await serves_all(tmp_path)


async def test_by_a_context_of_a_socket_that_a_variable_names(
    engine_socket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_context(tmp_path / "client", "near", f"unix://{engine_socket}")
    monkeypatch.setenv("DOCKER_CONTEXT", "near")
    launcher = await open_launcher("docker", SandboxOptions(home=tmp_path, pool_size=0))
    try:
        async with opened(launcher, Toolbox()) as session:
            await works(session)
    finally:
        await launcher.close()


async def test_a_client_without_the_right_certificate_is_told_so_in_one_line(
    secure: Door, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{secure.port}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    none = tmp_path / "none"
    none.mkdir()
    ours = tmp_path / "no client"
    ours.mkdir()
    shutil.copy(certificates / "ca.pem", ours)
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (broken / name).write_text("not a certificate")
    for folder in (none, ours, broken):
        monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
        answer = await asyncio.to_thread(ping, find_endpoint())
        assert answer.kind == "silent"
        with pytest.raises(EngineMissing) as caught:
            await open_launcher("docker", SandboxOptions(home=tmp_path))
        assert "\n" not in caught.value.message
        assert f"127.0.0.1:{secure.port}" in caught.value.message


async def test_an_engine_whose_name_is_not_in_its_certificate_is_refused(
    secure: Door, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://localhost:{secure.port}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    with pytest.raises(EngineMissing, match="ertificate"):
        await open_launcher("docker", SandboxOptions(home=tmp_path))


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
async def test_a_context_may_ask_to_believe_any_certificate(
    secure: Door, certificates: Path, tmp_path: Path
) -> None:
    client = tmp_path / "client"
    add_context(client, "any", f"tcp://localhost:{secure.port}", certificates)
    [meta] = client.rglob("meta.json")
    told = json.loads(meta.read_text())
    told["Endpoints"]["docker"]["SkipTLSVerify"] = True
    meta.write_text(json.dumps(told))
    (client / "config.json").write_text('{"currentContext": "any"}')
    answer = await asyncio.to_thread(ping, find_endpoint())
    assert answer.kind == "ok", answer.why
    with contextlib.closing(await asyncio.to_thread(open_client)) as library:
        assert await asyncio.to_thread(library.ping)
