"""What a call costs, and who said so.

An unknown price is `None` and stays so: it is never counted as nothing. Prices come, in this
order, from the settings (a person's own), from litellm's table, or from nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PriceSource = Literal["table", "settings"]
_PER = 1_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """Rates for prompts over a length, in US dollars for a million tokens."""

    above: int
    """Tokens of the prompt."""
    input: float
    output: float
    cached: float | None = None
    reasoning: float | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens of one model."""

    input_usd_per_mtok: float
    """For a million prompt tokens."""
    output_usd_per_mtok: float
    """For a million completion tokens."""
    cached_usd_per_mtok: float | None = None
    """For a million prompt tokens read from the provider's cache; None: as other prompt tokens."""
    reasoning_usd_per_mtok: float | None = None
    """For a million completion tokens of reasoning; None: as other completion tokens."""
    source: PriceSource = "settings"
    """Who said so: the settings, or litellm's table."""
    steps: tuple[Step, ...] = ()
    """Dearer rates for long prompts, rising."""

    def cost(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int = 0,
        reasoning_tokens: int = 0,
    ) -> float:
        """US dollars for one call. `cached_tokens` are part of `prompt_tokens`, and
        `reasoning_tokens` of `completion_tokens`."""
        given, taken, cached_rate, thought_rate = self._rates(prompt_tokens)
        cached = max(0, min(cached_tokens, prompt_tokens))
        thought = max(0, min(reasoning_tokens, completion_tokens))
        prompt = (prompt_tokens - cached) * given + cached * cached_rate
        completion = (completion_tokens - thought) * taken + thought * thought_rate
        return (prompt + completion) / _PER

    def worst_case(self, prompt_tokens: int, max_tokens: int) -> float:
        """US dollars that a call can cost at most: the whole output used, all at the dearest."""
        given, taken, cached, thought = self._rates(prompt_tokens)
        return (prompt_tokens * max(given, cached) + max_tokens * max(taken, thought)) / _PER

    def _rates(self, prompt_tokens: int) -> tuple[float, float, float, float]:
        """Input, output, cached input and reasoning for a prompt of this length."""
        rates = Step(
            0,
            self.input_usd_per_mtok,
            self.output_usd_per_mtok,
            self.cached_usd_per_mtok,
            self.reasoning_usd_per_mtok,
        )
        for step in self.steps:
            if prompt_tokens > step.above:
                rates = step
        cached = rates.input if rates.cached is None else rates.cached
        thought = rates.output if rates.reasoning is None else rates.reasoning
        return rates.input, rates.output, cached, thought
