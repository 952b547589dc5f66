"""The costly last resorts for a text that is not JSON: Python literals and repair.

Each looks at 64 KB at most and gives nothing rather than a guess. Repair is believed only when
it invented and lost nothing: every string stands in the source, every word of it is kept.
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Iterator
from io import StringIO
from tokenize import COMMENT, NEWLINE, NL, STRING, TokenError, generate_tokens
from typing import Literal, NamedTuple, SupportsIndex

from pydantic import JsonValue

from planner_app.models.lenient import WORDS

MAX_COSTLY = 64 * 1024
"""Characters that a costly stage looks at; longer texts skip it."""

MAX_BRACKETS_DEEP = 60
"""Brackets inside brackets that a costly stage is given."""


_LOOKS, _LOOKS_PER_CHAR = 100_000, 12


def literal_value(source: str) -> JsonValue:
    """The value of a Python literal, or None. Nothing is executed."""
    if len(source) > MAX_COSTLY or brackets_deep(source) > MAX_BRACKETS_DEEP:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = _as_json(ast.literal_eval(source.strip()))
        return None if _strings_side_by_side(source) else value
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, TokenError):
        return None


def _strings_side_by_side(source: str) -> bool:
    """Whether Python would join two strings: more likely there is a comma or a quote missing."""
    last = 0
    for token in generate_tokens(StringIO(source.strip()).readline):
        if token.type in (COMMENT, NL, NEWLINE):
            continue
        if token.type == last == STRING:
            return True
        last = token.type
    return False


def _as_json(value: object) -> JsonValue:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys must be strings")
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not JSON")


class _Metered(str):
    """A text that may be looked at so many times only.

    json_repair looks at each character of what models write one to three times, but goes back
    again and again over prose with brackets and quotes: 8 KB of it can take seconds.
    """

    __slots__ = ("left",)
    left: int

    def __new__(cls, text: str) -> _Metered:
        made = super().__new__(cls, text)
        made.left = _LOOKS + _LOOKS_PER_CHAR * len(text)
        return made

    def __getitem__(self, at: SupportsIndex | slice) -> str:
        found = str.__getitem__(self, at)
        self.left -= 1 + len(found) // 16
        if self.left < 0:
            raise _TooCostly
        return found


class _TooCostly(Exception):
    """A repair goes over its text too often."""


def repaired_value(source: str) -> JsonValue:
    """What json_repair makes of a text, if it neither invented nor lost anything; else None."""
    if len(source) > MAX_COSTLY or brackets_deep(source) > MAX_BRACKETS_DEEP:
        return None
    from json_repair import repair_json

    try:
        value = repair_json(_Metered(source), return_objects=True, skip_json_loads=True)
    except Exception:  # noqa: BLE001 - whatever goes wrong in a repair, the text is unrepaired
        return None
    if not isinstance(value, (dict, list)) or not _faithful(source, value):
        return None
    return value


_STRUCTURE = r"[\s\"'`\u201c\u201d\u2018\u2019{}\[\],:]*+"
_GAP = re.compile(_STRUCTURE)
_EMPTY = re.compile(r"[\s{}\[\],:]*+(?<![\"'])(?:\"\"|'')")
_QUOTE_MARKS = frozenset("\"'`\u201c\u201d\u2018\u2019")
_BARE = re.compile(r"[^\"'`\\{}\[\]()<>=+*|&$%;\u201c\u201d\u2018\u2019]*")
_EMPTIES = re.compile(r"(?<!\\)(?:\"\"|'')")
_AFTER_NUMBER = re.compile(r"(?![\w.%])(?!,\d{3}(?!\d))")
_AFTER_KEY = re.compile(r"\s*+[\"'`\u201d\u2019]?\s*+:")


class _Part(NamedTuple):
    """A step through a value."""

    kind: Literal["open", "close", "key", "leaf", "item"]
    value: JsonValue = None


def _faithful(source: str, value: JsonValue) -> bool:
    """Whether the source is the leaves of the value, in order, with only marks between them, and
    with its brackets where the value has them; only closing ones may be missing."""
    at, opens, closes, empty = 0, 0, 0, 0
    for part in _parts(value):
        if part.kind in ("open", "close"):
            opens += part.kind == "open"
            closes += part.kind == "close"
            continue
        place = _leaf_place(source, at, part.value)
        if place is None or not _brackets_are(source[at : place[0]], opens, closes):
            return False
        if part.kind == "key" and not _AFTER_KEY.match(source, place[1]):
            return False
        if part.kind == "item" and _begins_no_string(source, *place):
            return False
        at, opens, closes = place[1], 0, 0
        empty += part.value == ""
    rest = source[at:]
    whole = _GAP.fullmatch(rest) is not None and _brackets_are(rest, opens, closes)
    return whole and len(_EMPTIES.findall(source)) == empty


def _brackets_are(gap: str, opens: int, closes: int) -> bool:
    return gap.count("{") + gap.count("[") == opens and gap.count("}") + gap.count("]") <= closes


def _leaf_place(source: str, at: int, leaf: JsonValue) -> tuple[int, int] | None:
    """Where a leaf stands next in the source, or None."""
    if leaf == "":
        empty = _EMPTY.match(source, at)
        return (empty.end() - 2, empty.end()) if empty else None
    gap = _GAP.match(source, at)
    latest = gap.end() if gap else at
    for text in _spellings(leaf):
        # A leaf may itself begin with what looks like structure, so look back into the gap.
        found = source.find(text, at, latest + len(text))
        if found >= 0 and _stands_whole(source, found, text, leaf):
            return found, found + len(text)
    return None


def _stands_whole(source: str, start: int, text: str, leaf: JsonValue) -> bool:
    """Whether a leaf is all that stands there: a number with all its digits, a string on one line
    without its own quotes in it, words without quotes only where they are no expression (`b"x"`,
    `f(x)`). A line end, a comma at the end, or nothing but space stood between two strings."""
    if not isinstance(leaf, str):
        return _AFTER_NUMBER.match(source, start + len(text)) is not None
    if "\n" in text or text.isspace() or text.rstrip().endswith(","):
        return False
    quote = source[start - 1 : start]
    if quote in _QUOTE_MARKS:
        closed = source[start + len(text) : start + len(text) + 1] in _QUOTE_MARKS
        return quote not in text.replace("\\" + quote, "") and (closed or '"' not in text)
    return ".." not in text and text not in WORDS and _BARE.fullmatch(text) is not None


def _spellings(leaf: JsonValue) -> tuple[str, ...]:
    if isinstance(leaf, str):
        return leaf, json.dumps(leaf, ensure_ascii=False)[1:-1], json.dumps(leaf)[1:-1]
    if leaf is None:
        return "null", "None"
    if isinstance(leaf, bool):
        return (str(leaf).lower(), str(leaf))
    return (json.dumps(leaf),)


def _begins_no_string(source: str, start: int, end: int) -> bool:
    """Whether words have a quote behind them and none before: what stands before them, up to a
    comma, may be the beginning of the same string."""
    return source[end : end + 1] in _QUOTE_MARKS and source[start - 1] not in _QUOTE_MARKS


def _parts(value: JsonValue, inside: Literal["leaf", "item"] = "leaf") -> Iterator[_Part]:
    if not isinstance(value, (dict, list)):
        yield _Part(inside, value)
        return
    yield _Part("open")
    if isinstance(value, dict):
        for key, item in value.items():
            yield _Part("key", key)
            yield from _parts(item)
    else:
        for item in value:
            yield from _parts(item, "item")
    yield _Part("close")


def brackets_deep(text: str) -> int:
    """Most brackets open at once, strings not told apart: an upper bound."""
    deepest = now = 0
    for mark in re.findall(r"[\[\]{}()]", text):
        now = now + 1 if mark in "[{(" else max(0, now - 1)
        deepest = max(deepest, now)
    return deepest
