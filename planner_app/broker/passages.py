"""Finds the passages of a text in which given words stand close together."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

WINDOW = 600
"""Characters within which words count as close."""
MAX_PASSAGES = 8
_MAX_WORDS = 20


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a text."""

    page: int
    """1-based, by form feeds."""
    offset: int
    """Characters from the start of the text."""
    text: str
    """The piece as it stands, with whole words at its ends."""


def find_passages(text: str, words: str) -> tuple[Passage, ...]:
    """The best passages, those with the most different words first; none is empty.

    Upper and lower case are alike, and a word also finds its longer forms (`tax` finds `taxes`).
    """
    wanted = list(dict.fromkeys(re.findall(r"\w+", _folded(words))))[:_MAX_WORDS]
    if not wanted:
        return ()
    spots = _spots(_folded(text), wanted)
    scored: list[tuple[int, int, int]] = []  # minus the number of words, start, end
    first = 0
    counts: dict[int, int] = {}
    for last, (place, word) in enumerate(spots):
        counts[word] = counts.get(word, 0) + 1
        while place - spots[first][0] > WINDOW:
            gone = spots[first][1]
            counts[gone] -= 1
            if not counts[gone]:
                del counts[gone]
            first += 1
        scored.append((-len(counts), spots[first][0], spots[last][0]))
    return tuple(_passage(text, start, end) for start, end in _apart(sorted(scored)))


def _folded(text: str) -> str:
    """Lower case, letter for letter, so that places stay what they are."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def _spots(text: str, wanted: list[str]) -> list[tuple[int, int]]:
    """Each place where a wanted word begins, with the word's number."""
    number = {word: n for n, word in enumerate(wanted)}
    longest_first = sorted(wanted, key=len, reverse=True)
    spaced = [word for word in longest_first if not _unspaced(word)]
    joined = [word for word in longest_first if _unspaced(word)]
    forms = [rf"(?<!\w)(?:{'|'.join(map(re.escape, spaced))})"] if spaced else []
    forms += [re.escape(word) for word in joined]
    return [(found.start(), number[found.group()]) for found in re.finditer("|".join(forms), text)]


def _unspaced(word: str) -> bool:
    """Whether the script has no spaces between words."""
    return any(unicodedata.category(char) == "Lo" for char in word)


def _apart(scored: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The best windows that do not overlap."""
    kept: list[tuple[int, int]] = []
    for _, start, end in scored:
        if all(end + WINDOW // 2 < a or start - WINDOW // 2 > b for a, b in kept):
            kept.append((start, end))
            if len(kept) == MAX_PASSAGES:
                break
    return kept


def _passage(text: str, start: int, end: int) -> Passage:
    spare = max(80, (WINDOW - (end - start)) // 2)
    page_start = text.rfind("\f", 0, start) + 1
    page_end = text.find("\f", end)
    low = max(page_start, start - spare)
    high = min(len(text) if page_end < 0 else page_end, end + spare)
    if low > page_start:
        seam = re.compile(r"\s").search(text, low, start)
        low = seam.end() if seam else low
    if high == end + spare:
        seam_at = max(text.rfind(" ", end, high), text.rfind("\n", end, high))
        high = seam_at if seam_at > end else high
    return Passage(text.count("\f", 0, low) + 1, low, text[low:high])
