"""Finds model servers on this machine at their usual ports, all asked at once, in under a second.

Whatever listens there is not trusted to be a model server, to answer, or to stop answering.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence

from planner_app.domain.places import PLACES, LocalServer, Place

ASK_SECONDS = 0.7
"""For all of a server's answer, and so for all servers."""
MAX_BODY = 2_000_000
HOSTS = ("127.0.0.1", "::1")
"""Some servers listen at `localhost`, which is the second one on some machines."""
_NAME = re.compile(r"[!-~]{1,200}")
"""What a model's name looks like: printable ASCII without white space."""
_NO_CHAT = re.compile(r"embed|rerank|whisper|bge-|minilm|tts", re.IGNORECASE)
"""Models that a server lists beside those that can be talked to."""


def find_servers(places: Sequence[Place] = PLACES, *hosts: str) -> list[LocalServer]:
    """The servers that answer, in the order of `places`, with what they serve. `hosts` takes the
    place of this machine's own names.

    Not to be called on an event loop's thread.
    """
    return asyncio.run(_ask_all(places, hosts or HOSTS))


async def _ask_all(places: Sequence[Place], hosts: Sequence[str]) -> list[LocalServer]:
    asked = [(place, host) for place in places for host in hosts]
    answers = await asyncio.gather(*(_ask(place, host) for place, host in asked))
    found: dict[Place, LocalServer] = {}
    for (place, _), server in zip(asked, answers, strict=True):
        if server is not None:
            found.setdefault(place, server)  # it may listen at both addresses
    return list(found.values())


async def _ask(place: Place, host: str) -> LocalServer | None:
    """One server; None when nothing answers there in time, or something else does."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            listing = json.loads(await _get(host, place.port, place.path))
    except (OSError, ValueError, RecursionError):  # TimeoutError is an OSError
        return None
    names = _names(listing)
    if names is None:
        return None
    models = tuple(place.prefix + name for name in names)
    return LocalServer(place.name, place.address(host), models)


async def _get(host: str, port: int, path: str) -> bytes:
    """The body of a small answer. Raises OSError, or ValueError when it is none."""
    reader, writer = await asyncio.open_connection(host, port, limit=MAX_BODY)
    try:
        # HTTP/1.0: the body comes as it is, and ends with the connection or by its length.
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ValueError("no HTTP") from error
        if not re.match(rb"HTTP/1\.\d 200\b", head):
            raise ValueError("no listing")
        length = re.search(rb"\r\ncontent-length: *(\d{1,9})\r\n", head, re.IGNORECASE)
        wanted = int(length[1]) if length else MAX_BODY + 1
        body = b""
        while len(body) < wanted and (piece := await reader.read(65536)):
            body += piece
            if len(body) > MAX_BODY:
                raise ValueError("no listing is so long")
        return body
    finally:
        writer.transport.abort()


def _names(listing: object) -> list[str] | None:
    """Names of models that can be talked to, of either form of listing; None: it is neither."""
    if not isinstance(listing, dict):
        return None
    rows = listing.get("data", listing.get("models"))
    if not isinstance(rows, list):
        return None
    found = [row.get("id") or row.get("name") for row in rows if isinstance(row, dict)]
    names = dict.fromkeys(n for n in found if isinstance(n, str) and _NAME.fullmatch(n))
    if rows and not names:
        return None
    return [name for name in names if not _NO_CHAT.search(name)]
