"""The host halves of `tools/web.py`: what search, fetch, download and cite do on the host."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue

from planner_app.broker.addresses import normal_url, read_url
from planner_app.broker.cache import CachedPage, PageCache
from planner_app.broker.passages import find_passages
from planner_app.broker.policy import judge_search, judge_url
from planner_app.broker.port import (
    CallContext,
    Fetched,
    Hit,
    HopCheck,
    NewSource,
    PageStore,
    SearchEngine,
    SearchQuery,
    StoredSource,
    TimeRange,
    ToolFailed,
    ToolRefused,
    ToolValue,
)
from planner_app.broker.readable import clean, note_for, parts_of
from planner_app.broker.reader import Reader
from planner_app.broker.registry import HostFunction
from planner_app.domain.citations import PAGE_BREAK, find_quote

MAX_PAGE_BYTES = 16 * 2**20
MAX_DOWNLOAD_BYTES = 50 * 2**20
MAX_RESULTS = 30
MAX_QUERY_CHARS = 400
MAX_CITED_CHARS = 300
NEAREST_CHARS = 300
MAX_NAME_CHARS = 80
DOWNLOADS = "downloads"
"""The workspace folder for files from the web."""


class WebTools:
    """Search, fetch, download, find and cite for one run."""

    def __init__(
        self,
        search: SearchEngine,
        pages: PageStore,
        reader: Reader,
        clock: Callable[[], datetime],
    ) -> None:
        """`clock` gives UTC times for sources."""
        self._search = search
        self._pages = pages
        self._reader = reader
        self._clock = clock
        self._cache = PageCache()
        self._saved: dict[str, str] = {}  # workspace path: the address it came from

    def functions(self) -> Mapping[str, HostFunction]:
        """By the names of the stubs."""
        return {
            "search": self.search,
            "fetch": self.fetch,
            "save_download": self.save_download,
            "find_in_page": self.find_in_page,
            "cite": self.cite,
        }

    async def search(
        self, ctx: CallContext, query: str, max_results: int, region: str | None, time: str | None
    ) -> ToolValue:
        """Every hit becomes a weak source."""
        asked = _query(query, max_results, region, time)
        verdict, reason = judge_search(ctx.policy)
        if verdict != "yes":
            raise ToolRefused("policy", f"may not search: {reason}")
        hits = [_cleaned(hit) for hit in await self._search.search(asked)]
        at = self._clock()
        rows: list[JsonValue] = [_row(ctx.add_source(_hit_source(h, at)), h) for h in hits]
        return ToolValue(rows, f"{len(rows)} hits for {asked.words!r}")

    async def fetch(self, ctx: CallContext, url: str, page: int) -> ToolValue:
        """The page becomes a source; its further pages come from memory."""
        if page < 1:
            raise ToolRefused("arguments", f"fetch takes a page from 1 on, not {page}")
        found = await self._cache.get(normal_url(url), lambda: self._read(ctx, url))
        document, source = found.document, found.source
        if page > len(found.parts):
            raise ToolRefused(
                "arguments", f"{source.url} has {len(found.parts)} pages, there is no page {page}"
            )
        n = ctx.add_source(source)
        note = note_for(document, found.parts, page)
        value: dict[str, JsonValue] = {
            "source_id": n,
            "url": source.url,
            "title": document.title,
            "date": document.date,
            "text": found.parts[page - 1].text,
            "data": document.data,
            "page": page,
            "pages": len(found.parts),
            "note": note,
        }
        which = f", page {page} of {len(found.parts)}" if len(found.parts) > 1 else ""
        return ToolValue(value, f"[{n}] {source.title}{which}")

    async def save_download(self, ctx: CallContext, url: str) -> ToolValue:
        """The bytes become a source and a workspace file."""
        fetched = await self._pages.get(url, self._hop_check(ctx), MAX_DOWNLOAD_BYTES)
        size = len(fetched.content)
        if fetched.truncated:
            raise ToolFailed("too_big", f"{fetched.url} is over {MAX_DOWNLOAD_BYTES // 2**20} MB")
        path = self._free_path(file_name(fetched), fetched.url)
        await ctx.write_file(path, fetched.content)
        self._saved[path] = fetched.url
        mime = fetched.content_type.partition(";")[0].strip().lower() or "application/octet-stream"
        text, title = await self._text_of(fetched, path)
        n = ctx.add_source(
            NewSource(
                "page", title, fetched.url, fetched.content, text, mime, self._clock(), weak=False
            )
        )
        value: dict[str, JsonValue] = {"source_id": n, "path": path, "mime": mime, "bytes": size}
        return ToolValue(value, f"[{n}] {path} ({size:,} bytes)")

    async def find_in_page(self, ctx: CallContext, source_id: int, words: str) -> ToolValue:
        """In what the run has stored; nothing is fetched."""
        source = _source(ctx, source_id)
        wanted = words[:MAX_QUERY_CHARS]
        passages = await asyncio.to_thread(find_passages, source.text, wanted)
        rows: list[JsonValue] = [
            {"page": p.page, "offset": p.offset, "text": p.text} for p in passages
        ]
        return ToolValue(rows, f"{len(rows)} passages in [{source_id}] for {words[:80]!r}")

    async def cite(self, ctx: CallContext, source_id: int, quote: str) -> ToolValue:
        """Looks the quote up in what the run has stored."""
        source = _source(ctx, source_id)
        if len(quote) > MAX_CITED_CHARS:
            raise ToolRefused(
                "arguments", f"a quote has at most {MAX_CITED_CHARS} characters, not {len(quote)}"
            )
        match = await asyncio.to_thread(find_quote, source.text, quote)
        value: dict[str, JsonValue] = {
            "source_id": source_id,
            "found": match is not None,
            "page": match.page if match else None,
            "offset": match.offset if match else None,
            "quote": match.quote if match else "",
            "note": "" if match else _not_found(source, source_id, quote),
        }
        where = f"stands on page {match.page}" if match else "does not stand there"
        return ToolValue(value, f"[{source_id}] {quote[:80]!r} {where}")

    async def _read(self, ctx: CallContext, url: str) -> CachedPage:
        fetched = await self._pages.get(url, self._hop_check(ctx), MAX_PAGE_BYTES)
        document = await self._reader.read(fetched)
        source = NewSource(
            kind="page",
            title=document.title or fetched.url,
            url=fetched.url,
            content=fetched.content,
            text=PAGE_BREAK.join(document.pages),
            mime=document.mime,
            at=self._clock(),
            weak=False,
        )
        return CachedPage(source, document, parts_of(document))

    async def _text_of(self, fetched: Fetched, path: str) -> tuple[str, str]:
        """Text and title of a download; a picture or an archive has no text."""
        try:
            document = await self._reader.read(fetched)
        except ToolFailed:
            return "", path
        return PAGE_BREAK.join(document.pages), document.title or path

    def _hop_check(self, ctx: CallContext) -> HopCheck:
        """Checks the first address by the policy, and then each redirect."""
        hops = 0

        async def check(url: str) -> None:
            nonlocal hops
            hops += 1
            await self._check_hop(ctx, url, redirected=hops > 1)

        return check

    async def _check_hop(self, ctx: CallContext, url: str, *, redirected: bool) -> None:
        """Where an allowed server redirects to counts as seen: its answer named it, no code did."""
        address = read_url(url)
        verdict, reason = judge_url(ctx.policy, address, redirected or ctx.seen(str(address)))
        if verdict == "yes":
            return
        if verdict == "ask" and await ctx.approve(f"ask {address.host}", f"{address}: {reason}"):
            return
        hint = "search for it first, or ask the person for the address" if verdict == "ask" else ""
        raise ToolRefused("policy", f"may not ask {address}: {reason}", hint)

    def _free_path(self, name: str, url: str) -> str:
        """A path of its own for each address; the same address overwrites its file."""
        stem, dot, ending = name.rpartition(".")
        for number in range(1, 1000):
            numbered = f"{stem}-{number}.{ending}" if dot else f"{name}-{number}"
            path = f"{DOWNLOADS}/{name if number == 1 else numbered}"
            if self._saved.get(path, url) == url:
                return path
        raise ToolFailed("internal", f"no free name for {name} in {DOWNLOADS}")


def _query(words: str, max_results: int, region: str | None, time: str | None) -> SearchQuery:
    words = " ".join(words.split())
    if not words or len(words) > MAX_QUERY_CHARS:
        raise ToolRefused("arguments", f"a query has 1 to {MAX_QUERY_CHARS} characters")
    if not 1 <= max_results <= MAX_RESULTS:
        raise ToolRefused("arguments", f"max_results is 1 to {MAX_RESULTS}, not {max_results}")
    if region is not None and not re.fullmatch(r"[a-z]{2}-[a-z]{2}", region):
        raise ToolRefused("arguments", f"region is like us-en or de-de, not {region[:40]!r}")
    ranges: dict[str | None, TimeRange | None] = {
        None: None,
        "day": "day",
        "week": "week",
        "month": "month",
        "year": "year",
    }
    if time not in ranges:
        raise ToolRefused("arguments", f"time is day, week, month or year, not {time!r}"[:200])
    return SearchQuery(words, max_results, region, ranges[time])


def _cleaned(hit: Hit) -> Hit:
    """A snippet is web text too: what a person would not see goes."""
    return Hit(clean(hit.title), hit.url, clean(hit.snippet), hit.date)


def _hit_source(hit: Hit, at: datetime) -> NewSource:
    row = {"title": hit.title, "url": hit.url, "snippet": hit.snippet, "date": hit.date}
    return NewSource(
        kind="hit",
        title=hit.title or hit.url,
        url=normal_url(hit.url),
        content=json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace"),
        text=f"{hit.title}\n{hit.snippet}",
        mime="application/json",
        at=at,
        weak=True,
    )


def _row(n: int, hit: Hit) -> dict[str, JsonValue]:
    return {
        "source_id": n,
        "title": hit.title,
        "url": hit.url,
        "snippet": hit.snippet,
        "date": hit.date,
    }


def _source(ctx: CallContext, n: int) -> StoredSource:
    source = ctx.source_text(n)
    if source is None:
        raise ToolFailed("not_found", f"there is no source [{n}]")
    return source


def _not_found(source: StoredSource, n: int, quote: str) -> str:
    if not source.text.strip():
        return f"source [{n}] has no text to quote"
    nearest = find_passages(source.text, quote)
    if not nearest:
        return f"none of these words stand in source [{n}]"
    shown = " ".join(nearest[0].text.split())[:NEAREST_CHARS]
    return f"not there word for word; the nearest passage (page {nearest[0].page}): {shown}"


_FILENAME = re.compile(
    r"filename\*\s*=\s*[\w-]*'[\w-]*'(?P<coded>[^;\s]+)|filename\s*=\s*\"(?P<quoted>[^\"]+)\""
    r"|filename\s*=\s*(?P<bare>[^;\s]+)",
    re.IGNORECASE,
)


def file_name(fetched: Fetched) -> str:
    """A harmless name for a download: from its header, else from its address."""
    found = _FILENAME.search(fetched.disposition)
    if found:
        name = unquote(found.group("coded") or "") or found.group("quoted") or found.group("bare")
    else:
        name = unquote(urlsplit(fetched.url).path.rstrip("/").rpartition("/")[2])
    name = re.split(r"[/\\]", name)[-1]
    name = re.sub(r"[^\w.()+-]+", "_", name).strip("._")[-MAX_NAME_CHARS:] or "file"
    if "." not in name:
        mime = fetched.content_type.partition(";")[0].strip().lower()
        name += mimetypes.guess_extension(mime) or ""
    return name
