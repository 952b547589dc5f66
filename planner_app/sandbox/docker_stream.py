"""A container's stdio over the engine's attach request: unix, tcp and TLS alike, on asyncio.

The engine sends stdout and stderr in one stream, each chunk behind a header of eight bytes
(Docker Engine API, "Attach to a container", stream format).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from struct import Struct
from urllib.parse import urlsplit

from planner_app.domain.errors import EngineMissing
from planner_app.sandbox.engine_endpoint import Endpoint
from planner_app.sandbox.stream import KEPT_DIAGNOSIS, READ_SIZE
from planner_app.sandbox.wire import WireError

HEADER = Struct(">B3xI")
STDERR = 2
CONNECT_SECONDS = 10.0


class DockerStream:
    """stdin, stdout and stderr of one container. Attach before the container starts."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._demux = Demultiplexer()
        self._said = b""

    @classmethod
    async def attach(cls, endpoint: Endpoint, container: str) -> DockerStream:
        """Attach to a created container. Raises EngineMissing when the engine does not answer."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await _connect(endpoint)
                query = "stream=1&stdin=1&stdout=1&stderr=1"
                writer.write(
                    f"POST /containers/{container}/attach?{query} HTTP/1.1\r\nHost: docker\r\n"
                    "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
                )
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            raise EngineMissing(
                f"the container engine at {endpoint.url} cannot be attached to ({error!r:.200})",
                "see: planner doctor",
            ) from error
        if not head.startswith((b"HTTP/1.1 101", b"HTTP/1.1 200")):
            writer.close()
            said = head.split(b"\r\n", 1)[0].decode("latin-1")
            raise EngineMissing(f"the container engine refused to attach ({said[:200]})")
        return cls(reader, writer)

    async def read(self) -> bytes:
        """Some bytes of the guest's stdout; empty at the end."""
        while data := await self._reader.read(READ_SIZE):
            out = bytearray()
            for kind, piece in self._demux.feed(data):
                if kind == STDERR:
                    self._said = (self._said + piece)[-KEPT_DIAGNOSIS:]
                else:
                    out += piece
            if out:
                return bytes(out)
        return b""

    async def write(self, data: bytes) -> None:
        """Send all of it; waits while the guest is slow."""
        self._writer.write(data)
        await self._writer.drain()

    def diagnosis(self) -> str:
        """The last of what the guest wrote to its stderr."""
        return self._said.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Cut the connection: the supervisor sees the end of its stdin and ends."""
        self._writer.close()


class Demultiplexer:
    """Takes the engine's headers out of the stream, however it is cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._kind = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(1 or 2, bytes) for stdout and stderr. Raises WireError for what is no such stream."""
        buffer = self._buffer
        buffer += data
        while buffer:
            if self._left == 0:
                if len(buffer) < HEADER.size:
                    return
                self._kind, self._left = HEADER.unpack_from(buffer)
                if self._kind > STDERR:
                    raise WireError("the engine's stream is not multiplexed")
                del buffer[: HEADER.size]
                continue
            size = min(self._left, len(buffer))
            piece = bytes(memoryview(buffer)[:size])
            del buffer[:size]
            self._left -= size
            yield self._kind, piece


async def _connect(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(endpoint.url)
    if parts.scheme == "unix":
        return await asyncio.open_unix_connection(parts.path, limit=READ_SIZE)
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise EngineMissing(
            f"an engine at {endpoint.url} cannot run sandboxes",
            "use a unix://, tcp:// or https:// address in DOCKER_HOST",
        )
    folder = endpoint.certificates
    context: ssl.SSLContext | None = None
    if folder is not None or parts.scheme == "https":
        context = ssl.create_default_context(cafile=str(folder / "ca.pem") if folder else None)
        if folder is not None:
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    port = parts.port or (2376 if context else 2375)
    return await asyncio.open_connection(parts.hostname, port, ssl=context, limit=READ_SIZE)
