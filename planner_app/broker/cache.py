"""Keeps the documents of a run that were read last, so that turning a page fetches nothing."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from planner_app.broker.port import NewSource
from planner_app.broker.readable import Part, Readable

MAX_SIZE = 32 * 2**20
"""Bytes kept in all, about; a single page may be more."""


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A document that was fetched and read."""

    source: NewSource
    """As the run keeps it."""
    document: Readable
    """The document."""
    parts: tuple[Part, ...]
    """As it is shown."""

    @property
    def size(self) -> int:
        """About the bytes that keeping it costs."""
        return (
            len(self.source.content)
            + sum(len(page) for page in self.document.pages)
            + sum(len(part.text) for part in self.parts)
        )


class PageCache:
    """By address; the one used longest ago goes first. Two calls for one address fetch it once."""

    def __init__(self, max_size: int = MAX_SIZE) -> None:
        self._max_size = max_size
        self._pages: OrderedDict[str, CachedPage] = OrderedDict()
        self._turns: dict[str, asyncio.Lock] = {}

    async def get(self, url: str, fetch: Callable[[], Awaitable[CachedPage]]) -> CachedPage:
        """The page, from memory or by `fetch`. A failed fetch is not kept."""
        turn = self._turns.setdefault(url, asyncio.Lock())
        async with turn:
            page = self._pages.get(url)
            if page is None:
                page = await fetch()
                self._pages[url] = page
                self._shrink()
            if url in self._pages:
                self._pages.move_to_end(url)
        if not turn.locked():
            self._turns.pop(url, None)
        return page

    def _shrink(self) -> None:
        total = sum(page.size for page in self._pages.values())
        while total > self._max_size and len(self._pages) > 1:
            _, oldest = self._pages.popitem(last=False)
            total -= oldest.size
