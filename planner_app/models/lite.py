"""Bring litellm in: once per process, in a thread, with its habits switched off.

Importing it costs some 3 s of CPU and 190 MB, so only a process that calls models does, and its
event loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
import threading
from collections.abc import AsyncGenerator
from types import ModuleType
from typing import Any

from planner_app.models import wire

_lock = threading.Lock()
_loaded: ModuleType | None = None

_ENVIRONMENT = {
    # Else it fetches prices over the network when imported, and reads a .env from above.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
}

_NEEDED_BY_THE_FIRST_CALL = (
    # Else half a second of imports would hold up the event loop at the first call.
    "openai.resources",
    "openai.lib.streaming",
    "litellm.litellm_core_utils.default_encoding",
    "anyio._backends._asyncio",
)
_QUIET = {
    "suppress_debug_info": True,  # it prints to the terminal otherwise
    "disable_hf_tokenizer_download": True,
    "drop_params": False,
    "num_retries": None,
    "cache": None,
}


async def load_litellm() -> ModuleType:
    """litellm, ready for use."""
    return _loaded if _loaded is not None else await asyncio.to_thread(_load)


def litellm_if_loaded() -> ModuleType | None:
    """litellm, if this process has needed it already."""
    return _loaded


def _load() -> ModuleType:
    global _loaded
    with _lock:
        if _loaded is None:
            os.environ.update(_ENVIRONMENT)
            module = importlib.import_module("litellm")
            _tame(module)
            _keep_ollama_from_blocking()
            _keep_no_books()
            _read_streams_first()
            _send_once_and_to_one_place()
            for name in _NEEDED_BY_THE_FIRST_CALL:
                importlib.import_module(name)
            _loaded = module
    return _loaded


def _tame(module: ModuleType) -> None:
    for name, value in _QUIET.items():
        setattr(module, name, value)
    # Its own handler writes to stderr; what it has to say belongs in our log file.
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.setLevel(logging.WARNING)


def _keep_no_books() -> None:
    """After each reply litellm counts and prices it again for its own callbacks, on the event
    loop. There are none here, and our own counts are made from the stream."""
    logs = importlib.import_module("litellm.litellm_core_utils.litellm_logging").Logging
    logs.dispatch_success_handlers = _nothing_to_do
    logs.dispatch_failure_handlers = _nothing_to_do


async def _nothing_to_do(_log: object, *_what: object, **_more: object) -> None:
    return None


def _keep_ollama_from_blocking() -> None:
    """To know a model's price litellm asks Ollama about it in a synchronous HTTP call, on the
    event loop: all runs of the process would wait for it. It does without."""
    ollama = importlib.import_module("litellm.llms.ollama.common_utils")
    ollama.OllamaModelInfo.get_runtime_model_info = _nothing_known


def _nothing_known(_info: object, model: str, **_where: object) -> dict[str, object]:
    return {
        "key": model,
        "litellm_provider": "ollama",
        "mode": "chat",
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0.0,
        "max_tokens": None,
        "max_input_tokens": None,
        "max_output_tokens": None,
    }


def _read_streams_first() -> None:
    """Its parsers get streams that `wire` has put in order; what is compressed stays as it is."""
    transport = importlib.import_module("litellm.llms.custom_httpx.aiohttp_transport")
    pieces_of = transport.AiohttpResponseStream.__aiter__

    def reading(self: Any) -> AsyncGenerator[bytes, None]:
        pieces: AsyncGenerator[bytes, None] = pieces_of(self)
        told, response = wire.heard.get(), self._aiohttp_response
        plain = response.headers.get("content-encoding", "identity") == "identity"
        if told is None or response.status != 200 or not plain:
            return pieces
        return wire.tidied(pieces, told)

    transport.AiohttpResponseStream.__aiter__ = reading


def _send_once_and_to_one_place() -> None:
    """It sends a request again where a connection broke, which may be paid twice, and follows a
    redirect with the key and the prompt to whomever it names. The first is ours to do, and to
    record; the second is the person's."""
    transport = importlib.import_module("litellm.llms.custom_httpx.aiohttp_transport")
    handler = importlib.import_module("litellm.llms.custom_httpx.http_handler").AsyncHTTPHandler
    send = transport.LiteLLMAiohttpTransport.handle_async_request

    async def sent(self: Any, request: Any) -> Any:
        response = await send(self, request)
        response.headers.pop("location", None)
        return response

    async def not_again(_handler: object, *_what: object, **_more: object) -> None:
        error = sys.exception()
        assert error is not None, "it is asked for where a connection broke only"
        raise error

    transport.LiteLLMAiohttpTransport.handle_async_request = sent
    handler.single_connection_post_request = not_again
