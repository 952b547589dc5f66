"""Answers the guest's tool calls, each in a task that the session owns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from planner_app.sandbox.session import JSON, GuestCall, GuestReply, SessionClosed, ToolHandler
from planner_app.sandbox.wire import MAX_BLOB, Frame, WireError, number_of, pack

MAX_IN_FLIGHT = 64
"""The guest promises 32; one that sends many more is no guest of ours."""

MAX_IN_FLIGHT_BYTES = 4 << 20
"""The guest promises half of it; read into objects, JSON may take 25 times its size."""
MAX_NAME = 200
MAX_AT_WORK = 16
"""Handlers that work, or hold a reply that is not sent yet; further calls wait for their turn."""

Send = Callable[[bytes], Awaitable[None]]


class Hold(Protocol):
    """A clock that stands still while a handler works."""

    def hold(self) -> None: ...

    def release(self) -> None: ...


class ToolCalls:
    """The calls under way."""

    def __init__(self, handler: ToolHandler, send: Send) -> None:
        self._handler = handler
        self._send = send
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._sizes: dict[int, int] = {}
        """Of the calls that the guest has not given up; a handler may take a while to stop."""
        self._at_work = asyncio.Semaphore(MAX_AT_WORK)
        self._replying = asyncio.Lock()
        self._last = 0

    def begin(self, message: Frame, size: int, action: int | None, clock: Hold | None) -> None:
        """A call of `size` bytes of JSON has come. Raises WireError for a malformed one."""
        call, name, args = number_of(message, "id"), message.get("name"), message.get("args")
        if call is None or call <= self._last or len(self._sizes) >= MAX_IN_FLIGHT:
            raise WireError("a tool call out of order, or too many")
        if not isinstance(name, str) or len(name) > MAX_NAME or not isinstance(args, dict):
            raise WireError("a tool call without name or arguments")
        if sum(self._sizes.values()) + size > MAX_IN_FLIGHT_BYTES:
            raise WireError("more data in tool calls than agreed")
        self._sizes[call] = size
        self._last = call
        if clock is not None:
            clock.hold()
        request = GuestCall(call, action, name, args)
        task = asyncio.create_task(self._answer(request), name=f"tool call {call}")
        self._tasks[call] = task
        task.add_done_callback(lambda done: self._ended(call, clock, done))

    def _ended(self, call: int, clock: Hold | None, task: asyncio.Task[None]) -> None:
        del self._tasks[call]
        self._sizes.pop(call, None)
        if clock is not None:
            clock.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            loop = task.get_loop()
            context = {"message": "a tool's handler failed", "exception": error, "task": task}
            loop.call_exception_handler(context)

    async def _answer(self, request: GuestCall) -> None:
        async with self._at_work:
            try:
                reply = await self._handler(request)
            except Exception:  # a bug of ours: the guest must not wait, and we must hear of it
                await self._reply(
                    request.id, GuestReply(False, error="the tool failed on the host")
                )
                raise
            await self._reply(request.id, reply)

    async def _reply(self, call: int, reply: GuestReply) -> None:
        async with self._replying:  # so that large replies are not all written out in memory
            try:
                data = _frame(call, reply)
            except (ValueError, TypeError, RecursionError):
                error = f"the result is too large or not JSON (at most {MAX_BLOB:,} bytes)"
                data = _frame(call, GuestReply(False, error=error))
            try:
                await self._send(data)
            except (OSError, SessionClosed):
                return  # the session ends, and says so itself

    def cancel(self, call: int | None) -> None:
        """The guest has given a call up."""
        task = self._tasks.get(call) if call is not None else None
        if call is not None and task is not None:
            self._sizes.pop(call, None)
            task.cancel()

    async def close(self) -> None:
        """Cancel all handlers and wait until they have stopped."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cancel_all(self) -> None:
        """The guest is gone: nobody waits for the answers."""
        for task in list(self._tasks.values()):
            task.cancel()


def _frame(call: int, reply: GuestReply) -> bytes:
    message: dict[str, JSON] = {"t": "reply", "id": call, "ok": reply.ok}
    if reply.ok:
        message["value"] = None if reply.blob else reply.value
    else:
        message["error"] = reply.error[:20_000]
    if reply.end_action:
        message["end"] = True
    return pack(message, reply.blob)
