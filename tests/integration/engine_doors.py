"""Other ways to the engine that is here: plain TCP, and TLS with certificates of our own.

Each is a thin door in front of the engine's own unix socket, in the test's own process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Door:
    """A loopback address that leads to the engine's socket."""

    target: str
    """Path of the engine's socket."""
    port: int = 0
    carried: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self.target)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._carry(source, sink))
            self.carried.add(task)
            task.add_done_callback(self.carried.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        sink.close()


@contextlib.asynccontextmanager
async def door(target: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Door]:
    """A door that is open for as long as the block lasts."""
    opened = Door(target)
    server = await asyncio.start_server(opened.serve, "127.0.0.1", 0, ssl=tls)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
        for task in list(opened.carried):
            task.cancel()
        await asyncio.gather(*opened.carried, return_exceptions=True)


def _openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    """An authority, a server's certificate for 127.0.0.1, and a client's, all by one key type."""
    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "2", "-subj", "/CN=test authority", "-keyout", "ca-key.pem", "-out", "ca.pem",
        folder=folder,
    )  # fmt: skip
    for who, files in (("server", ("server-key.pem", "server.pem")), ("", ("key.pem", "cert.pem"))):
        key, certificate = files
        names = "subjectAltName=IP:127.0.0.1" if who else "extendedKeyUsage=clientAuth"
        (folder / "names").write_text(names)
        _openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/CN={who or 'client'}", "-keyout", key, "-out", "request",
            folder=folder,
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
            "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", certificate,
            folder=folder,
        )  # fmt: skip


def server_tls(folder: Path) -> ssl.SSLContext:
    """As `dockerd --tlsverify`: who has no certificate of the authority stays outside."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context
