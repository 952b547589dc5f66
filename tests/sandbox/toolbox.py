"""Tools for the sessions of these tests: what the guest may call, and what the host heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from planner_app.sandbox.limits import Limits
from planner_app.sandbox.session import (
    ActionResult,
    GuestCall,
    GuestModule,
    GuestReply,
    Launcher,
    Session,
    SessionSpec,
)

KIT = GuestModule(
    "kit",
    '''
from planner import host

@host()
def echo(x: object, y: object = None) -> object:
    """Give it back."""
    ...

@host()
async def echo_later(x: object) -> object:
    """Give it back, awaited."""
    ...

@host(timeout=30)
def wait() -> None:
    """Never answered, unless the test says so."""
    ...

@host()
def refuse(text: str) -> None:
    """Refused with this text."""
    ...

@host()
def finish() -> None:
    """The action ends here."""
    ...

@host()
def give_bytes(n: int) -> bytes:
    """So many bytes."""
    ...

def twice(x):
    return [echo(x), echo(x)]
''',
)


@dataclass
class Toolbox:
    """The host's half of the kit."""

    calls: list[GuestCall] = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a call of `wait` is held."""
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a held call was given up."""

    async def __call__(self, call: GuestCall) -> GuestReply:
        self.calls.append(call)
        match call.name:
            case "echo" | "echo_later":
                return GuestReply(ok=True, value=call.args.get("x"))
            case "give_bytes":
                size = call.args["n"]
                return GuestReply(ok=True, blob=bytes(size if isinstance(size, int) else 0))
            case "refuse":
                return GuestReply(ok=False, error=str(call.args.get("text")))
            case "finish":
                return GuestReply(ok=True, end_action=True)
            case "wait":
                return await self._hold()
        return GuestReply(ok=False, error=f"no tool named {call.name!r:.50}")

    async def _hold(self) -> GuestReply:
        self.waiting.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return GuestReply(ok=True, value="answered")


def spec(*, seed: int = 0, limits: Limits | None = None) -> SessionSpec:
    """What the tests' sessions are opened for. A short grace, since some are stubborn."""
    limits = limits or Limits(grace_seconds=0.5, action_seconds=30)
    return SessionSpec("run-1", "step-1", 1, limits=limits, modules=(KIT,), seed=seed)


@asynccontextmanager
async def opened(
    launcher: Launcher, tools: Toolbox, the_spec: SessionSpec | None = None
) -> AsyncIterator[Session]:
    """A session for as long as the block lasts."""
    session = await launcher.open(the_spec or spec(), tools)
    try:
        yield session
    finally:
        await session.close()


class Running:
    """An action under way that has printed the word "on"."""

    def __init__(self, session: Session, code: str, timeout: float | None = None) -> None:
        self._said = ""
        self._on = asyncio.Event()
        self.task = asyncio.create_task(
            session.run(code, timeout=timeout, on_output=self._hear), name="action"
        )

    def _hear(self, stream: str, text: str) -> None:
        self._said += text
        if "on" in self._said:
            self._on.set()

    async def begun(self) -> None:
        """Wait until it has said so; an action that ended before is an error of the test."""
        said = asyncio.create_task(self._on.wait())
        await asyncio.wait({said, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if not self._on.is_set():
            said.cancel()
            raise AssertionError(f"it ended before it began: {self.task.result()}")

    async def result(self) -> ActionResult:
        async with asyncio.timeout(30):
            return await self.task


class PeakMemory:
    """How far this process's memory rises above where it stands now; Linux only."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the mark of the peak begins here
        self._before = self._peak()

    @staticmethod
    def _peak() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    @property
    def grown(self) -> int:
        """Bytes, at the worst moment since it was made."""
        return self._peak() - self._before


async def works(session: Session) -> None:
    """The next action is right, whatever came before."""
    async with asyncio.timeout(30):
        result = await session.run("1+1")
    assert (result.status, result.value) == ("ok", "2"), result
