"""Search and pages from files, for the bundled examples: no network, and always the same.

A folder holds `search.json`:

    {"searches": [{"query": "words", "also": ["other words"],
                   "results": [{"title": "...", "url": "...", "snippet": "...", "date": "..."}]}]}

and `pages/index.json`, which names the file and media type behind each address:

    {"https://example.org/a": {"file": "a.html", "mime": "text/html; charset=utf-8"}}

The files are read as if the web had sent them, so nothing about an example's pages is special.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from planner_app.broker.addresses import normal_url, parse_url
from planner_app.broker.port import Fetched, Hit, HopCheck, SearchQuery, ToolFailed
from planner_app.domain.errors import BadInput

_T = TypeVar("_T")


class _Result(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    url: str
    snippet: str = ""
    date: str | None = None


class _Search(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: str
    also: tuple[str, ...] = ()
    results: tuple[_Result, ...]


class _Searches(BaseModel):
    model_config = ConfigDict(extra="forbid")

    searches: tuple[_Search, ...]


class _PageFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: str
    mime: str = "text/html; charset=utf-8"


class RecordedSearch:
    """A search engine that knows the queries of its file."""

    def __init__(self, folder: Path) -> None:
        """Reads `search.json` in the folder. BadInput if it cannot be used."""
        path = folder / "search.json"
        recorded = _load(path, TypeAdapter(_Searches))
        self._queries = [search.query for search in recorded.searches]
        self._hits: dict[frozenset[str], tuple[Hit, ...]] = {}
        for search in recorded.searches:
            hits = tuple(Hit(r.title, r.url, r.snippet, r.date) for r in search.results)
            for query in (search.query, *search.also):
                self._hits[_words(query)] = hits

    async def search(self, query: SearchQuery) -> tuple[Hit, ...]:
        """The hits of the recorded query with the same words, in any order, case and spelling."""
        hits = self._hits.get(_words(query.words))
        if hits is None:
            known = "; ".join(self._queries)
            raise ToolFailed(
                "not_recorded",
                f"this example has no search for {query.words!r}",
                hint=f"recorded are: {known}",
            )
        return hits[: query.max_results]

    async def close(self) -> None:
        """Nothing is held."""


class RecordedPages:
    """A page store that knows the addresses of its index."""

    def __init__(self, folder: Path) -> None:
        """Reads `pages/index.json` in the folder. BadInput if it cannot be used."""
        self._folder = folder / "pages"
        index = _load(self._folder / "index.json", TypeAdapter(dict[str, _PageFile]))
        self._pages = {normal_url(url): page for url, page in index.items()}
        for url, page in index.items():
            if not (self._folder / page.file).is_file():
                raise BadInput(f"{self._folder}: no file {page.file} for {url}")

    async def get(self, url: str, allow: HopCheck, max_bytes: int) -> Fetched:
        """The file behind the address, under the same rules as the web."""
        address = str(parse_url(url))
        await allow(address)
        page = self._pages.get(address)
        if page is None:
            raise ToolFailed("not_recorded", f"this example has no page {address}")
        content = (self._folder / page.file).read_bytes()
        return Fetched(address, page.mime, content[:max_bytes], len(content) > max_bytes)

    async def close(self) -> None:
        """Nothing is held."""


def _words(query: str) -> frozenset[str]:
    plain = unicodedata.normalize("NFKC", query).casefold()
    return frozenset(re.findall(r"\w+", plain))


def _load(path: Path, form: TypeAdapter[_T]) -> _T:
    try:
        return form.validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{path}: {where}: {first['msg']}") from None
