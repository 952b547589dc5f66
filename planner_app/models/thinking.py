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

_MARKER = re.compile(
    r"(?P<strong>(?:alternatively|another approach|let['\u2019]s try a different"
    r"|on second thoughts?)\b|instead,"
    r"|\u6216\u8005|\u53e6\u4e00\u79cd\u65b9\u6cd5|\u6362\u4e2a\u601d\u8def)"
    r"|(?P<weak>(?:wait|hmm+|actually)\b|\u7b49\u7b49|\u4e0d\u5bf9)"
)
"""In lower case."""
_STARTS = re.compile(
    r"(?:\A|[\n\r]|[.!?\u2026][\"'\u201d\u2019)\]*_]{0,4}\s|[\u3002\uff01\uff1f][\u201d\u2019\u300d\uff09]?)"
    r"[\s*_(#\-]*(?:\d{1,3}[.)]\s+)?[*_(]*(?:(?:but|so|or|and|oh|no) )?\Z"
)
"""What a sentence's first word stands behind."""
_LOOKED_BACK = 60
_ENDS = frozenset(".!?\u2026")
_FENCED = re.compile(r"^[ \t]*(`{3,}+|~{3,}+).*?(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)
_INK = re.compile(r"[^\n]")
_FIRST_WORD = re.compile(r"[^\s*_(#\-]")

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
    first = _FIRST_WORD.search(reasoning)
    starts, weak = _markers(reasoning)
    # A marker with which it begins turns away from nothing.
    later = [start for start in starts if first is not None and start > first.start()]
    bounds = [0, *later, len(reasoning)]
    estimates = [estimate_tokens(reasoning[start:end].strip()) for start, end in pairwise(bounds)]
    estimated = sum(estimates)
    total = tokens or estimated
    scale = total / estimated
    thoughts = [count * scale for count in estimates]
    short = sum(count for count in thoughts if count < SHORT_THOUGHT_TOKENS)
    switches = len(thoughts) - 1
    return Switches(
        switches=switches,
        weak=weak,
        tokens=total,
        per_1k=1000 * switches / total,
        mean_tokens=total / len(thoughts),
        short_share=short / total,
    )


def _markers(reasoning: str) -> tuple[list[int], int]:
    """Where sentences begin with a strong marker, and how many begin with a weak one.

    Code does not count. Quotation marks begin no sentence: what is quoted was not thought.
    """
    prose = _FENCED.sub(lambda found: _INK.sub(" ", found.group()), reasoning)
    # The one letter whose small form is longer than itself would move all places behind it.
    lower = prose.replace("\u0130", "i").lower()
    strong: list[int] = []
    weak = 0
    for found in _MARKER.finditer(lower):
        at = found.start()
        begins = _STARTS.search(lower, max(0, at - _LOOKED_BACK), at) is not None
        if not begins and lower[at - 1] in _ENDS:
            # Without a space a sentence begins with a capital; `www.instead,` begins none.
            begins = prose[at].isupper() or not prose[at].isascii()
        if begins and found.lastgroup == "strong":
            strong.append(at)
        elif begins:
            weak += 1
    return strong, weak
