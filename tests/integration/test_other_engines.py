"""Podman's service, and gVisor as Docker's runtime, serve whole sessions where they are installed.

With CI=true Podman is installed for it, where this is root on Debian or Ubuntu.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from planner_app.sandbox import SandboxOptions, remove_leftovers
from planner_app.sandbox import engine as containers
from planner_app.sandbox.engine_setup import apt_install
from planner_app.sandbox.image import remove_old_images
from planner_app.sandbox.limits import Limits
from tests.integration.private_engine import PrivateEngine, dockerd, podman, private_engine
from tests.integration.whole_session import holds_all, serves_all

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def podman_engine(
    tmp_path_factory: pytest.TempPathFactory, small_base: Path
) -> Iterator[PrivateEngine]:
    if shutil.which("podman") is None and os.environ.get("CI", "").lower() == "true":
        apt_install(["podman"])  # where it cannot be had, the test says that it is not there
    folder = tmp_path_factory.mktemp("podman")
    with private_engine(folder, small_base, podman(folder)) as engine:
        yield engine


async def test_podman_serves_whole_sessions(
    podman_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", podman_engine.url)
    await serves_all(tmp_path)
    with contextlib.closing(podman_engine.client()) as client:
        assert client.api.containers(all=True) == []


async def test_podman_holds_what_is_in_it(
    podman_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", podman_engine.url)
    await holds_all(tmp_path)


def test_podmans_leftovers_are_collected(
    podman_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", podman_engine.url)
    options = SandboxOptions(home=tmp_path)
    engine = containers.connect(options)
    assert engine.is_podman
    with contextlib.closing(engine.client) as client:
        monkeypatch.setattr(containers, "owner_mark", lambda: f"{os.uname().nodename}/999999999/1")
        containers.create(engine, options, Limits(), {})
        assert len(remove_leftovers(client, tmp_path)) == 1
        assert client.api.containers(all=True) == []
        assert remove_old_images(client) == []


async def test_gvisor_serves_whole_sessions(
    tmp_path_factory: pytest.TempPathFactory,
    small_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = shutil.which("runsc")
    if program is None:
        pytest.skip("runsc is not installed")
    folder = tmp_path_factory.mktemp("gvisor")
    runtime = folder / "runsc"
    # ptrace needs nothing of the processor; the private engine has no network to look at.
    runtime.write_text(f'#!/bin/sh\nexec {program} --platform=ptrace --network=none "$@"\n')
    runtime.chmod(0o755)
    command = dockerd(folder, f"--add-runtime=runsc={runtime}")
    with private_engine(folder, small_base, command) as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.url)
        await serves_all(tmp_path, runtime="runsc")
