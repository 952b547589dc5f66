"""Finds model servers on this machine at their usual ports, all asked at once."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from planner_app.domain.teams import LocalServer

ASK_SECONDS = 0.5
MAX_BODY = 1_000_000


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
    Place("Ollama", 11434, "/api/tags", "ollama_chat/", ""),
    Place("vLLM", 8000, "/v1/models", "hosted_vllm/", "/v1"),
    Place("LM Studio", 1234, "/v1/models", "lm_studio/", "/v1"),
)


def find_servers(places: tuple[Place, ...] = PLACES, host: str = "127.0.0.1") -> list[LocalServer]:
    """The servers that answer, in the order of `places`, with what they serve."""
    with ThreadPoolExecutor(max_workers=len(places)) as pool:
        found = pool.map(lambda place: ask_server(place, host), places)
        return [server for server in found if server is not None]


def ask_server(place: Place, host: str) -> LocalServer | None:
    """One server; None when nothing answers there, or something else does."""
    connection = http.client.HTTPConnection(host, place.port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", place.path)
        answer = connection.getresponse()
        listing = json.loads(answer.read(MAX_BODY)) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    names = _names(listing)
    if names is None:
        return None
    base = f"http://{host}:{place.port}{place.base_path}"
    return LocalServer(place.name, base, tuple(place.prefix + name for name in names))


def _names(listing: object) -> list[str] | None:
    """Model names of either form of listing; None when it is neither."""
    if not isinstance(listing, dict):
        return None
    rows = listing.get("models", listing.get("data"))
    if not isinstance(rows, list):
        return None
    found = [row.get("name") or row.get("id") for row in rows if isinstance(row, dict)]
    return [name for name in found if isinstance(name, str)]
