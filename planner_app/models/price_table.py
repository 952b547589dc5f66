"""litellm's table of models, read as the file it is: prices, sizes, dates. litellm itself is not
imported.

Reading it takes some 30 ms, once per process.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from planner_app.models.prices import Price, Step

SOON = timedelta(days=60)
"""How long before a model is withdrawn people are warned."""
_TABLE = "model_prices_and_context_window_backup.json"
_PROVIDERS = ("provider_endpoints_support_backup.json", "llms/openai_like/providers.json")
_BARE = ("openai", "anthropic", "bedrock", "bedrock_converse", "cohere_chat", "ai21",
         "vertex_ai-language-models")  # fmt: skip
"""Providers whose models need no prefix."""
_SHORTEST = 4
"""Letters of a name that says enough to guess another from it."""
_PER = 1_000_000


def _folder() -> Path | None:
    """Where litellm is; found without importing it."""
    found = importlib.util.find_spec("litellm")
    return None if found is None or found.origin is None else Path(found.origin).parent


@cache
def _file(name: str) -> Mapping[str, Mapping[str, object]]:
    folder = _folder()
    if folder is None:
        return {}
    try:
        table = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # another release keeps it elsewhere: then nothing is known
        return {}
    return table if isinstance(table, dict) else {}


def _entry(model: str) -> Mapping[str, object] | None:
    table = _file(_TABLE)
    entry = table.get(model)
    if entry is not None and model != "sample_spec":
        return entry
    # `openai/gpt-5` is listed as `gpt-5`, of the provider openai.
    provider, _, bare = model.partition("/")
    entry = table.get(bare)
    if entry is None:
        return None
    listed = str(entry.get("litellm_provider", ""))
    same = listed == provider or listed.startswith((f"{provider}_", f"{provider}-"))
    return entry if same else None


def table_price(model: str) -> Price | None:
    """The price of a model by its litellm name; None when the table does not know it."""
    entry = _entry(model)
    rates = [] if entry is None else _tiers(entry) or _flat(entry)
    if not rates:
        return None
    first, *dearer = rates
    if not first.input and not first.output and not model.endswith((":free", "/free")):
        return None  # the table writes nothing for what it does not know
    return Price(
        input_usd_per_mtok=first.input,
        output_usd_per_mtok=first.output,
        cached_usd_per_mtok=first.cached,
        reasoning_usd_per_mtok=first.reasoning,
        source="table",
        steps=tuple(sorted(dearer, key=lambda step: step.above)),
    )


def context_window(model: str) -> int | None:
    """Tokens of prompt that a model takes, by the table; None when it does not say."""
    return _size(model, "max_input_tokens")


def output_limit(model: str) -> int | None:
    """Tokens that a reply may have, by the table; None when it does not say."""
    return _size(model, "max_output_tokens")


def withdrawal(model: str, today: date) -> str:
    """A line that says when the provider withdraws the model; empty: not soon, or not known."""
    entry = _entry(model)
    try:
        ends = date.fromisoformat(str(entry.get("deprecation_date"))) if entry else None
    except ValueError:
        return ""
    if ends is None or ends > today + SOON:
        return ""
    if ends <= today:
        return f"{model} was withdrawn by its provider on {ends}, as litellm's table says"
    days = (ends - today).days
    in_days = "tomorrow" if days == 1 else f"in {days} days"
    return f"{model} will be withdrawn by its provider on {ends}, {in_days}"


def provider_is_known(provider: str) -> bool:
    """Whether litellm knows a provider by this name; also True when nothing can be found out."""
    known = _providers()
    return not known or provider in known


def bare_is_known(model: str) -> bool:
    """Whether litellm knows whose model a name without a provider is."""
    entry = _file(_TABLE).get(model)
    return entry is not None and entry.get("litellm_provider") in _BARE


def is_listed(model: str) -> bool:
    """Whether the table names this model."""
    return _entry(model) is not None


def nearest_names(model: str) -> tuple[str, ...]:
    """Up to three names that were probably meant: of models, else of providers with a slash."""
    provider, slash, bare = model.partition("/")
    table = _file(_TABLE)
    if slash and len(bare) < _SHORTEST:
        return () if provider_is_known(provider) else _providers_like(provider, bare)
    if slash and provider_is_known(provider):
        known = [name for name in table if name.startswith(f"{provider}/")]
        known += [f"{provider}/{name}" for name, entry in table.items()
                  if entry.get("litellm_provider") == provider and "/" not in name]  # fmt: skip
        return tuple(difflib.get_close_matches(model, dict.fromkeys(known), n=3, cutoff=0.75))
    if slash:
        return _providers_like(provider, bare)
    names = [name for name in table if "/" not in name or name.endswith(f"/{model}")]
    exact = [name for name in names if name.endswith(f"/{model}") and name.count("/") == 1]
    return tuple(exact[:3]) or tuple(difflib.get_close_matches(model, names, n=3, cutoff=0.8))


def _providers_like(provider: str, bare: str) -> tuple[str, ...]:
    close = difflib.get_close_matches(provider, sorted(_providers()), n=2, cutoff=0.6)
    return tuple(f"{name}/{bare}" for name in close)


@cache
def _providers() -> frozenset[str]:
    endpoints = _file(_PROVIDERS[0]).get("providers", {})
    if not endpoints:
        return frozenset()
    listed = {str(entry.get("litellm_provider", "")) for entry in _file(_TABLE).values()}
    prefixes = {name.partition("/")[0] for name in _file(_TABLE) if "/" in name}
    folder = _folder()
    written_for = [] if folder is None else [path.name for path in (folder / "llms").glob("*/")]
    also = ("vertex_ai_beta", "sagemaker_nova")
    return frozenset({*endpoints, *_file(_PROVIDERS[1]), *written_for, *also} | (listed & prefixes))


def _size(model: str, key: str) -> int | None:
    entry = _entry(model)
    value = None if entry is None else entry.get(key)
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _tiers(entry: Mapping[str, object]) -> list[Step]:
    """The rates of an entry that is priced by ranges of prompt tokens."""
    tiers = entry.get("tiered_pricing")
    found = []
    for tier in tiers if isinstance(tiers, list) else []:
        bounds = tier.get("range")
        if isinstance(bounds, list) and (step := _step(tier, "", int(bounds[0]))) is not None:
            found.append(step)
    return found


def _flat(entry: Mapping[str, object]) -> list[Step]:
    """An entry's rates: the plain ones first, then those above a number of tokens."""
    plain = _step(entry, "", 0)
    if plain is None:
        return []
    found = [plain]
    prefix, suffix = "input_cost_per_token_above_", "k_tokens"
    for key in entry:
        size = key.removeprefix(prefix).removesuffix(suffix)
        if key.startswith(prefix) and key.endswith(suffix) and size.isdigit():
            step = _step(entry, f"_above_{size}{suffix}", int(size) * 1000)
            found += [step] if step is not None else []
    return found


def _step(entry: Mapping[str, object], ending: str, above: int) -> Step | None:
    given = _usd(entry, f"input_cost_per_token{ending}")
    taken = _usd(entry, f"output_cost_per_token{ending}")
    if taken is None and ending:
        taken = _usd(entry, "output_cost_per_token")
    if given is None or taken is None:
        return None
    cached = _usd(entry, f"cache_read_input_token_cost{ending}")
    if cached is None and not ending:
        cached = _usd(entry, "input_cost_per_token_cache_hit")
    reasoning = _usd(entry, f"output_cost_per_reasoning_token{ending}")
    return Step(above, given, taken, cached, reasoning)


def _usd(entry: Mapping[str, object], key: str) -> float | None:
    """A price per token as a price per million."""
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return round(value * _PER, 9)
