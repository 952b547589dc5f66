"""Bring litellm in: once per process, in a thread, with its habits switched off.

Importing it costs some 3 s of CPU and 190 MB, so only a process that calls models does, and its
event loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import threading
from types import ModuleType
from typing import Any

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
            _note_when_google_ends()
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


def _note_when_google_ends() -> None:
    """litellm says `stop` for a stream of Google's also where it broke off: `said_why` of the
    stream that it reads tells whether Google gave a reason."""
    google = importlib.import_module(
        "litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini"
    )
    stream = google.ModelResponseIterator
    parse = stream.chunk_parser

    def noting(self: Any, chunk: dict[str, Any]) -> object:
        ended = any(one.get("finishReason") for one in chunk.get("candidates") or ())
        self.said_why = self.said_why or ended or bool(chunk.get("promptFeedback"))
        parsed: object = parse(self, chunk)
        return parsed

    stream.said_why = False
    stream.chunk_parser = noting
