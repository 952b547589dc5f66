"""Which models make a team: from the settings, or from the keys that are found. Pure.

With no team in the settings, the first provider of `PROVIDERS` whose key is there plays planner
and executor, and the next one of another family plays the checker; a local server comes last.
The order is the documented one: providers whose own open-weight reasoners and code models are the
usual pair here first, hosts of other people's models after them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from planner_app.domain.errors import ModelMissing
from planner_app.domain.places import LocalServer

TeamRole = Literal["planner", "executor", "checker"]
Mode = Literal["team", "solo"]
ROLES: tuple[TeamRole, ...] = ("planner", "executor", "checker")


@dataclass(frozen=True, slots=True)
class Provider:
    """Someone who serves models, and which of them suit the roles."""

    name: str
    variable: str
    """The environment variable that its key usually stands in."""
    prefix: str
    """What its models' litellm names begin with."""
    planner: str
    """A model that reasons."""
    executor: str
    """A faster one that writes code."""
    key_prefix: str = ""
    """How its keys begin; empty: unknown."""
    other_variables: tuple[str, ...] = ()
    """Further names under which its key is found."""


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        "DeepSeek",
        "DEEPSEEK_API_KEY",
        "deepseek/",
        "deepseek/deepseek-v4-pro",
        "deepseek/deepseek-v4-flash",
    ),
    Provider(
        "Anthropic",
        "ANTHROPIC_API_KEY",
        "anthropic/",
        "anthropic/claude-opus-4-8",
        "anthropic/claude-sonnet-5",
        "sk-ant-",
    ),
    Provider("OpenAI", "OPENAI_API_KEY", "openai/", "openai/gpt-5.6", "openai/gpt-5.4-mini", "sk-"),
    Provider(
        "Google",
        "GEMINI_API_KEY",
        "gemini/",
        "gemini/gemini-3.1-pro-preview",
        "gemini/gemini-3.8-flash",
        "AIza",
        ("GOOGLE_API_KEY",),
    ),
    Provider(
        "Alibaba",
        "DASHSCOPE_API_KEY",
        "dashscope/",
        "dashscope/qwen3.8-max",
        "dashscope/qwen3-coder-plus",
    ),
    Provider(
        "Moonshot",
        "MOONSHOT_API_KEY",
        "moonshot/",
        "moonshot/kimi-k3",
        "moonshot/kimi-k2.7-code",
    ),
    Provider("Z.ai", "ZAI_API_KEY", "zai/", "zai/glm-5.3", "zai/glm-5.3-flash"),
    Provider(
        "Mistral",
        "MISTRAL_API_KEY",
        "mistral/",
        "mistral/magistral-medium-latest",
        "mistral/mistral-code-latest",
    ),
    Provider("xAI", "XAI_API_KEY", "xai/", "xai/grok-4.7", "xai/grok-build-0.1", "xai-"),
    Provider(
        "OpenRouter",
        "OPENROUTER_API_KEY",
        "openrouter/",
        "openrouter/deepseek/deepseek-v4-pro",
        "openrouter/qwen/qwen3-coder-next",
        "sk-or-",
    ),
    Provider(
        "Groq",
        "GROQ_API_KEY",
        "groq/",
        "groq/openai/gpt-oss-120b",
        "groq/openai/gpt-oss-20b",
        "gsk_",
    ),
)
"""In the order in which they are tried."""

_FAMILIES = (
    "deepseek",
    "claude",
    "gpt-oss",
    "gpt",
    "gemini",
    "qwen",
    "qwq",
    "kimi",
    "glm",
    "mistral",
    "magistral",
    "grok",
    "llama",
)
_SAME_FAMILY = {"qwq": "qwen", "magistral": "mistral", "gpt-oss": "gpt"}
_REASONERS = ("deepseek-r1", "qwq", "thinking", "gpt-oss", "magistral", "qwen3", "reason")
_CODERS = ("coder", "devstral", "codestral", "code")
"""Words in names of local models that suit planner and executor, the best first."""
_SHARED_PREFIX = "sk-"
"""How OpenAI's keys begin, and those of providers for whom no beginning is known."""
NEEDS_NO_KEY = ("scripted:", "recorded:", "ollama/", "ollama_chat/", "hosted_vllm/", "lm_studio/")


@dataclass(frozen=True, slots=True)
class TeamChoice:
    """What a person chose, in the settings or by flags. None: not chosen."""

    name: str = "default"
    planner: str | None = None
    executor: str | None = None
    checker: str | None = None
    mode: Mode = "team"
    max_parallel: int = 3


@dataclass(frozen=True, slots=True)
class Team:
    """Who plays which role, and why."""

    name: str
    planner: str
    executor: str
    checker: str
    mode: Mode = "team"
    max_parallel: int = 3
    why: str = ""
    """One line: "planner X, executor Y, because KEY is set"."""
    api_bases: Mapping[str, str] = field(default_factory=dict)
    """Model to the address of the local server that was found serving it."""

    @property
    def models(self) -> dict[str, str]:
        """Role to model."""
        return {"planner": self.planner, "executor": self.executor, "checker": self.checker}


def choose_team(
    choice: TeamChoice,
    keys: Iterable[str],
    servers: Sequence[LocalServer] = (),
    problems: Sequence[str] = (),
) -> Team:
    """The team for a task.

    `keys` are the names of the variables whose keys are there, `problems` what is odd about keys
    that cannot be used. Raises ModelMissing when nobody is chosen and nothing is found.
    """
    if choice.planner:
        return _chosen(choice, choice.planner, "the settings or flags name them")
    found = found_providers(keys)
    if found:
        first = found[0]
        why = f"{_variable(first, keys)} is set"
        checker = choice.checker or _other_family(first.planner, found)
        return _found(choice, first.planner, first.executor, checker, why)
    for server in servers:
        if server.models:
            planner = _first(server.models, _REASONERS)
            executor = _first(server.models, _CODERS, planner)
            why = f"{server.name} answers at {server.api_base}"
            team = _found(choice, planner, executor, None, why)
            bases = {
                name: server.api_base for name in team.models.values() if name in server.models
            }
            return dataclasses.replace(team, api_bases=bases)
    if choice.executor:
        return _chosen(choice, choice.executor, "only an executor is named")
    if problems:
        raise ModelMissing("no model is configured, and no key can be used", "; ".join(problems))
    otherwise = (
        f"set {PROVIDERS[0].variable} or another provider's key, start Ollama, LM Studio, vLLM or "
        "llama.cpp, or name a model with --planner; `planner run --example` needs none"
    )
    if servers:
        there = " and ".join(f"{server.name} at {server.api_base}" for server in servers)
        raise ModelMissing(
            f"no model is configured, and no model to talk to was found at {there}",
            f"load one there (`ollama pull qwen3`), or {otherwise}",
        )
    raise ModelMissing(
        "no model is configured, and neither a key nor a local model server was found", otherwise
    )


def _first(models: Sequence[str], words: Sequence[str], otherwise: str | None = None) -> str:
    """The first model with one of these words in its name, the words in their order."""
    for word in words:
        for model in models:
            if word in model.lower():
                return model
    return otherwise or models[0]


def found_providers(keys: Iterable[str]) -> list[Provider]:
    """The providers whose key is there, in the documented order."""
    there = set(keys)
    return [p for p in PROVIDERS if there & {p.variable, *p.other_variables}]


def key_variables() -> tuple[str, ...]:
    """Every variable that may hold a provider's key."""
    return tuple(v for p in PROVIDERS for v in (p.variable, *p.other_variables))


def provider_of(model: str) -> Provider | None:
    """Whose key a model needs. None: nobody's, or a provider that is not in the list."""
    if model.startswith(NEEDS_NO_KEY):
        return None
    for provider in PROVIDERS:
        if model.startswith(provider.prefix):
            return provider
    bare = dict.fromkeys(("gpt-", "chatgpt-", "o1", "o3", "o4"), "OpenAI") | {
        "claude-": "Anthropic"
    }
    name = next((who for start, who in bare.items() if model.startswith(start)), None)
    return next((p for p in PROVIDERS if p.name == name), None)


def family(model: str) -> str:
    """Which family a model belongs to, by its name: `claude`, `gpt`; its own name if unknown."""
    name = model.rpartition("/")[2].lower()
    for candidate in _FAMILIES:
        if candidate in name:
            return _SAME_FAMILY.get(candidate, candidate)
    return name


def key_problem(variable: str, key: str) -> str:
    """What is odd about a key, in words that never hold it; empty when nothing is."""
    if key != key.strip() or any(c.isspace() for c in key):
        return f"{variable} holds white space; copy the key again without it"
    if any(c in key for c in "\"'`"):
        return f"{variable} holds quotation marks; copy the key again without them"
    if not key.isprintable() or not key.isascii() or not any(c.isalnum() for c in key):
        return f"{variable} holds characters that no key has; copy the key again"
    mine = next((p for p in PROVIDERS if variable in (p.variable, *p.other_variables)), None)
    whose = _issuer(key)
    if mine is None or whose is None or whose is mine:
        return ""
    if whose.key_prefix != _SHARED_PREFIX:
        said = f"{variable} holds what looks like a key of {whose.name}"
        return f"{said}; that belongs in {whose.variable}"
    if not mine.key_prefix:
        return ""  # several providers' keys begin so
    others = [p.variable for p in PROVIDERS if not p.key_prefix]
    return (
        f"{variable} holds no key of {mine.name}, which begins with {mine.key_prefix}; one that "
        f"begins with {_SHARED_PREFIX} belongs in {whose.variable}, or in its provider's variable: "
        f"{', '.join(others)}"
    )


def looks_like_key(text: str) -> bool:
    """Whether a text that should be something else is a provider's key, pasted by mistake."""
    return len(text) >= 20 and "/" not in text and _issuer(text) is not None


def _issuer(key: str) -> Provider | None:
    """Whose keys begin like this one, by the longest beginning."""
    alike = (p for p in PROVIDERS if p.key_prefix and key.startswith(p.key_prefix))
    return max(alike, key=lambda p: len(p.key_prefix), default=None)


def _chosen(choice: TeamChoice, planner: str, why: str) -> Team:
    return _found(choice, planner, choice.executor or planner, choice.checker, why)


def _found(choice: TeamChoice, planner: str, executor: str, checker: str | None, why: str) -> Team:
    executor = planner if choice.mode == "solo" else (choice.executor or executor)
    checker = choice.checker or checker or planner
    said = f"planner {planner}, executor {executor}"
    if checker != planner:
        said += f", checker {checker}"
    return Team(
        choice.name,
        planner,
        executor,
        checker,
        choice.mode,
        choice.max_parallel,
        f"{said}, because {why}",
    )


def _other_family(planner: str, found: Sequence[Provider]) -> str | None:
    mine = family(planner)
    return next((p.planner for p in found if family(p.planner) != mine), None)


def _variable(provider: Provider, keys: Iterable[str]) -> str:
    there = set(keys)
    return next(v for v in (provider.variable, *provider.other_variables) if v in there)
