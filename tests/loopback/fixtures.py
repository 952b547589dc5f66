"""The loopback server as a fixture: `from tests.loopback.fixtures import loopback`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.loopback.server import LoopbackServer


@pytest.fixture
async def loopback() -> AsyncIterator[LoopbackServer]:
    """A server with no replies yet: `loopback.serve("model", Reply(text="..."))`."""
    server = LoopbackServer()
    await server.start()
    try:
        yield server
    finally:
        await server.close()
