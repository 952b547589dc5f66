"""The promises of a session, kept by a real container."""

from __future__ import annotations

import pytest

from tests.sandbox.promises_actions import *  # noqa: F403
from tests.sandbox.promises_control import *  # noqa: F403
from tests.sandbox.promises_data import *  # noqa: F403
from tests.sandbox.shared import Kind, lasting, launcher, limits, session, tools

__all__ = ["lasting", "launcher", "limits", "session", "tools"]

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def kind() -> Kind:
    return "docker"
