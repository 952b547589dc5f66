"""What a process that lacks a model's key says, and whom it does not ask for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner_app.domain.errors import Missing
from planner_app.engine.model_access import model_options
from planner_app.models.litellm_client import LiteLLMClient
from planner_app.models.port import ModelError
from planner_app.settings import load_settings
from tests.loopback.fixtures import loopback  # noqa: F401 - a fixture
from tests.loopback.server import LoopbackServer, Reply
from tests.models.calls import ask


async def test_a_worker_without_the_key_says_so_and_asks_nobody(tmp_path: Path) -> None:
    client = LiteLLMClient(
        model_options(
            load_settings(tmp_path, {"PLANNER_HOME": str(tmp_path)}), {"XAI_API_KEY": "xai-x"}
        )
    )
    with pytest.raises(ModelError) as caught:
        await client.complete(ask("deepseek/deepseek-chat"), lambda _: None)
    assert (caught.value.kind, caught.value.exit_code) == ("auth", Missing.exit_code)
    assert not caught.value.retryable
    assert "needs DEEPSEEK_API_KEY, and this process was started without it" in str(caught.value)
    assert "planner worker stop" in str(caught.value)


async def test_a_server_of_ones_own_needs_no_key(
    loopback: LoopbackServer,  # noqa: F811
    tmp_path: Path,
) -> None:
    loopback.serve("x", Reply("Hello."))
    client = LiteLLMClient(
        model_options(load_settings(tmp_path, {"PLANNER_HOME": str(tmp_path)}), {})
    )
    reply = await client.complete(ask("openai/x", api_base=loopback.base), lambda _: None)
    assert reply.text == "Hello."
