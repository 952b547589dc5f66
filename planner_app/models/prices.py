"""What a call costs, and who said so.

An unknown price is `None` and stays so: it is never counted as nothing. Prices come, in this
order, from the settings (a person's own), from litellm's table (held in the process that calls
models), or from nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from planner_app.domain.errors import BadInput

PriceSource = Literal["table", "settings"]


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens of one model."""

    input_usd_per_mtok: float
    """For a million prompt tokens."""
    output_usd_per_mtok: float
    """For a million completion tokens, reasoning included."""
    cached_usd_per_mtok: float | None = None
    """For a million prompt tokens read from the provider's cache; None: as other prompt tokens."""
    source: PriceSource = "settings"
    """Who said so: the settings, or litellm's table."""
    deprecation_date: str | None = None
    """ISO date on which the provider withdraws the model; None when unknown."""
    steps: tuple[tuple[int, float, float], ...] = ()
    """Dearer rates for long prompts: (above how many tokens, input, output), rising."""

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """US dollars for one call. `cached_tokens` are part of `prompt_tokens`."""
        given, taken = self._rates(prompt_tokens)
        cached = max(0, min(cached_tokens, prompt_tokens))
        cached_rate = given if self.cached_usd_per_mtok is None else self.cached_usd_per_mtok
        micro_usd = (
            (prompt_tokens - cached) * given + cached * cached_rate + completion_tokens * taken
        )
        return micro_usd / 1_000_000

    def worst_case(self, prompt_tokens: int, max_tokens: int) -> float:
        """US dollars that a call can cost at most: nothing cached, the whole output used."""
        given, taken = self._rates(prompt_tokens)
        dearest = max(given, self.cached_usd_per_mtok or 0.0)
        return (prompt_tokens * dearest + max_tokens * taken) / 1_000_000

    def _rates(self, prompt_tokens: int) -> tuple[float, float]:
        rates = self.input_usd_per_mtok, self.output_usd_per_mtok
        for above, given, taken in self.steps:
            if prompt_tokens > above:
                rates = given, taken
        return rates


_FIELDS = ("input", "output", "cached")


def parse_price(name: str, entry: Mapping[str, object]) -> Price:
    """A person's own price, `{input = 0.5, output = 2.0, cached = 0.1}` in USD per million tokens.

    Raises BadInput naming the model and the field.
    """
    unknown = sorted(set(entry) - set(_FIELDS))
    if unknown:
        raise BadInput(
            f"the price of {name} has an unknown field {unknown[0]!r}",
            "use input, output and cached, in USD per million tokens",
        )
    values: dict[str, float] = {}
    for field in _FIELDS:
        value = entry.get(field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadInput(f"the price of {name} has no number in {field!r}", "e.g. input = 0.5")
        if not math.isfinite(value) or value < 0:
            raise BadInput(f"the price of {name} is negative or endless in {field!r}")
        values[field] = float(value)
    if "input" not in values or "output" not in values:
        raise BadInput(f"the price of {name} needs input and output", "in USD per million tokens")
    return Price(values["input"], values["output"], values.get("cached"), "settings")
