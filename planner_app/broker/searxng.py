"""Search over a SearXNG instance of a person's own."""

from __future__ import annotations

from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from planner_app.broker.addresses import AllowedHosts, normal_url
from planner_app.broker.port import Hit, PageStore, SearchQuery, ToolFailed
from planner_app.broker.search import hit_of
from planner_app.domain.errors import BadInput

_MAX_BYTES = 4 * 2**20


class _Result(BaseModel):
    title: str = ""
    url: str = ""
    content: str | None = None
    publishedDate: str | None = None  # noqa: N815  as the instance writes it


class _Results(BaseModel):
    results: list[_Result] = []
    unresponsive_engines: list[list[str]] = []


class SearxngSearch:
    """Asks the instance's JSON interface."""

    def __init__(self, url: str, pages: PageStore) -> None:
        """`pages` must be allowed to ask the instance; see `instance_host`."""
        self._url = url.rstrip("/")
        self._pages = pages

    async def search(self, query: SearchQuery) -> tuple[Hit, ...]:
        """The hits. ToolFailed when the instance or all of its engines failed."""
        asked = {"q": query.words, "format": "json"}
        if query.region:
            asked["language"] = query.region.partition("-")[2] or query.region
        if query.time:
            asked["time_range"] = query.time
        try:
            page = await self._pages.get(
                f"{self._url}/search?{urlencode(asked)}", _no_check, _MAX_BYTES
            )
            found = _Results.model_validate_json(page.content)
        except ToolFailed as error:
            hint = "enable the json format in its settings" if "403" in error.message else ""
            raise ToolFailed("search", f"SearXNG: {error.message}", hint, retryable=True) from error
        except ValidationError:
            why = f"SearXNG at {self._url} did not answer with JSON"
            raise ToolFailed("search", why, retryable=True) from None
        hits = tuple(
            hit_of(result.title, result.url, result.content or "", _day(result.publishedDate))
            for result in found.results
            if result.url.startswith(("http://", "https://"))
        )
        if not hits and found.unresponsive_engines:
            told = "; ".join(": ".join(engine[:2]) for engine in found.unresponsive_engines[:10])
            raise ToolFailed("search", f"the search failed (SearXNG: {told})", retryable=True)
        return hits[: query.max_results]

    async def close(self) -> None:
        """Close the connection to the instance."""
        await self._pages.close()


def instance_host(url: str) -> AllowedHosts:
    """The instance's host and port, which its own connection may ask wherever it is."""
    from urllib.parse import urlsplit

    parts = urlsplit(normal_url(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url[:100]!r} is not the address of a SearXNG instance")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return AllowedHosts(frozenset({(parts.hostname, port)}))


def _day(published: str | None) -> str | None:
    return published[:10] if published else None


async def _no_check(url: str) -> None:
    """The person chose the instance; the policy was asked about searching before."""
