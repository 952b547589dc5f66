"""Finds what sandboxes need on this machine and opens the launcher of a kind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from planner_app.domain.errors import EngineMissing, ImageMissing
from planner_app.sandbox.engine_endpoint import find_endpoint
from planner_app.sandbox.options import SandboxOptions
from planner_app.sandbox.session import Launcher

if TYPE_CHECKING:
    from planner_app.sandbox.docker_launcher import DockerLauncher


async def open_launcher(
    kind: Literal["docker", "unsafe-host"], options: SandboxOptions
) -> Launcher:
    """The launcher of a kind, its leftovers collected and its pool filling.

    Raises EngineMissing when no engine answers or it may not be used, ImageMissing when the image
    has not been built.
    """
    if kind == "unsafe-host":
        from planner_app.sandbox.local import LocalLauncher

        return LocalLauncher(options)
    launcher = await asyncio.to_thread(_open_docker, options)
    launcher.refill()
    return launcher


def _open_docker(options: SandboxOptions) -> DockerLauncher:
    from planner_app.sandbox.container import remove_leftovers
    from planner_app.sandbox.docker_launcher import DockerLauncher
    from planner_app.sandbox.engine_setup import check_engine
    from planner_app.sandbox.image import find_image

    state = check_engine()
    if not state.ok:
        raise EngineMissing(state.why, state.fix)
    import docker

    client = docker.from_env()
    try:
        image = options.image or find_image(client, options.packages)
        if image is None:
            raise ImageMissing("the sandbox image is not there", "build it: planner sandbox build")
        remove_leftovers(client, options.home)
    except BaseException:
        client.close()
        raise
    return DockerLauncher(client, find_endpoint(), image, options)
