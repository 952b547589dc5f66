"""Chooses the launcher by name; what a launcher needs is imported only when it is chosen."""

from __future__ import annotations

import asyncio
from typing import Literal

from planner_app.domain.errors import BadInput
from planner_app.sandbox.options import SandboxOptions
from planner_app.sandbox.session import Launcher


async def open_launcher(
    kind: Literal["docker", "unsafe-host"], options: SandboxOptions
) -> Launcher:
    """A launcher that is ready to open sessions; close it at the end.

    Raises EngineMissing without a usable engine, ImageMissing when the image is not built,
    BadInput for an unknown kind. "unsafe-host" isolates nothing and is never chosen silently.
    """
    if kind == "unsafe-host":
        from planner_app.sandbox.local import LocalLauncher

        return LocalLauncher(options)
    if kind == "docker":
        from planner_app.sandbox.docker_launcher import DockerLauncher
        from planner_app.sandbox.engine import connect

        engine = await asyncio.to_thread(connect, options)
        return await DockerLauncher.start(engine, options)
    raise BadInput(f"unknown sandbox {kind!r:.50}", "use docker or unsafe-host")
