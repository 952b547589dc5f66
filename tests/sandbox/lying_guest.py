"""A guest made by the test: it says whatever the test wants, through a stream in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from planner_app.sandbox.guest_session import GuestSession
from planner_app.sandbox.limits import Limits
from planner_app.sandbox.session import GuestCall, GuestReply, SessionSpec
from planner_app.sandbox.wire import PROTOCOL, Frame, FrameParser, pack

HELLO: Frame = {"t": "hello", "protocol": PROTOCOL, "python": "3.13", "contained": True}
READY: Frame = {"t": "ready", "generation": 1, "pid": 2}

Answer = Callable[["LyingGuest", Frame], None]


class LyingGuest:
    """The other end of a session's stream. `answer` is called with each frame of the host."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self._parser = FrameParser()
        self.heard: list[Frame] = []
        self.closed = False
        self.words = ""
        self.say(HELLO)
        self.say(READY)

    def say(self, message: Frame, blob: bytes = b"") -> None:
        self._out.put_nowait(pack(message, blob))

    def raw(self, data: bytes) -> None:
        """Bytes that need be no frame; empty: the end."""
        self._out.put_nowait(data)

    async def read(self) -> bytes:
        return await self._out.get()

    async def write(self, data: bytes) -> None:
        if self.closed:
            raise BrokenPipeError("closed")
        for message, _ in self._parser.feed(data):
            self.heard.append(message)
            if message["t"] == "configure":
                self.say({"t": "result", "id": message["id"], "status": "ok"})
            elif message["t"] != "bye":
                self._answer(self, message)

    def diagnosis(self) -> str:
        return self.words

    def close(self) -> None:
        self.closed = True
        self._out.put_nowait(b"")


async def answer_true(call: GuestCall) -> GuestReply:
    return GuestReply(ok=True, value=True)


async def end_nothing() -> None:
    """There is no process to end."""


async def session_with(guest: LyingGuest) -> GuestSession:
    """A session that takes the guest for a real one."""
    session = GuestSession(guest, "a lie", end_nothing)
    await session.start()
    limits = Limits(grace_seconds=0.1)
    await session.configure(SessionSpec("run", "step", 1, limits), answer_true)
    return session
