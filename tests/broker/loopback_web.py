"""A small web on loopback and the broker pointed at it; nothing here leaves the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from planner_app.broker.addresses import AllowedHosts, blocked_reason
from planner_app.broker.fetcher import WebFetcher

BUNDLED_TOOLS = Path(__file__).parents[2] / "tools"
Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def response(
    body: bytes = b"", status: str = "200 OK", *, length: bool = True, **headers: str
) -> bytes:
    """The bytes of an HTTP response; header names with underscores for dashes."""
    lines = [f"HTTP/1.1 {status}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(to: str, status: str = "302 Found") -> bytes:
    """A redirect."""
    return response(b"", status, location=to)


@dataclass
class LoopbackSite:
    """Answers by path."""

    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """The heads of the requests, as they came."""
    port: int = 0

    def url(self, path: str, host: str = "site.test") -> str:
        """An address of this site."""
        return f"http://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [head.split(" ", 2)[1] for head in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.requests.append(head)
            answer = self.answers.get(head.split(" ", 2)[1], response(b"", "404 Not Found"))
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client went away, which some tests are about
        finally:
            writer.close()


@dataclass
class ScriptedResolver:
    """Names of the test, and how often each was looked up."""

    names: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.names:
            if host.replace(".", "").isdigit() or ":" in host:
                return [host]
            raise OSError("Name or service not known")
        return self.names[host]

    def close(self) -> None:
        """Nothing is held."""


def loopback_is_public(address: str) -> str | None:
    """The real rule, but for this test's own server."""
    return None if address == "127.0.0.1" else blocked_reason(address)


class AnyPort(AllowedHosts):
    """Lets the fetcher use the site's port; the guard's rule on addresses is not touched."""

    def permits(self, host: str, port: int) -> bool:
        return True


MakeFetcher = Callable[..., WebFetcher]


async def anywhere(url: str) -> None:
    """A policy that lets every request go."""
