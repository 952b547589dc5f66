"""Connects to public addresses only, and to the very address that was checked.

A check before an ordinary request is beaten by a name that answers differently the second time.
Here a name is resolved once, every address of the answer is checked, the connection goes to a
checked one, and the peer is looked at again. TLS still verifies the name.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Protocol

import httpcore

from planner_app.broker.addresses import AllowedHosts, blocked_reason
from planner_app.broker.port import ToolRefused

BlockedReason = Callable[[str], str | None]
"""Why an IP address is refused; None if it is not."""
SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)

MAX_TRIED = 4
"""Addresses of one name that are tried, one after the other."""
CONNECT_S = 5.0


@cache
def ssl_context() -> ssl.SSLContext:
    """The one context for all connections; loading the certificates costs 20 ms and 1 MB."""
    return ssl.create_default_context()


class Resolver(Protocol):
    """Looks names up."""

    async def __call__(self, host: str, port: int) -> list[str]:
        """The IP addresses of a name, preferred ones first. OSError if there are none."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class SystemResolver:
    """Asks the system, in threads of its own: a name that hangs must not block other work."""

    def __init__(self, threads: int = 4) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a name."""
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(
            self._pool, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(answer[4][0]) for answer in answers))

    def close(self) -> None:
        """Let running look-ups end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """The network as httpcore sees it, with every connection checked."""

    def __init__(
        self,
        resolve: Resolver,
        allowed: AllowedHosts | None = None,
        blocked: BlockedReason = blocked_reason,
    ) -> None:
        """`allowed` hosts may have private addresses. Tests give their own `blocked`."""
        self._inner = httpcore.AnyIOBackend()
        self._resolve = resolve
        self._allowed = allowed or AllowedHosts()
        self._blocked = blocked

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a checked address of the host.

        ToolRefused when any of its addresses is not public: a mixed answer is an attack.
        """
        addresses = await self._addresses(host, port, timeout)
        exempt = self._allowed.permits(host, port)
        if not exempt:
            for address in addresses:
                self._check(host, address)
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:MAX_TRIED]:
            try:
                stream = await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            if not exempt:
                await self._check_peer(host, stream)
            return stream
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise ToolRefused("address", "unix sockets are not fetched")

    async def sleep(self, seconds: float) -> None:
        """As httpcore needs it."""
        await asyncio.sleep(seconds)

    def close(self) -> None:
        """Release the resolver."""
        self._resolve.close()

    async def _addresses(self, host: str, port: int, seconds: float | None) -> list[str]:
        try:
            async with asyncio.timeout(seconds):
                return await self._resolve(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"looking up {host} took too long") from None
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise httpcore.ConnectError(f"cannot look up {host}: {reason}") from error

    def _check(self, host: str, address: str) -> None:
        reason = self._blocked(address)
        if reason is not None:
            raise ToolRefused(
                "address",
                f"cannot ask {host}: it leads to {address} ({reason})",
                "only public addresses are fetched; a person can allow a host in the settings",
            )

    async def _check_peer(self, host: str, stream: httpcore.AsyncNetworkStream) -> None:
        peer = stream.get_extra_info("server_addr")
        try:
            self._check(host, str(peer[0]) if peer else "an unknown peer")
        except ToolRefused:
            await stream.aclose()
            raise
