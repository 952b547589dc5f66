"""The loopback server, and litellm's connections closed after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from planner_app.models.litellm_client import LiteLLMClient
from tests.loopback.fixtures import loopback
from tests.models.calls import Heard, real_client

__all__ = ["loopback"]


@pytest.fixture
async def client() -> AsyncIterator[LiteLLMClient]:
    """litellm, for real."""
    made = real_client()
    yield made
    await made.aclose()


@pytest.fixture
def heard() -> Heard:
    """Takes note of deltas, retries and waits."""
    return Heard()
