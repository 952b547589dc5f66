"""Finds model servers on this machine at their usual ports, all asked at once, in under a second.

Whatever listens there is not trusted to be a model server, to answer, or to stop answering.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass

from planner_app.domain.teams import LOCAL_PORTS, LocalServer

ASK_SECONDS = 0.7
"""For all of a server's answer, and so for all servers."""
MAX_BODY = 2_000_000
_NAME = re.compile(r"[!-~]{1,200}")
"""What a model's name looks like: printable ASCII without white space."""
_NO_CHAT = re.compile(r"embed|rerank|whisper|bge-|minilm|tts", re.IGNORECASE)
"""Models that a server lists beside those that can be talked to."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kind of server usually listens, and how its models are named."""

    name: str
    port: int
    path: str
    """Lists its models."""
    prefix: str
    """What litellm's names for them begin with."""
    base_path: str
    """Path of the address that litellm wants."""


PLACES = (
    Place("Ollama", LOCAL_PORTS["Ollama"], "/api/tags", "ollama_chat/", ""),
    Place("vLLM", LOCAL_PORTS["vLLM"], "/v1/models", "hosted_vllm/", "/v1"),
    Place("LM Studio", LOCAL_PORTS["LM Studio"], "/v1/models", "lm_studio/", "/v1"),
    Place("llama.cpp", LOCAL_PORTS["llama.cpp"], "/v1/models", "openai/", "/v1"),
)


def find_servers(places: tuple[Place, ...] = PLACES, host: str = "127.0.0.1") -> list[LocalServer]:
    """The servers that answer, in the order of `places`, with what they serve.

    Not to be called on an event loop's thread.
    """
    return asyncio.run(_ask_all(places, host))


async def _ask_all(places: tuple[Place, ...], host: str) -> list[LocalServer]:
    found = await asyncio.gather(*(_ask(place, host) for place in places))
    return [server for server in found if server is not None]


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
    base = f"http://{host}:{place.port}{place.base_path}"
    return LocalServer(place.name, base, tuple(place.prefix + name for name in names))


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
    return [name for name in names if not _NO_CHAT.search(name)]
