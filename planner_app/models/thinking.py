"""Measure underthinking: how often a chain of thought changes its approach.

A proxy, and it says so. Segments are cut at strong markers at the start of a sentence; weak ones
are counted apart. Hidden or summarised reasoning is not measurable, which is never the same as 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from planner_app.models.profiles import Visibility
from planner_app.models.tokens import estimate_tokens

_SENTENCE_START = (
    r"(?:\A|(?<=\n)|(?<=[.!?\u2026:;]\s)|(?<=[\u3002\uff01\uff1f\uff1b\uff1a]))"
    r"[ \t>*_\"'\u201c\u2018(\-]*"
)
_STRONG = re.compile(
    _SENTENCE_START + r"(?P<marker>"
    r"(?:but |so |or |and )?alternatively\b|another approach\b|let['\u2019]s try a different\b"
    r"|on second thought\b|on second thoughts\b|instead,"
    r"|\u6216\u8005|\u53e6\u4e00\u79cd\u65b9\u6cd5|\u6362\u4e2a\u601d\u8def)",
    re.IGNORECASE,
)
_WEAK = re.compile(
    _SENTENCE_START
    + r"(?:(?:but |oh |no |so )?(?:wait|hmm+|actually)\b|\u7b49\u7b49|\u4e0d\u5bf9)",
    re.IGNORECASE,
)

SHORT_THOUGHT_TOKENS = 150
"""A thought with fewer tokens than this is short."""


@dataclass(frozen=True, slots=True)
class Switches:
    """How a chain of thought moved between approaches."""

    switches: int
    """Changes of approach: strong markers at the start of a sentence."""
    weak: int
    """Hesitations: weak markers at the start of a sentence."""
    tokens: int
    """Tokens of the reasoning, counted by the provider or estimated."""
    per_1k: float
    """Switches per 1,000 tokens."""
    mean_tokens: float
    """Mean tokens per thought."""
    short_share: float
    """Share of the tokens that stand in thoughts under 150 tokens, 0 to 1."""

    @property
    def underthinking(self) -> bool:
        """Many short thoughts: over 5 switches per 1k, mean under 150 tokens, at least 4."""
        return self.per_1k > 5 and self.mean_tokens < SHORT_THOUGHT_TOKENS and self.switches >= 4


def measure_switches(
    reasoning: str, visible: Visibility = "full", tokens: int | None = None
) -> Switches | None:
    """The switches of one reply's reasoning; None when it is not measurable.

    `tokens` is the provider's count for the whole reasoning; without one it is estimated.
    """
    if visible in ("summary", "hidden") or not reasoning.strip():
        return None
    starts = [found.start("marker") for found in _STRONG.finditer(reasoning)]
    bounds = [0, *(start for start in starts if reasoning[:start].strip()), len(reasoning)]
    estimates = [estimate_tokens(reasoning[start:end].strip()) for start, end in pairwise(bounds)]
    estimated = sum(estimates)
    total = tokens or estimated
    scale = total / estimated
    thoughts = [count * scale for count in estimates]
    short = sum(count for count in thoughts if count < SHORT_THOUGHT_TOKENS)
    switches = len(thoughts) - 1
    return Switches(
        switches=switches,
        weak=len(_WEAK.findall(reasoning)),
        tokens=total,
        per_1k=1000 * switches / total,
        mean_tokens=total / len(thoughts),
        short_share=short / total,
    )
