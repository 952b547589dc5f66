"""Fixtures of the promises: one sandbox for a module's tests, reset and emptied between them.

A module that imports them says with a fixture `kind` which sandbox it means.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio

from planner_app.sandbox import (
    GuestCall,
    GuestReply,
    Launcher,
    Limits,
    SandboxOptions,
    Session,
    open_launcher,
)
from tests.sandbox.toolbox import Toolbox, spec

Kind = Literal["docker", "unsafe-host"]

EMPTY_WORKSPACE = """
import os as _os, shutil as _shutil
for _entry in list(_os.scandir('.')):
    if _entry.is_dir(follow_symlinks=False): _shutil.rmtree(_entry.path)
    else: _os.unlink(_entry.path)
"""


@dataclass
class Lasting:
    """The module's launcher, its one session, and the tools that answer now."""

    launcher: Launcher
    limits: Limits
    tools: Toolbox = field(default_factory=Toolbox)
    session: Session | None = None

    async def answer(self, call: GuestCall) -> GuestReply:
        return await self.tools(call)

    async def fresh(self) -> Session:
        """The session without variables or files; a new one when the last test's was lost."""
        self.tools = Toolbox()
        if self.session is not None and not await self._emptied(self.session):
            await self.close()
        if self.session is None:
            self.session = await self.launcher.open(spec(limits=self.limits), self.answer)
        return self.session

    async def _emptied(self, session: Session) -> bool:
        """Whether it could be made as good as new; the last test may have been rough."""
        if not getattr(session, "alive"):  # noqa: B009 - not part of the port
            return False
        await session.reset()
        emptied = await session.run(EMPTY_WORKSPACE, timeout=5)
        await session.reset()
        return emptied.status == "ok"

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
            self.session = None


@pytest.fixture(scope="module")
def limits() -> Limits:
    """A short grace, since some of the actions are stubborn."""
    return Limits(grace_seconds=0.5, action_seconds=30)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lasting(
    kind: Kind, limits: Limits, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lasting]:
    home: Path = tmp_path_factory.mktemp("home")
    launcher = await open_launcher(kind, SandboxOptions(home=home, limits=limits))
    lasting = Lasting(launcher, limits)
    yield lasting
    await lasting.close()
    await launcher.close()


@pytest.fixture
def launcher(lasting: Lasting) -> Launcher:
    return lasting.launcher


@pytest_asyncio.fixture(loop_scope="module")
async def session(lasting: Lasting) -> Session:
    return await lasting.fresh()


@pytest_asyncio.fixture(loop_scope="module")
async def tools(lasting: Lasting, session: Session) -> Toolbox:
    return lasting.tools
