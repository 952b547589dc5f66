"""Model servers on a person's own machine: where they usually listen, and their models' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kind of server usually listens, and how its models are named."""

    name: str
    port: int
    path: str
    """Lists its models."""
    prefix: str
    """What litellm's names for them begin with."""
    base_path: str
    """Path of the address that litellm wants."""

    def address(self, host: str) -> str:
        """What litellm is to be told."""
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.base_path}"


PLACES = (
    Place("Ollama", 11434, "/api/tags", "ollama_chat/", ""),
    Place("vLLM", 8000, "/v1/models", "hosted_vllm/", "/v1"),
    Place("LM Studio", 1234, "/v1/models", "lm_studio/", "/v1"),
    Place("llama.cpp", 8080, "/v1/models", "openai/", "/v1"),
)
"""In the order in which they are preferred."""

LOCAL_PORTS = {place.name: place.port for place in PLACES}


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server of models that answers on this machine."""

    name: str
    """Ollama, vLLM, LM Studio."""
    api_base: str
    models: tuple[str, ...]
    """litellm names of what it serves."""


_LOCAL = {p.prefix.rstrip("/"): p for p in PLACES if p.prefix != "openai/"}
_LOCAL["ollama"] = _LOCAL["ollama_chat"]
HOMELESS = frozenset(
    {"custom_openai", "aiohttp_openai", "litellm_proxy", "xinference", "ai21", *_LOCAL}
)
"""Providers whose models litellm would ask for at OpenAI if it were not told where they are (and
Ollama, so that messages can say where it was asked)."""


def server_key(model: str, env: Mapping[str, str]) -> str | None:
    """The key that a server of the `HOMELESS` wants, from litellm's variable for it."""
    return _variable(model, "API_KEY", env)


def usual_address(model: str, env: Mapping[str, str]) -> str | None:
    """Where a model of the `HOMELESS` is asked when no setting says where: at the address in
    litellm's own variable, else at the usual port of this machine. None: nobody can tell, or
    litellm knows it."""
    place = _LOCAL.get(model.partition("/")[0])
    return _variable(model, "API_BASE", env) or (place.address("localhost") if place else None)


def _variable(model: str, ending: str, env: Mapping[str, str]) -> str | None:
    provider = model.partition("/")[0]
    if provider not in HOMELESS:
        return None
    return env.get(f"{provider.removesuffix('_chat').upper()}_{ending}")
