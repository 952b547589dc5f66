"""Fixtures over the loopback web."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from planner_app.broker.fetcher import FetchLimits, WebFetcher
from planner_app.broker.guard import BlockedReason, GuardedBackend
from tests.broker.loopback_web import (
    AnyPort,
    LoopbackSite,
    MakeFetcher,
    ScriptedResolver,
    loopback_is_public,
)


@pytest.fixture
async def site() -> AsyncIterator[LoopbackSite]:
    """A site that listens on loopback."""
    made = LoopbackSite()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
def resolver() -> ScriptedResolver:
    return ScriptedResolver({"site.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]})


@pytest.fixture
async def make_fetcher(resolver: ScriptedResolver) -> AsyncIterator[MakeFetcher]:
    """Fetchers over the test's resolver, closed at the end."""
    made: list[WebFetcher] = []

    def make(
        *, blocked: BlockedReason = loopback_is_public, limits: FetchLimits | None = None
    ) -> WebFetcher:
        backend = GuardedBackend(resolver, blocked=blocked)
        made.append(WebFetcher(backend, allowed=AnyPort(), limits=limits))
        return made[-1]

    yield make
    for fetcher in made:
        await fetcher.close()
