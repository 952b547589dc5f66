"""Moves files in and out of the workspace in pieces, with credit in both directions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing

from planner_app.sandbox.session import JSON, FileTooLarge, SessionClosed, TransferFailed
from planner_app.sandbox.wire import PIECE, Frame, WireError, number_of, pack, text_of

WINDOW = 4 << 20
"""Bytes that may be on their way in one direction."""
SILENCE_SECONDS = 60.0
LEAST_BYTES_PER_SECOND = 64 << 10
"""What must move, or the same patience wears out: a drip does not keep a transfer going."""
ENTRY_BYTES = 1 << 10
"""What an entry of a list counts as."""

Send = Callable[[bytes], Awaitable[None]]


class Transfer:
    """One file job of the guest, seen from the host."""

    def __init__(self, number: int, *, of_one_file: bool) -> None:
        self.number = number
        self._of_one_file = of_one_file
        self.room = WINDOW
        """Bytes that may still be sent to the guest now."""
        self.done: Frame | None = None
        self.files: list[JSON] = []
        self._chunks: deque[bytes] = deque()
        self._queued = 0
        self._news = asyncio.Event()
        self._patience = SILENCE_SECONDS
        self._failure: Exception | None = None

    def take(self, kind: str, message: Frame, blob: bytes) -> None:
        """A frame of the guest about this job. Raises WireError."""
        moved = 0
        if kind == "chunk":
            self._chunks.append(blob)
            self._queued += len(blob)
            if self._queued > WINDOW + PIECE or not blob:
                raise WireError("more file data than agreed, or none")
            moved = len(blob)
        elif kind == "files":
            files = message.get("files")
            if not isinstance(files, list) or not files or len(self.files) > 10_000:
                raise WireError("a bad list of files")
            self.files.extend(files)
            moved = len(files) * ENTRY_BYTES
        elif kind == "credit":
            before = self.room
            self.room = min(WINDOW, self.room + max(0, number_of(message, "n") or 0))
            moved = self.room - before
        elif kind == "failed":
            self.fail(self._failure_of(message))
        else:
            self.done = message
        self._patience = min(SILENCE_SECONDS, self._patience + moved / LEAST_BYTES_PER_SECOND)
        self._news.set()

    def _failure_of(self, message: Frame) -> Exception:
        error = text_of(message, "error", 500, "the transfer failed")
        kind = message.get("kind") if self._of_one_file else ""
        if kind == "missing":
            return FileNotFoundError(error)
        return FileTooLarge(error) if kind == "large" else TransferFailed(error)

    def fail(self, error: Exception) -> None:
        """Nothing more will come."""
        self._failure = self._failure or error
        self._news.set()

    @property
    def ended(self) -> bool:
        return self.done is not None or self._failure is not None

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def news(self) -> None:
        """Wait for the next frame. Raises TransferFailed after a minute of silence, or of drips."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._patience):
                await self._news.wait()
        except TimeoutError:
            raise TransferFailed("the sandbox stopped in the middle of a file transfer") from None
        self._patience -= loop.time() - began
        self._news.clear()

    def pop(self) -> bytes | None:
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._queued -= len(chunk)
        return chunk


class Transfers:
    """The file jobs of one session."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._jobs: dict[int, Transfer] = {}
        self._last = 0
        self._places = asyncio.Semaphore(4)

    def take(self, kind: str, message: Frame, blob: bytes) -> bool:
        """A frame about some job; False for one of a job that is over, which is left out."""
        number = number_of(message, "id")
        if number is None or not 0 < number <= self._last:
            raise WireError("a file transfer that nobody asked for")
        job = self._jobs.get(number)
        if job is not None:
            job.take(kind, message, blob)
        return job is not None

    async def receive(self, request: Mapping[str, JSON]) -> AsyncIterator[bytes]:
        """The data of a job that sends; the job is stopped when the reader stops early."""
        async with self._places:
            job = await self._start(request)
            try:
                await self._send(pack({"t": "credit", "id": job.number, "n": WINDOW}))
                while True:
                    chunk = job.pop()
                    if chunk is not None:
                        await self._send(pack({"t": "credit", "id": job.number, "n": len(chunk)}))
                        yield chunk
                        continue
                    job.check()
                    if job.done is not None:
                        return
                    await job.news()
            finally:
                await self._finish(job)

    async def deliver(self, request: Mapping[str, JSON], chunks: AsyncIterator[bytes]) -> Frame:
        """Feed a job with data and wait until it is done with it; its last words."""
        async with self._places:
            job = await self._start(request)
            try:
                async for chunk in chunks:
                    for start in range(0, len(chunk), PIECE):
                        await self._feed(job, chunk[start : start + PIECE])
                await self._send(pack({"t": "eof", "id": job.number}))
                while job.done is None:
                    job.check()
                    await job.news()
                return job.done
            finally:
                await self._finish(job)

    async def _feed(self, job: Transfer, piece: bytes) -> None:
        while job.room < len(piece):
            job.check()
            await job.news()
        job.check()
        job.room -= len(piece)
        await self._send(pack({"t": "chunk", "id": job.number}, piece))

    async def listing(self) -> list[JSON]:
        """The entries of a list job."""
        async with self._places:
            job = await self._start({"kind": "list"})
            try:
                while job.done is None:
                    job.check()
                    await job.news()
                return job.files
            finally:
                await self._finish(job)

    async def _start(self, request: Mapping[str, JSON]) -> Transfer:
        self._last += 1
        job = Transfer(self._last, of_one_file=request.get("kind") == "read")
        self._jobs[job.number] = job
        await self._send(pack({**request, "t": "job", "id": job.number}))
        return job

    async def _finish(self, job: Transfer) -> None:
        del self._jobs[job.number]
        if not job.ended:
            try:
                await self._send(pack({"t": "stop", "id": job.number}))
            except (OSError, SessionClosed):
                return  # the sandbox is gone, and the job with it

    def fail_all(self, error: Exception) -> None:
        for job in self._jobs.values():
            job.fail(error)


async def collect(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    """All chunks in one. Raises FileTooLarge, whatever the guest promised."""
    data = bytearray()
    async with aclosing(chunks) as source:  # type: ignore[type-var]
        async for chunk in source:
            data += chunk
            if len(data) > max_bytes:
                raise FileTooLarge(f"more than {max_bytes:,} bytes")
    return bytes(data)


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """Bytes at hand as a stream."""
    view = memoryview(data)
    for start in range(0, len(data), PIECE):
        yield bytes(view[start : start + PIECE])
