"""Attaches to a container's stdio: an upgraded HTTP connection on asyncio streams.

Over a unix socket, TCP or TLS: the library's own stream speaks no TLS, and needs threads.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import Protocol
from urllib.parse import urlsplit

from planner_app.domain.errors import EngineMissing, SandboxError
from planner_app.sandbox.engine import Engine
from planner_app.sandbox.engine_client import DOCTOR, ENGINE_SECONDS, no_answer
from planner_app.sandbox.engine_endpoint import Endpoint
from planner_app.sandbox.stream import KEPT_DIAGNOSIS, READ_SIZE, Stream
from planner_app.sandbox.wire import WireError

HEAD_LIMIT = 1 << 20
QUERY = "stream=1&stdin=1&stdout=1&stderr=1"


class Demultiplexer:
    """Takes apart the engine's stream: an 8-byte header before each piece of stdout or stderr."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._is_error = False

    def feed(self, data: bytes) -> Iterator[tuple[bool, bytes]]:
        """Pieces with whether they are of stderr. Raises WireError."""
        at = 0
        while at < len(data):
            if self._left == 0:
                take = 8 - len(self._head)
                self._head += data[at : at + take]
                at += take
                if len(self._head) < 8:
                    return
                kind, size = self._head[0], struct.unpack_from(">I", self._head, 4)[0]
                if kind not in (0, 1, 2):
                    raise WireError("the engine's stream has no headers")
                self._head, self._left, self._is_error = b"", size, kind == 2
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            yield self._is_error, piece


class _Raw(Protocol):
    """The connection below: bytes as the engine sends them."""

    async def read(self) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class ContainerStream:
    """A container's stdin and stdout; its stderr is kept for diagnosis only."""

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw
        self._demultiplexer = Demultiplexer()
        self._said = b""

    async def read(self) -> bytes:
        while data := await self._raw.read():
            out = []
            for is_error, piece in self._demultiplexer.feed(data):
                if is_error:
                    self._said = (self._said + piece)[-KEPT_DIAGNOSIS:]
                else:
                    out.append(piece)
            if out:
                return out[0] if len(out) == 1 else b"".join(out)
        return b""

    async def write(self, data: bytes) -> None:
        await self._raw.write(data)

    def diagnosis(self) -> str:
        return self._said.decode("utf-8", "replace").strip()

    def close(self) -> None:
        self._raw.close()


class _Upgraded:
    """asyncio streams after the HTTP upgrade."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read_head(self) -> bytes:
        """The answer to the request, without what comes after it."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def read(self) -> bytes:
        return await self._reader.read(READ_SIZE)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


async def attach(engine: Engine, container: str) -> Stream:
    """The stdio of a container that is not started yet. Raises SandboxError, EngineMissing."""
    try:
        async with asyncio.timeout(ENGINE_SECONDS):
            return ContainerStream(await _upgrade(engine, container))
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        why = f"the sandbox cannot be attached to: {no_answer(error)}"
        raise EngineMissing(why, DOCTOR) from error


async def _connect(endpoint: Endpoint) -> _Upgraded:
    parts = urlsplit(endpoint.url)
    if parts.scheme == "unix":
        return _Upgraded(*await asyncio.open_unix_connection(parts.path, limit=HEAD_LIMIT))
    secure = endpoint.tls()
    port = parts.port or (2376 if secure else 2375)
    return _Upgraded(
        *await asyncio.open_connection(parts.hostname, port, ssl=secure, limit=HEAD_LIMIT)
    )


async def _upgrade(engine: Engine, container: str) -> _Upgraded:
    connection = await _connect(engine.endpoint)
    try:
        version = engine.client.api.api_version
        await connection.write(
            f"POST /v{version}/containers/{container}/attach?{QUERY} HTTP/1.1\r\n"
            "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        head = await connection.read_head()
        status = head.split(b" ", 2)[1:2]
        if status not in ([b"101"], [b"200"]):
            text = (await connection.read())[:300].decode("utf-8", "replace")
            raise SandboxError(f"the sandbox cannot be attached to: {' '.join(text.split())}")
    except BaseException:
        connection.close()
        raise
    return connection
