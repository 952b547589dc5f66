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
from typing import NamedTuple

from pydantic import JsonValue

from planner_app.models.lenient import MAX_DEPTH, LenientError, LenientReader, Reason

# No object begins with another bracket: `{{` of a template is read from its second.
_OPENER = re.compile(r"[{\uff5b](?!\s*[{\[])|[\[\uff3b]")
_BRACKET = re.compile(r"[{}\[\]\uff5b\uff5d\uff3b\uff3d]")
_ANOTHER = re.compile(r"[ \t]*,[ \t]*[{\[]")
_OPENER_OF_LINE = re.compile(r"^[{\[]", re.MULTILINE)
_STRICT_FAILURES = 64
"""Each failure makes json count the lines before it; after this many only the lenient reader
goes on, which keeps the whole linear."""
_WORK_FACTOR = 4
"""Characters that the lenient reader may look at, as a multiple of the text's length."""
_MOST_WORK = 2_000_000
"""And at most so many, which takes a few seconds."""
_READING_COSTS = 16
"""To begin to read takes about as long as this many characters."""
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
    reason: Reason
    """Why; what is `ambiguous` is never repaired."""
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
        self._word = re.compile(rf"(?<!\w)(?:{options})(?!\w)", re.IGNORECASE) if known else None
        after = rf"(?:[\s,}}\]]*+[\"'](?:{options})|[ \t,}}\]]*+(?:{options}))[\"']{{1,2}}\s*:"
        self._goes_on = re.compile(after) if known else None
        self._colon = re.compile(r"(?:###)?[\"'\u201d\u2019\uff02]?\s{0,99}[:=\uff1a]")

    def go_on(self, text: str, end: int) -> bool:
        """Whether a wanted key follows after an object, which has ended too early then."""
        return self._goes_on is not None and self._goes_on.match(text, end) is not None

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
        and goes on to the next bracket at least."""
        bracket = _BRACKET.search(text, end, end + _LOOKED_AHEAD)
        return _any_between(self.keys, start, bracket.start() if bracket else end + _LOOKED_AHEAD)


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
    if too_deep(value):
        raise ValueError(_TOO_DEEP)
    return value


def find_values(text: str, names: Names) -> list[Found]:
    """The outermost values of a text and the unreadable places, in the order of the text.

    Of very many only the last 200 are kept.
    """
    return _Walk(text, names).run()


class _Failure(NamedTuple):
    """Why and where the lenient reader stopped."""

    reason: Reason
    message: str
    reached: int


class _Walk:
    """One walk over a text."""

    def __init__(self, text: str, names: Names) -> None:
        self.text = text
        self.decoder, self.reader = StrictDecoder(), LenientReader(text)
        self.names = names
        self.places = names.found_in(text)
        self.work = min(_WORK_FACTOR * len(text) + 10_000, _MOST_WORK)
        self.failures = 0
        self.closers: dict[int, int] | None = None
        self.stopped: dict[int, _Failure | None] = {}
        """Brackets from which nothing can be read, as an earlier attempt has shown: it was inside
        them when it failed, or (None) when the text ended."""

    def run(self) -> list[Found]:
        """All that is found, in order."""
        found: list[Found] = []
        at = 0
        while opener := _OPENER.search(self.text, at):
            start = opener.start()
            if self.work <= 0:
                found.append(Unreadable(start, "syntax", "too many brackets that do not pair up"))
                break
            item, at = self._strictly(start) or self._leniently(start)
            if item is not None:
                found.append(item)
            if len(found) > 2 * _KEPT:
                del found[:_KEPT]
        return found[-_KEPT:]

    def _strictly(self, start: int) -> tuple[Found, int] | None:
        """The JSON that begins at an opener and where to go on; None when it is not JSON."""
        if start in self.stopped or self.failures >= _STRICT_FAILURES:
            return None
        if self.text[start] not in "{[":
            return None
        try:
            value, end = self.decoder.decode(self.text, start)
        except ValueError:
            self.failures += 1
            return None
        if too_deep(value):
            return Unreadable(start, "depth", _TOO_DEEP), end
        if self.names.go_on(self.text, end):
            return Unreadable(start, "syntax", _ENDS_EARLY), end
        named = self.places.stand_in(start, end)
        return Candidate(value, start, end, named, dup_keys=self.decoder.dup_keys), end

    def _leniently(self, start: int) -> tuple[Found | None, int]:
        """What the lenient reader finds at an opener, and where to go on."""
        reader = self.reader
        if start in self.stopped:
            failure = self.stopped.pop(start)
            return self._unreadable(start, failure) if failure else (None, start + 1)
        try:
            reading = reader.read(start)
        except LenientError as error:
            reached = max(error.at, start + 1)
            self.work -= reached - start + _READING_COSTS
            failure = _Failure(error.reason, str(error), reached)
            self.stopped.update(dict.fromkeys(reader.open[1:], failure))
            return self._unreadable(start, failure)
        self.work -= reading.end - start + _READING_COSTS
        named = self.places.stand_in(start, reading.end)
        if reading.truncated and not named:
            self.stopped.update(dict.fromkeys(reader.open[1:]))
            return None, start + 1
        listed = named and _ANOTHER.match(self.text, reading.end)
        if listed or self.names.go_on(self.text, reading.end):
            return Unreadable(start, "syntax", _ENDS_EARLY), reading.end
        candidate = Candidate(
            reading.value,
            start,
            reading.end,
            named,
            truncated=reading.truncated,
            repaired=True,
            dup_keys=reading.duplicate_keys,
        )
        return candidate, max(reading.end, start + 1)

    def _unreadable(self, start: int, failure: _Failure) -> tuple[Unreadable | None, int]:
        """The place, if an object with wanted keys begins there or it is too deep, and where to go
        on: behind it, since what stands inside is a part of the answer and not the answer."""
        deep = failure.reason == "depth"
        if not deep and not self.places.begin_object(self.text, start, failure.reached):
            return None, start + 1
        if self.closers is None:
            self.closers = _closers(self.text)
        end = self.closers.get(start)
        if end is None:
            line = _OPENER_OF_LINE.search(self.text, failure.reached)
            end = line.start() if line else len(self.text)
        return Unreadable(start, failure.reason, failure.message), max(end, failure.reached)


def _closers(text: str) -> dict[int, int]:
    """Position after the bracket that closes each bracket, strings not told apart."""
    found: dict[int, int] = {}
    left: list[int] = []
    for mark in _BRACKET.finditer(text):
        if mark.group() in "{[\uff5b\uff3b":
            left.append(mark.start())
        elif left:
            found[left.pop()] = mark.end()
    return found


_ENDS_EARLY = "an object ends before its last key"
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"


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
