"""Gets the bytes behind an address over the guarded network: bounded in time, size and redirects.

It speaks HTTP through httpcore alone. So there are no proxies from the environment, no cookies,
no credentials, and no second reading of the address.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import httpcore

from planner_app import __version__
from planner_app.broker.addresses import AllowedHosts, WebAddress, join_url, parse_url
from planner_app.broker.guard import CONNECT_S, GuardedBackend, SystemResolver, ssl_context
from planner_app.broker.port import Fetched, HopCheck, ToolFailed, ToolRefused
from planner_app.broker.unpacking import ACCEPTED, unpacker_for

USER_AGENT = f"planner-app/{__version__} (reads pages for a person who asked for them)"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one fetch, redirects included."""

    total_s: float = 25.0
    """Seconds on the network in all; time that a person takes to approve is not counted."""
    idle_s: float = 10.0
    """Seconds that a single read may take."""
    wire_bytes: int = 32 * 2**20
    """Bytes received at most, compressed or not."""
    redirects: int = 5
    """Redirects followed at most."""


class WebFetcher:
    """The web as a page store."""

    def __init__(
        self,
        backend: GuardedBackend,
        *,
        allowed: AllowedHosts | None = None,
        tls: ssl.SSLContext | None = None,
        limits: FetchLimits | None = None,
    ) -> None:
        """`allowed` must be what the backend was given: it lifts the rule about ports."""
        self._allowed = allowed
        self._limits = limits or FetchLimits()
        self._backend = backend
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl_context(),
            max_connections=20,
            max_keepalive_connections=0,  # a kept connection would outlive its check
            http1=True,
            http2=False,
            network_backend=backend,
        )

    async def get(self, url: str, allow: HopCheck, max_bytes: int) -> Fetched:
        """Fetch. `allow` is asked before every hop."""
        address = parse_url(url, self._allowed)
        left = self._limits.total_s
        for _ in range(self._limits.redirects + 1):
            await allow(str(address))
            began = time.monotonic()
            outcome = await self._hop(address, max_bytes, left)
            left -= time.monotonic() - began
            if isinstance(outcome, Fetched):
                return outcome
            if address.scheme == "https" and outcome.scheme == "http":
                raise ToolRefused("address", f"{address} redirects from https to http: {outcome}")
            address = outcome
        raise ToolFailed("http", f"{url} redirects more than {self._limits.redirects} times")

    async def close(self) -> None:
        """Close what is open."""
        await self._pool.aclose()
        self._backend.close()

    async def _hop(self, address: WebAddress, max_bytes: int, left: float) -> Fetched | WebAddress:
        """One request: the page, or the address that it redirects to."""
        try:
            async with asyncio.timeout(left), self._response(address) as response:
                location = _header(response, b"location")
                if response.status in REDIRECTS and location:
                    return parse_url(join_url(address, location), self._allowed)
                if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                    raise _status_error(address, response)
                return await self._body(address, response, max_bytes)
        except (TimeoutError, httpcore.TimeoutException):
            why = f"{address.host} did not answer in time ({self._limits.total_s:.0f} s in all)"
            raise ToolFailed("timeout", why, retryable=True) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
            why = f"cannot fetch {address}: {str(error) or type(error).__name__}"
            raise ToolFailed("network", why, retryable=True) from error

    @asynccontextmanager
    async def _response(self, address: WebAddress) -> AsyncIterator[httpcore.Response]:
        idle = self._limits.idle_s
        request = httpcore.Request(
            "GET",
            httpcore.URL(
                scheme=address.scheme.encode(),
                host=address.host.encode(),
                port=address.port,
                target=address.target.encode(),
            ),
            headers=[
                (b"Host", address.authority.encode()),
                (b"User-Agent", USER_AGENT.encode()),
                (b"Accept", b"text/html,application/pdf,application/json,text/*;q=0.9,*/*;q=0.5"),
                (b"Accept-Language", b"en;q=0.8,*;q=0.5"),
                (b"Accept-Encoding", ACCEPTED.encode()),
                (b"Connection", b"close"),
            ],
            extensions={
                "timeout": {"connect": CONNECT_S, "read": idle, "write": idle, "pool": idle}
            },
        )
        response = await self._pool.handle_async_request(request)
        try:
            yield response
        finally:
            await response.aclose()

    async def _body(
        self, address: WebAddress, response: httpcore.Response, max_bytes: int
    ) -> Fetched:
        content, truncated = await self._read(response, max_bytes)
        return Fetched(
            url=str(address),
            content_type=_header(response, b"content-type"),
            content=content,
            truncated=truncated,
            disposition=_header(response, b"content-disposition"),
        )

    async def _read(self, response: httpcore.Response, max_bytes: int) -> tuple[bytes, bool]:
        """The content, and whether it was cut."""
        unpacker = unpacker_for(_header(response, b"content-encoding"))
        content, wire = bytearray(), 0
        async for piece in response.aiter_stream():
            wire += len(piece)
            content += unpacker.feed(piece, max_bytes + 1 - len(content))
            if len(content) > max_bytes or wire > self._limits.wire_bytes:
                return bytes(content[:max_bytes]), True
        return bytes(content), False


def _status_error(address: WebAddress, response: httpcore.Response) -> ToolFailed:
    status = response.status
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "no standard status"
    wait = _header(response, b"retry-after")
    hint = f"it asks to wait {wait[:40]}" if wait else ""
    why = f"{address} answered {status} {phrase}"
    return ToolFailed("http", why, hint, retryable=status in _RETRYABLE)


def _header(response: httpcore.Response, name: bytes) -> str:
    """The header's first value; empty if there is none. Bytes are UTF-8, else Latin-1."""
    for key, value in response.headers:
        if key.lower() == name:
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                return value.decode("latin-1")
    return ""


def open_fetcher(
    allowed: AllowedHosts | None = None, limits: FetchLimits | None = None
) -> WebFetcher:
    """The real web, with what a person allowed beside it."""
    return WebFetcher(GuardedBackend(SystemResolver(), allowed), allowed=allowed, limits=limits)
