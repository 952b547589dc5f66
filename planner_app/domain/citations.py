"""Whether a quote stands in a text, and which sources an answer cites.

Both sides are brought to one form before they are compared; what is reported is always the text
as it stands. Time is linear in the text for a bounded quote.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from planner_app.domain.normal_form import REFERENCE, NormalForm, wordy

MAX_QUOTE = 2000
"""A longer quote is not looked up: evidence is a passage, not a page."""

PAGE_BREAK = "\f"
"""Separates the pages of a source's text."""


@dataclass(frozen=True, slots=True)
class QuoteMatch:
    """Where a quote stands."""

    page: int
    """1-based page of the text, counted by form feeds, on which the quote begins."""
    offset: int
    """Characters from the start of the whole text."""
    quote: str
    """The passage as it stands in the text."""


def find_quote(text: str, quote: str) -> QuoteMatch | None:
    """The first place where `quote` stands in `text`, or None.

    A match never begins or ends inside a word or a number: `5 %` does not stand in `15 %`,
    `-5 %` or `1.5 %`. Where a quote leaves words out (`...`, `[...]`), its parts stand in their
    order near each other. None also for one that is empty, only punctuation, or too long.
    """
    if len(quote) > MAX_QUOTE:
        return None
    pages = [NormalForm(text)]
    if REFERENCE.search(text) and not REFERENCE.search(quote):
        pages.append(NormalForm(text, references=False))
    for page in pages:
        if (found := _found(page, quote)) is not None:
            return _match(text, *found)
    return None


def _found(page: NormalForm, quote: str) -> tuple[int, int] | None:
    for candidate in _forms_of(quote):
        found = page.find(candidate)
        if found is not None:
            return found
    parts = [next(_forms_of(part), "") for part in _LEFT_OUT.split(quote)]
    if 2 <= len(parts) <= MAX_PARTS and all(_weight(part) >= MIN_PART for part in parts):
        return page.find_in_order(parts)
    return None


def _match(text: str, start: int, end: int) -> QuoteMatch:
    return QuoteMatch(text.count(PAGE_BREAK, 0, start) + 1, start, text[start:end])


MIN_WEIGHT = 3
"""Letters and digits that a quote must hold to show anything; a character of a script without
spaces counts twice."""
MIN_PART = 8
"""Of each part of a quote that leaves words out."""
MAX_PARTS = 5
_LEFT_OUT = re.compile(
    r"\s*(?:\[\s*(?:\.{3,}|\u2026)\s*\]|\(\s*(?:\.{3,}|\u2026)\s*\)|\.{3,}|\u2026)\s*"
)


def is_too_short(quote: str) -> bool:
    """Whether a quote says so little that it stands almost anywhere."""
    return _weight(quote) < MIN_WEIGHT


def cut_quote(quote: str, most: int) -> str:
    """The first characters of a quote, at most so many, that end with a whole word or number:
    what ends within one stands nowhere."""
    end = most
    while 0 < end < len(quote) and _tight(quote[end - 1]) and _tight(quote[end]):
        end -= 1
    return quote[: end or most]


def _tight(char: str) -> bool:
    return wordy(char) or char in ".,-"


def _weight(text: str) -> int:
    return sum(1 if wordy(char) else 2 for char in text if char.isalnum())


def _forms_of(quote: str) -> Iterator[str]:
    """The quote in normal form, then without the quotation marks or dots wrapped around it.

    Then without the mark that ends it and a dash before it, and with its first letter in the
    other case: who quotes the middle of a sentence may end it with a stop and begin it with a
    capital.
    """
    whole = NormalForm(quote).text.strip()
    bare = whole.strip("\"' ").removeprefix("...").removesuffix("...").strip()
    forms = [whole, bare]
    bare = bare.rstrip(".,;:\u3002-")
    bare = bare[1:] if bare[:1] == "-" and bare[1:2].isalpha() else bare
    forms.append(bare)
    if bare[:1].isupper() and bare[1:2].islower() and " " in bare:
        forms.append(bare[0].lower() + bare[1:])
    for form in dict.fromkeys(forms):
        if any(char.isalnum() for char in form):
            yield form


_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_MARKER = re.compile(r"\[(\d{1,6}(?:\s*[-\u2013,;]\s*\d{1,6}){0,40})\]")
_RANGE = re.compile(r"(\d+)\s*[-\u2013]\s*(\d+)")
_MAX_RANGE = 20


def cited_ids(text: str) -> list[int]:
    """The source numbers of the markers `[3]`, `[3, 4]` and `[3-5]`, in order, each once.

    Markers inside code do not count, and neither does `[0]`: numbers begin at 1.
    """
    return _cited(without_code(text))


def unknown_ids(text: str, known: Collection[int]) -> list[int]:
    """The markers of an answer that name no source: `[9]` where there are eight.

    A number in brackets right behind a word may be an index (`a[9]`), and a high one a year: they
    are none.
    """
    apart = _INDEX.sub(" ", without_code(text))
    return [n for n in _cited(apart) if n not in known and n <= MAX_MARKER]


def without_code(text: str) -> str:
    """The text with spaces where it is code; all else keeps its place."""
    return _CODE.sub(lambda found: " " * len(found.group()), text)


MAX_MARKER = 999
_INDEX = re.compile(r"(?<=[\w)])(?:\[\d[^\]\n]{0,60}\])+(?!\()")


def _cited(text: str) -> list[int]:
    found: dict[int, None] = {}
    for marker in _MARKER.finditer(text):
        for number in _numbers(marker.group(1)):
            if number > 0:
                found[number] = None
    return list(found)


def _numbers(inside: str) -> Iterator[int]:
    for part in re.split(r"[,;]", inside):
        ends = _RANGE.search(part)
        if ends is None:
            yield int(part)
            continue
        first, last = int(ends.group(1)), int(ends.group(2))
        if 0 <= last - first < _MAX_RANGE:
            yield from range(first, last + 1)
        else:
            yield from (first, last)
