"""Find the JSON values that stand in a text, strictly read where possible, leniently elsewhere.

One walk from left to right. What was read is not looked into again; what could not be read is
remembered with its reason, since an unreadable last object must not let an earlier draft win.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from planner_app.models.lenient import MAX_DEPTH, LenientError, LenientReader

# No object begins with another bracket: `{{` of a template is read from its second.
_OPENER = re.compile(r"[{\uff5b](?!\s*[{\[])|[\[\uff3b]")
_STRICT_FAILURES = 200
"""Each failure makes json count the lines before it; after this many only the lenient reader
goes on, which keeps the whole linear."""
_WORK_FACTOR = 4
_KEPT = 200
_LOOKED_AHEAD = 300


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that was read."""

    value: JsonValue
    """What it says."""
    start: int
    """Position of its first character."""
    end: int
    """Position after its last."""
    named: bool
    """One of the wanted keys stands in it."""
    truncated: bool = False
    """The text ended inside it."""
    repaired: bool = False
    """It was not JSON as it stood."""
    dup_keys: bool = False
    """An object named a key twice."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place where an object with wanted keys begins and could not be read."""

    start: int
    """Position of its first character."""
    reason: Literal["syntax", "number", "depth"]
    """`number`: a number that could mean two things."""
    message: str
    """For people and for the model."""


Found = Candidate | Unreadable


class Names:
    """The keys that are wanted, as they may be written in a text."""

    def __init__(self, names: Iterable[str]) -> None:
        known = sorted(set(names), key=len, reverse=True)
        self.names = frozenset(known)
        """The keys themselves; empty when any object will do."""
        options = "|".join(map(re.escape, known))
        self._word = re.compile(rf"(?<!\w)(?:{options})(?!\w)") if known else None
        self._colon = re.compile(r"(?:###)?[\"'\u201d\u2019\uff02]?\s{0,99}[:=\uff1a]")

    def found_in(self, text: str) -> Places:
        """Where they stand in a text."""
        if self._word is None:
            return Places(None, [])
        words = list(self._word.finditer(text))
        keys = [word.start() for word in words if self._colon.match(text, word.end())]
        return Places([word.start() for word in words], keys)


@dataclass(frozen=True, slots=True)
class Places:
    """Where wanted keys stand in one text, in order."""

    words: list[int] | None
    """Everywhere; None when any object will do."""
    keys: list[int]
    """Where a colon follows."""

    def stand_in(self, start: int, end: int) -> bool:
        """Whether a wanted key stands in this part of the text."""
        return self.words is None or _any_between(self.words, start, end)

    def begin_object(self, text: str, start: int, end: int) -> bool:
        """Whether an object with a wanted key and its colon begins here; it was read up to `end`,
        and a mark or two may be missing in it."""
        closer = text.find("}", end - 1, end + _LOOKED_AHEAD)
        return _any_between(self.keys, start, end + _LOOKED_AHEAD if closer < 0 else closer)


def _any_between(places: list[int], start: int, end: int) -> bool:
    index = bisect_left(places, start)
    return index < len(places) and places[index] < end


class StrictDecoder:
    """json, but for raw line ends in strings, the last of two keys, and None for NaN."""

    def __init__(self) -> None:
        self.dup_keys = False
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=_not_finite, strict=False
        )

    def decode(self, text: str, start: int = 0) -> tuple[JsonValue, int]:
        """The value at a position and the position after it. Raises ValueError."""
        self.dup_keys = False
        try:
            value, end = self._decoder.raw_decode(text, start)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        return value, end

    def _object(self, pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        made = dict(pairs)
        if len(made) < len(pairs):
            self.dup_keys = True
        return made


def _not_finite(_word: str) -> None:
    return None


def decode_whole(text: str) -> JsonValue:
    """The value that a whole text is, strictly. Raises ValueError."""
    body = text.strip()
    value, end = StrictDecoder().decode(body)
    if end != len(body):
        raise ValueError("more follows")
    return value


def find_values(text: str, names: Names) -> list[Found]:
    """The outermost values of a text and the unreadable places, in the order of the text.

    Of very many only the last 200 are kept.
    """
    found: list[Found] = []
    decoder, reader, places = StrictDecoder(), LenientReader(text), names.found_in(text)
    failures, work, at = 0, _WORK_FACTOR * len(text) + 10_000, 0
    while work > 0 and (opener := _OPENER.search(text, at)):
        start = opener.start()
        if failures < _STRICT_FAILURES and text[start] in "{[":
            try:
                value, end = decoder.decode(text, start)
            except ValueError:
                failures += 1
            else:
                if too_deep(value):
                    found.append(Unreadable(start, "depth", _TOO_DEEP))
                else:
                    named = places.stand_in(start, end)
                    found.append(Candidate(value, start, end, named, dup_keys=decoder.dup_keys))
                at = end
                continue
        item, at, cost = _leniently(reader, start, places)
        work -= cost
        if item is not None:
            found.append(item)
        if len(found) > 2 * _KEPT:
            del found[:_KEPT]
    return found[-_KEPT:]


_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"


def _leniently(reader: LenientReader, start: int, places: Places) -> tuple[Found | None, int, int]:
    """What stands at an opener, where to go on, and how many characters were looked at."""
    try:
        reading = reader.read(start)
    except LenientError as error:
        reached = max(error.at, start + 1)
        cost = reached - start
        if error.reason == "depth":
            return Unreadable(start, "depth", str(error)), reached, cost
        if places.begin_object(reader.text, start, reached + 1):
            return Unreadable(start, error.reason, str(error)), start + 1, cost
        return None, start + 1, cost
    cost = reading.end - start
    named = places.stand_in(start, reading.end)
    if reading.truncated and not named:
        return None, start + 1, cost
    candidate = Candidate(
        reading.value,
        start,
        reading.end,
        named,
        truncated=reading.truncated,
        repaired=True,
        dup_keys=reading.duplicate_keys,
    )
    return candidate, max(reading.end, start + 1), cost


def too_deep(value: JsonValue) -> bool:
    """Whether a value nests deeper than we are willing to keep."""
    level: list[JsonValue] = [value]
    for _ in range(MAX_DEPTH + 1):
        following: list[JsonValue] = []
        for item in level:
            if isinstance(item, dict):
                following.extend(item.values())
            elif isinstance(item, list):
                following.extend(item)
        if not following:
            return False
        level = following
    return True
