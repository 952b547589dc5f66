"""Puts the broker's parts together: the real web, or an example's files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner_app.broker.addresses import AllowedHosts
from planner_app.broker.broker import Broker
from planner_app.broker.catalogue import ToolModule
from planner_app.broker.port import PageStore, SearchEngine
from planner_app.broker.reader import ChildReader, Reader


@dataclass(frozen=True, slots=True)
class Services:
    """What the runs of one process share. Close it when the process ends."""

    search: SearchEngine
    """Finds pages."""
    pages: PageStore
    """Fetches them."""
    reader: Reader
    """Makes them readable."""

    def broker(self, modules: Iterable[ToolModule]) -> Broker:
        """The tools of one run."""
        return Broker(modules, self.search, self.pages, self.reader)

    async def close(self) -> None:
        """Close connections, threads and the reader's child."""
        await asyncio.gather(self.search.close(), self.pages.close(), self.reader.close())


def open_web(
    *,
    backends: Sequence[str] = (),
    searxng_url: str | None = None,
    allow_hosts: Sequence[str] = (),
) -> Services:
    """The real web. Imports HTTP here, so call it when it is needed. BadInput for bad settings."""
    from planner_app.broker.fetcher import open_fetcher
    from planner_app.broker.search import PublicSearch

    search: SearchEngine
    if searxng_url:
        from planner_app.broker.searxng import SearxngSearch, instance_host

        search = SearxngSearch(searxng_url, open_fetcher(instance_host(searxng_url)))
    else:
        search = PublicSearch(backends)
    return Services(search, open_fetcher(AllowedHosts.parse(tuple(allow_hosts))), ChildReader())


def open_recorded(folder: Path) -> Services:
    """An example's recorded searches and pages. BadInput if its files cannot be used."""
    from planner_app.broker.recorded import RecordedPages, RecordedSearch

    return Services(RecordedSearch(folder), RecordedPages(folder), ChildReader())
