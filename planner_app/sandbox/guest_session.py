"""A session over a sandbox's stream: sends requests, sorts what comes back, notices its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from planner_app.domain.errors import EngineMissing, SandboxError
from planner_app.sandbox.calls import ToolCalls
from planner_app.sandbox.collect import (
    ActionCollector,
    Collector,
    ExportCollector,
    Nothing,
    OnePiece,
)
from planner_app.sandbox.limits import Limits
from planner_app.sandbox.session import (
    JSON,
    ActionResult,
    BindFailed,
    Exported,
    GuestError,
    OnOutput,
    SessionClosed,
    SessionSpec,
    ToolHandler,
)
from planner_app.sandbox.session_files import SessionFiles
from planner_app.sandbox.stream import Stream
from planner_app.sandbox.transfers import Transfers
from planner_app.sandbox.watchdog import Watchdog
from planner_app.sandbox.wire import (
    PIECE,
    PROTOCOL,
    Frame,
    FrameParser,
    WireError,
    number_of,
    pack,
    text_of,
)

log = logging.getLogger(__name__)

START_SECONDS = 60.0
REQUEST_SECONDS = 60.0
"""For requests that are no actions: bind, export, configure."""
MAX_CODE_BYTES = 512 * 1024
"""One action. Compiling takes some 400 bytes of memory for each byte of dense code, and a longer
one would not end in an error but in the loss of the session."""
BYE_SECONDS = 1.0
SLACK_SECONDS = 15.0
"""How long after the guest's own clock the host's clock ends an operation."""
MAX_UNASKED = 10_000
"""Frames for requests that are over, since the latest request: no guest of ours says so many."""
JOB_FRAMES = frozenset({"chunk", "credit", "done", "failed", "files"})


@dataclass(slots=True)
class _Operation:
    """The request that the worker is busy with."""

    number: int
    collector: Collector
    result: asyncio.Future[Frame]
    watchdog: Watchdog
    is_action: bool


class GuestSession(SessionFiles):
    """Implements `Session` over any stream. `end_sandbox` ends what is at its other end.

    It raises EngineMissing when what holds the sandbox is not there any more.
    """

    def __init__(
        self, stream: Stream, where: str, end_sandbox: Callable[[], Awaitable[None]]
    ) -> None:
        self.generation = 0
        self.where = where
        self.engine_lost = False
        self._stream = stream
        self._end_sandbox = end_sandbox
        self._limits = Limits()
        self._turn = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._operation: _Operation | None = None
        self._last = 0
        self._unasked = 0
        self._dead = ""
        self._loss = ""
        self._greeted = False
        self._ready = asyncio.Event()
        self._calls: ToolCalls | None = None
        super().__init__(Transfers(self._send))
        self._reader = asyncio.create_task(self._read(), name=f"sandbox {self.where}")
        self._closing: asyncio.Task[None] | None = None

    # -- beginning and end

    async def start(self) -> None:
        """Wait until the guest is ready. Raises SandboxError."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            self._die("it did not get ready in time")
        if self._dead:
            raise self._closed_error()

    async def configure(self, spec: SessionSpec, tools: ToolHandler) -> None:
        """Make it the session of `spec`. Raises SandboxError for a tool module that fails.

        May be called before the guest is ready: the request waits for it on the stream.
        """
        self._limits = spec.limits
        self._calls = ToolCalls(tools, self._send)
        message: dict[str, JSON] = {
            "t": "configure",
            "seed": spec.seed,
            "output_bytes": spec.limits.output_bytes,
            "tail_bytes": spec.limits.tail_bytes,
            "result_chars": spec.limits.result_chars,
            "modules": [{"name": m.name, "source": m.source} for m in spec.modules],
        }
        async with self._turn:
            try:
                seconds = min(REQUEST_SECONDS, spec.limits.action_seconds)
                result = await self._request(message, b"", Nothing(), seconds)
            except ValueError as error:
                raise SandboxError(f"the tool modules cannot be sent: {error}") from None
        if self._dead:
            raise self._closed_error()
        if result.get("status") != "ok":
            raise SandboxError(f"a tool module cannot be loaded: {_complaint(result)}")

    @property
    def alive(self) -> bool:
        return not self._dead

    @property
    def gone(self) -> str:
        """See Session.gone."""
        return self._dead

    @property
    def ended(self) -> bool:
        """Nothing of it is left: sandbox, tasks and stream are gone."""
        return self._closing is not None and self._closing.done()

    async def close(self) -> None:
        """End the sandbox and wait until it is gone."""
        if not self._dead:
            try:
                async with asyncio.timeout(BYE_SECONDS):
                    await self._send(pack({"t": "bye"}))
            except (TimeoutError, SessionClosed):
                pass  # it ends by force
            self._die("it was closed")
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _clear_away(self) -> None:
        """After its death, however that came: end the tool calls, the reader and the sandbox."""
        if self._calls is not None:
            await self._calls.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        try:
            await self._end_sandbox()
        except EngineMissing as error:
            log.warning("%s", error)  # its containers end without it, or when it is back
            self.engine_lost = True

    def _die(self, why: str) -> None:
        """The sandbox is lost: tell everybody who waits for it."""
        if self._dead:
            return
        self._dead = why
        self._stream.close()
        operation = self._operation
        if operation is not None and not operation.result.done():
            operation.result.set_result({"status": "died", "why": why, "state_lost": True})
        self._transfers.fail_all(self._closed_error())
        if self._calls is not None:
            self._calls.cancel_all()
        self._ready.set()
        self._closing = asyncio.create_task(self._clear_away(), name=f"clear {self.where} away")

    def _closed_error(self) -> SessionClosed:
        what = "is gone" if self.generation else "did not start"
        return SessionClosed(f"the sandbox {what}: {self._dead}")

    # -- the stream

    async def _send(self, data: bytes) -> None:
        async with self._writing:
            if self._dead:
                raise self._closed_error()
            try:
                await self._stream.write(data)
            except OSError as error:
                self._die(f"its stream broke ({error})")
                raise self._closed_error() from None

    async def _read(self) -> None:
        parser = FrameParser()
        why = "reading it failed on the host"
        try:
            while data := await self._stream.read():
                for message, blob in parser.feed(data):
                    self._sort(message, blob, parser.json_size)
            why = "it ended, or its engine did"
        except WireError as error:
            why = f"it broke the protocol: {error}"
        except OSError as error:
            why = f"its stream broke ({error})"
        finally:
            said = self._stream.diagnosis()
            self._die(f"{why}; its last words: {said[-500:]}" if said else why)

    def _sort(self, message: Frame, blob: bytes, size: int) -> None:
        kind = message.get("t")
        if not isinstance(kind, str):
            raise WireError("a frame without a type")
        if kind == "hello":
            self._greet(message)
        elif not self._greeted:
            raise WireError("it did not say hello")
        elif kind == "ready":
            self._begin_generation(message)
        elif kind == "call":
            self._begin_call(message, size)
        elif kind == "cancel" and self._calls is not None:
            self._calls.cancel(number_of(message, "id"))
        elif kind in JOB_FRAMES:
            if not self._transfers.take(kind, message, blob):
                self._count_unasked()
        elif kind == "died":
            self._count_unasked()
            self._loss = text_of(message, "why", 500, "its process was lost")
        elif kind == "fatal":
            raise WireError(text_of(message, "why", 500, "it gave up"))
        else:
            self._sort_operation(kind, message, blob)

    def _greet(self, message: Frame) -> None:
        if self._greeted or message.get("protocol") != PROTOCOL:
            raise WireError("it speaks another version: build the image again")
        self._greeted = True

    def _begin_generation(self, message: Frame) -> None:
        generation = number_of(message, "generation")
        if generation is None or generation <= self.generation:
            raise WireError("generations out of order")
        self.generation = generation
        self._ready.set()

    def _begin_call(self, message: Frame, size: int) -> None:
        if self._calls is None:
            raise WireError("a tool call before anything was run")
        operation = self._operation
        ours = operation is not None and number_of(message, "op") == operation.number
        action = operation.number if ours and operation and operation.is_action else None
        clock = operation.watchdog if ours and operation else None
        self._calls.begin(message, size, action, clock)

    def _sort_operation(self, kind: str, message: Frame, blob: bytes) -> None:
        operation = self._operation
        number = number_of(message, "id")
        if operation is None or number != operation.number or operation.result.done():
            if number is None or not 0 <= number <= self._last:
                raise WireError(f"an unexpected frame {kind[:50]!r}")
            self._count_unasked()  # late words of an operation that is over
            return
        if kind == "result":
            operation.result.set_result(message)
        else:
            operation.collector.take(kind, message, blob)

    def _count_unasked(self) -> None:
        self._unasked += 1
        if self._unasked > MAX_UNASKED:
            raise WireError("frames without end that nobody asked for")

    # -- operations

    async def _request(
        self,
        message: Mapping[str, JSON],
        blob: bytes,
        collector: Collector,
        seconds: float,
        *,
        is_action: bool = False,
    ) -> Frame:
        """Send a request and wait for its result. The caller holds the turn."""
        if self._dead:
            raise self._closed_error()
        self._last += 1
        self._unasked = 0
        grace = self._limits.grace_seconds
        slack = SLACK_SECONDS if self.generation else START_SECONDS
        watchdog = Watchdog(seconds + grace + slack, lambda: self._die("it did not answer in time"))
        result: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        operation = _Operation(self._last, collector, result, watchdog, is_action)
        self._operation = operation
        try:
            request = {**message, "id": self._last, "timeout": seconds, "grace": grace}
            try:
                await self._send(pack(request, blob))
                return await asyncio.shield(result)
            except SessionClosed:
                return await result  # it died while we were sending: the result says so
            except asyncio.CancelledError:
                await self._settle(operation)
                raise
        finally:
            watchdog.stop()
            self._operation = None

    async def _settle(self, operation: _Operation) -> None:
        """The caller has gone away: stop the operation, and wait until it has stopped."""
        if not self.generation:
            self._die("it was given up before it was ready")
            return
        try:
            async with asyncio.timeout(self._limits.grace_seconds + SLACK_SECONDS):
                await self._interrupt(operation)
                self._note_loss(await asyncio.shield(operation.result))
        except (TimeoutError, asyncio.CancelledError):
            self._die("it did not stop when its action was cancelled")
        except SessionClosed:
            return  # dead is stopped, too

    async def _interrupt(self, operation: _Operation) -> None:
        await self._send(pack({"t": "interrupt", "id": operation.number}))

    async def run(
        self, code: str, *, timeout: float | None = None, on_output: OnOutput | None = None
    ) -> ActionResult:
        """See Session.run."""
        text = code.encode("utf-8", "surrogatepass")
        seconds = self._limits.action_seconds if timeout is None else timeout
        async with self._turn:
            if len(text) > MAX_CODE_BYTES:
                return _too_long(len(text))
            collector = ActionCollector(self._limits, on_output)
            loop = asyncio.get_running_loop()
            began = loop.time()
            message = {"t": "exec"}
            frame = await self._request(message, text, collector, seconds, is_action=True)
            result = collector.result(frame, (loop.time() - began) * 1000)
            loss, self._loss = self._loss, ""
            if loss:
                why = f"before this action the session was lost: {loss}"
                why = f"{result.why}; {why}" if result.why else why
                result = replace(result, state_lost=True, why=why)
            if collector.listener_error is not None:
                raise collector.listener_error
            return result

    async def interrupt(self) -> None:
        """See Session.interrupt."""
        operation = self._operation
        if operation is not None:
            await self._interrupt(operation)

    async def reset(self) -> None:
        """See Session.reset."""
        self._ready.clear()
        await self._send(pack({"t": "reset"}))
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            self._die("it did not come back from a reset")
        if self._dead:
            raise self._closed_error()

    # -- variables

    async def bind(self, values: Mapping[str, JSON]) -> None:
        """See Session.bind."""
        async with self._turn:
            for name, value in values.items():
                try:
                    result = await self._move({"t": "bind", "values": {name: value}})
                except ValueError as error:
                    raise BindFailed(f"{name} cannot be bound: {error}") from None
                self._check_bound(result)

    async def import_pickle(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """See Session.import_pickle."""
        async with self._turn:
            self._check_bound(await self._move({"t": "stage", "anew": True}))
            async for chunk in chunks:
                for start in range(0, len(chunk), PIECE):
                    piece = chunk[start : start + PIECE]
                    self._check_bound(await self._move({"t": "stage"}, piece))
            self._check_bound(await self._move({"t": "bind_pickle", "name": name}))

    async def export_pickle(self, name: str, max_bytes: int) -> AsyncIterator[bytes]:
        """See Session.export_pickle."""
        async with self._turn:
            request: dict[str, JSON] = {"t": "pickle", "name": name, "max_bytes": max_bytes}
            made = await self._move(request)
            self._check_bound(made)
            left = number_of(made, "bytes") or 0
            if not 0 <= left <= max_bytes:
                raise BindFailed(f"the pickle of {name} is larger than agreed")
            while left > 0:
                piece = OnePiece()
                self._check_bound(await self._move({"t": "take"}, b"", piece))
                if not 0 < len(piece.data) <= left:
                    raise BindFailed(f"the pickle of {name} did not come whole")
                left -= len(piece.data)
                yield piece.data

    async def _move(
        self, message: Mapping[str, JSON], blob: bytes = b"", collector: Collector | None = None
    ) -> Frame:
        """A request about variables. One that costs the process is told by the next action."""
        result = await self._request(message, blob, collector or Nothing(), REQUEST_SECONDS)
        self._note_loss(result)
        return result

    def _note_loss(self, result: Frame) -> None:
        """Of a request whose result is no action's: the next action tells it."""
        if result.get("state_lost") is True:
            self._loss = self._loss or _complaint(result)

    def _check_bound(self, result: Frame) -> None:
        if self._dead:
            raise self._closed_error()
        if result.get("status") != "ok":
            raise BindFailed(_complaint(result))

    async def export(self, names: Iterable[str]) -> dict[str, Exported]:
        """See Session.export."""
        wanted = tuple(dict.fromkeys(names))
        collector = ExportCollector(wanted)
        async with self._turn:
            result = await self._move({"t": "export", "names": list(wanted)}, b"", collector)
        if self._dead:
            raise self._closed_error()
        why = "" if result.get("status") == "ok" else _complaint(result)
        return collector.result(why)


def _complaint(result: Frame) -> str:
    if result.get("cause") == "timeout":
        return "it took too long"
    error = result.get("error")
    if isinstance(error, dict):
        told = text_of(error, "traceback", 2000) or text_of(error, "message", 2000)
        return told.strip() or "no reason given"
    why = text_of(result, "why", 500)
    return why or f"the session answered {result.get('status')!r:.50}"


def _too_long(size: int) -> ActionResult:
    message = (
        f"the action has {size:,} bytes of code, at most {MAX_CODE_BYTES:,} are accepted;"
        " write data to a workspace file and load it from there"
    )
    traceback = f"ActionTooLong: {message}\n"
    return ActionResult("error", error=GuestError("ActionTooLong", message, traceback))
