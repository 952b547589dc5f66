"""litellm's table of prices, read as the file it is: litellm itself is not imported.

Reading it takes some 30 ms, once per process.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from planner_app.models.prices import Price

_FILE = "model_prices_and_context_window_backup.json"
_PER = 1_000_000


@cache
def _table() -> Mapping[str, Mapping[str, object]]:
    found = importlib.util.find_spec("litellm")
    if found is None or found.origin is None:
        return {}
    path = Path(found.origin).parent / _FILE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError:  # another release keeps it elsewhere: then no price is known
        return {}
    return table if isinstance(table, dict) else {}


def _entry(model: str) -> Mapping[str, object] | None:
    table = _table()
    bare = model.partition("/")[2]
    # `openai/gpt-5` is listed as `gpt-5`; a provider's own name comes first.
    for name in (model, bare) if model.startswith(("openai/", "anthropic/")) else (model,):
        entry = table.get(name)
        if entry is not None:
            return entry
    return None


def table_price(model: str) -> Price | None:
    """The price of a model by its litellm name; None when the table does not know it."""
    entry = _entry(model)
    if entry is None:
        return None
    first, second = _number(entry, "input_cost_per_token"), _number(entry, "output_cost_per_token")
    if first is None or second is None:
        return None
    cached = _number(entry, "cache_read_input_token_cost")
    date = entry.get("deprecation_date")
    return Price(
        input_usd_per_mtok=first * _PER,
        output_usd_per_mtok=second * _PER,
        cached_usd_per_mtok=None if cached is None else cached * _PER,
        source="table",
        deprecation_date=date if isinstance(date, str) else None,
        steps=_steps(entry),
    )


def context_window(model: str) -> int | None:
    """Tokens of prompt that a model takes, by the table; None when it does not say."""
    entry = _entry(model)
    size = None if entry is None else _number(entry, "max_input_tokens")
    return None if size is None else int(size)


def output_limit(model: str) -> int | None:
    """Tokens that a reply may have, by the table; None when it does not say."""
    entry = _entry(model)
    size = None if entry is None else _number(entry, "max_output_tokens")
    return None if size is None else int(size)


def _steps(entry: Mapping[str, object]) -> tuple[tuple[int, float, float], ...]:
    """Dearer rates for long prompts: (above how many tokens, input, output), rising."""
    steps = []
    prefix, suffix = "input_cost_per_token_above_", "k_tokens"
    for key in entry:
        size = key.removeprefix(prefix).removesuffix(suffix)
        if not (key.startswith(prefix) and key.endswith(suffix) and size.isdigit()):
            continue
        given = _number(entry, key)
        taken = _number(entry, f"output_cost_per_token_above_{size}{suffix}")
        base = _number(entry, "output_cost_per_token")
        if given is not None:
            steps.append((int(size) * 1000, given * _PER, (taken or base or 0.0) * _PER))
    return tuple(sorted(steps))


def _number(entry: Mapping[str, object], key: str) -> float | None:
    value = entry.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
