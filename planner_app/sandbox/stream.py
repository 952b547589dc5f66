"""A sandbox's byte stream, however it is reached."""

from __future__ import annotations

import asyncio
from typing import Protocol

READ_SIZE = 1 << 18
KEPT_DIAGNOSIS = 8192


class Stream(Protocol):
    """Bytes to and from the guest's supervisor."""

    async def read(self) -> bytes:
        """Some bytes; empty at the end. Raises OSError, or WireError for broken framing."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of it; waits while the other side is slow. Raises OSError."""
        ...

    def diagnosis(self) -> str:
        """The last of what the guest wrote to its stderr."""
        ...

    def close(self) -> None:
        """Cut the connection now."""
        ...


class PipeStream:
    """stdin and stdout of a local process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("a guest process needs pipes")
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._said = b""
        self._listener = asyncio.create_task(self._listen(), name="guest stderr")

    async def _listen(self) -> None:
        while data := await self._err.read(4096):
            self._said = (self._said + data)[-KEPT_DIAGNOSIS:]

    async def read(self) -> bytes:
        return await self._out.read(READ_SIZE)

    async def write(self, data: bytes) -> None:
        self._in.write(data)
        await self._in.drain()

    def diagnosis(self) -> str:
        return self._said.decode("utf-8", "replace").strip()

    def close(self) -> None:
        self._in.close()
        self._listener.cancel()
