"""Runs the guest as a plain local process: no isolation at all, only when asked for by name."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

from planner_app._bundled import bundled_dir
from planner_app.domain.errors import SandboxError
from planner_app.sandbox.guest_session import GuestSession
from planner_app.sandbox.options import SandboxOptions
from planner_app.sandbox.session import Session, SessionSpec, ToolHandler
from planner_app.sandbox.stream import PipeStream

END_SECONDS = 5.0
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
"""The environment of a local guest: never the keys that a person keeps in theirs."""


class LocalLauncher:
    """Opens sessions in local processes, each in a temporary workspace of its own."""

    kind: Literal["unsafe-host"] = "unsafe-host"

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        self._sessions: list[GuestSession] = []

    async def open(self, spec: SessionSpec, tools: ToolHandler) -> Session:
        """See Launcher.open."""
        folder = Path(tempfile.mkdtemp(prefix="planner-unsafe-"))
        try:
            process = await self._spawn(folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise SandboxError(f"no process could be started: {error}") from error

        async def end() -> None:
            await _end(process)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

        session = GuestSession(PipeStream(process), str(process.pid), end)
        self._sessions = [s for s in self._sessions if not s.ended]
        self._sessions.append(session)
        try:
            await session.start()
            await session.configure(spec, tools)
        except BaseException:
            await session.close()
            raise
        return session

    async def _spawn(self, folder: Path) -> asyncio.subprocess.Process:
        workspace = folder / "workspace"
        workspace.mkdir()
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {
            "HOME": str(folder),
            "MPLCONFIGDIR": str(folder / "matplotlib"),
            "OPENBLAS_NUM_THREADS": "1",
            "PLANNER_PRELOAD": ",".join(self._options.preload),
            "PLANNER_WORKSPACE": str(workspace),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
        }
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-s",
            str(bundled_dir("sandbox") / "guest" / "__main__.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            cwd=workspace,
            start_new_session=True,
            limit=1 << 20,
        )

    async def close(self) -> None:
        """See Launcher.close."""
        for session in self._sessions:
            await session.close()
        self._sessions.clear()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its stdin is closed, so the supervisor ends its children and itself; else by force."""
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
