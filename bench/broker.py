"""Measures what the tools cost on the host: `python -m bench.broker` from the root of a checkout.

Everything runs on loopback. Figures are medians in milliseconds, and ratios within one run.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpcore

from planner_app.broker.addresses import AllowedHosts
from planner_app.broker.broker import Broker
from planner_app.broker.catalogue import load_modules
from planner_app.broker.fetcher import WebFetcher
from planner_app.broker.guard import GuardedBackend, SystemResolver
from planner_app.broker.port import Fetched, Hit, NetPolicy, NewSource, SearchQuery
from planner_app.broker.reader import ChildReader
from planner_app.broker.standalone import StandaloneContext
from planner_app.domain.citations import find_quote

ROOT = Path(__file__).parents[1]
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


class NoSearch:
    """Finds nothing."""

    async def search(self, query: SearchQuery) -> tuple[Hit, ...]:
        return ()

    async def close(self) -> None:
        """Nothing is held."""


async def anywhere(url: str) -> None:
    """Lets every request go."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(PAGE)
    await writer.drain()
    writer.close()


async def median_ms(times: int, work: Callable[[], Awaitable[object]]) -> float:
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        spans.append((time.perf_counter() - began) * 1000)
    return statistics.median(spans)


async def fetching() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    allowed = AllowedHosts.parse((f"localhost:{port}",))
    guarded = WebFetcher(GuardedBackend(SystemResolver(), allowed), allowed=allowed)
    url = f"http://localhost:{port}/"
    plain = httpcore.AsyncConnectionPool(max_keepalive_connections=0)
    for _ in range(20):
        await guarded.get(url, anywhere, 1000)
        await plain.request("GET", url)
    ours = await median_ms(200, lambda: guarded.get(url, anywhere, 1000))
    theirs = await median_ms(200, lambda: plain.request("GET", url))
    print(f"fetch, guarded {ours:.2f} ms, plain httpcore {theirs:.2f} ms: {ours / theirs:.2f} x")
    await guarded.close()
    await plain.aclose()
    server.close()


async def reading() -> None:
    paragraph = "<p>The tower was finished in 1889 and is <a href=/h>330 metres</a> high, they say."
    html = f"<html><title>T</title><article>{paragraph * 300}</article>".encode()
    page = Fetched("https://example.org/", "text/html", html)
    reader = ChildReader()
    cold = await median_ms(1, lambda: reader.read(page))
    warm = await median_ms(20, lambda: reader.read(page))
    print(f"read an article of {len(html) // 1000} kB: first {cold:.0f} ms, then {warm:.1f} ms")
    await reader.close()


async def calling(folder: Path) -> None:
    ctx = StandaloneContext(NetPolicy(), folder)
    text = "\f".join(f"page {n} " + "some words of a long text " * 800 for n in range(50))
    now = datetime.now(UTC)
    ctx.add_source(NewSource("page", "T", "u", b"", text, "text/plain", now, weak=False))
    modules = load_modules([], [], bundled=ROOT / "tools")
    broker = Broker(
        modules, NoSearch(), WebFetcher(GuardedBackend(SystemResolver())), ChildReader()
    )
    short = await median_ms(500, lambda: broker.call("search", {"query": "x"}, ctx))
    cite = {"source_id": 1, "quote": "page 49 some words"}
    long = await median_ms(20, lambda: broker.call("cite", cite, ctx))
    print(f"call with nothing to do {short:.3f} ms, cite in {len(text) / 1e6:.1f} MB {long:.0f} ms")


def quoting() -> None:
    for name, unit in (
        ("plain", "some plain words "),
        ("marked", "**a** \u201cb\u201d \u2013 c\n"),
    ):
        rates = []
        for size in (250_000, 1_000_000):
            text = unit * (size // len(unit))
            began = time.perf_counter()
            assert find_quote(text, "words that are not there") is None
            rates.append(size / (time.perf_counter() - began) / 1e6)
        print(f"find_quote, {name}: {rates[0]:.1f} and {rates[1]:.1f} MB/s at 0.25 and 1 MB")


def main() -> None:
    """Print the figures."""
    asyncio.run(fetching())
    asyncio.run(reading())
    asyncio.run(calling(ROOT))
    quoting()


if __name__ == "__main__":
    sys.exit(main())
