"""Read JSON as models write it: comments, bare keys, missing commas, Python's words, odd quotes.

One pass from a position, no backtracking, nothing executed. Where a reading would be a guess
(`1,234`, `50%`, quotes that do not pair up) it refuses instead.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

MAX_DEPTH = 100
"""Brackets inside brackets; deeper input is refused, so recursion is bounded."""


Reason = Literal["syntax", "ambiguous", "depth"]
"""`ambiguous`: a value that could mean two things, or none; `depth`: too many brackets."""


class LenientError(Exception):
    """The text cannot be read from here without guessing."""

    def __init__(self, reason: Reason, message: str, at: int) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.at = at
        """Position that was reached."""


@dataclass(slots=True)
class Reading:
    """One value read."""

    value: JsonValue
    """What was read; NaN and infinities are None."""
    end: int
    """Position after it."""
    truncated: bool
    """The text ended inside it."""
    duplicate_keys: bool
    """An object named a key twice; the last one won."""


@dataclass(slots=True)
class _State:
    truncated: bool = False
    duplicates: bool = False
    python: bool = False
    reached: int = field(default=0)


_SPACE = r"[\s\ufeff\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\u061c]"
_SKIP = re.compile(rf"(?:{_SPACE}+|//[^\n]*|#(?!##)[^\n]*|/\*.*?(?:\*/|\Z))*", re.DOTALL)
_OPEN_OBJECT, _CLOSE_OBJECT = "{\uff5b", "}\uff5d"
_OPEN_LIST, _CLOSE_LIST = "[\uff3b(\u3010", "]\uff3d)\u3011"
_COMMA, _COLON = ",\uff0c\u3001", ":\uff1a"
_QUOTES: dict[str, str] = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\u201c": "\u201d",
    "\u201d": "\u201d",
    "\u201e": "\u201c",
    "\u2018": "\u2019",
    "\u2019": "\u2019",
    "\uff02": "\uff02",
    "\uff07": "\uff07",
    "\u00ab": "\u00bb",
    "\u300c": "\u300d",
    "\u300e": "\u300f",
}
_BARE_KEY = re.compile(r"[A-Za-z_$#][\w$#-]*")
_WORD = re.compile(r"[A-Za-z_$][\w$-]*")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
WORDS: dict[str, JsonValue] = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    "null": None, "None": None, "NULL": None, "Null": None, "undefined": None,
    "NaN": None, "nan": None, "Infinity": None, "inf": None,
}  # fmt: skip
"""Words that stand for values, without quotes."""
_NOT_FINITE = re.compile(r"[-+](?:Infinity|inf|NaN|nan)\b")
# What may stand between a string and its delimiter. Comments are kept short here, since this is
# looked at after every quote: an endless one would make the whole quadratic.
_GAP = re.compile(
    rf"(?:{_SPACE}|(?<=\s)//[^\n]{{0,300}}\n|(?<=\s)#[^\n]{{0,300}}\n|/\*.{{0,300}}?\*/)*+",
    re.DOTALL,
)
_DELIMITERS = _COMMA + _CLOSE_OBJECT + _CLOSE_LIST + _COLON
_AFTER_VALUE = _COMMA + _CLOSE_OBJECT + _CLOSE_LIST
_NEXT_STRING = re.compile(r"[ \t]{1,99}[\"'\u201c]")
_NEXT_KEY = re.compile(r"[\"'\u201c][\w #-]{1,80}[\"'\u201d]\s{0,9}[:\uff1a]")
_TYPE_WORDS = frozenset(
    {
        "str", "string", "int", "integer", "float", "number", "bool", "boolean", "list", "array",
        "dict", "object", "any",
    }
)  # fmt: skip
_ASCII_WORD = re.compile(r"\w", re.ASCII)
_ESCAPES = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
    "'": "'", "`": "`",
}  # fmt: skip
_PYTHON_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})|\\U([0-9a-fA-F]{8})")
"""What Python prints where JSON has `\\u`; JSON's own strings do not stand in single quotes."""
_HEX4 = re.compile(r"[0-9a-fA-F]{4}")
_CLOSING_FENCE = re.compile(r"\n[ \t]*```\s*\Z")
_VALUE_FENCE = re.compile(r"```[\w+-]*[ \t]*\n")


class _Missing:
    """Stands for a value that the end of the text cut off."""


_MISSING = _Missing()


def _is_unit(mark: str) -> bool:
    return mark in "%\uff05\u2030\u00b0" or unicodedata.category(mark) == "Sc"


_LOOKED_BACK = 40


class LenientReader:
    """Reads values of one text, wherever they are said to begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.size = len(text)
        self.state = _State()
        self.open: list[int] = []
        """Where the brackets begin that are open: after a value that was cut off or could not be
        read, those in which reading stopped. To read from one of them would stop there too."""
        self.last: dict[str, int] = {}

    def read(self, start: int) -> Reading:
        """The value that begins at `start`. Raises LenientError."""
        self.state = _State()
        self.open = []
        try:
            value, end = self._value(start, 0)
        except RecursionError:
            raise LenientError("depth", "nested too deeply", self.state.reached) from None
        return Reading(value, end, self.state.truncated, self.state.duplicates)

    def _value(self, at: int, depth: int) -> tuple[JsonValue, int]:
        value, end = self._maybe(at, depth)
        if isinstance(value, _Missing):
            raise LenientError("syntax", "the text ends before a value", end)
        return value, end

    def _maybe(self, at: int, depth: int) -> tuple[JsonValue | _Missing, int]:
        at = self._skip(at)
        self.state.reached = at
        if at >= self.size:
            self.state.truncated = True
            return _MISSING, at
        char = self.text[at]
        if char in _OPEN_OBJECT or char in _OPEN_LIST:
            return self._bracket(at, depth + 1)
        if char in _QUOTES:
            if self._ends(at) and self._fenced(at) is None:
                self.state.truncated = True
                return _MISSING, at
            return self._string(at)
        return self._scalar(at)

    def _bracket(self, at: int, depth: int) -> tuple[JsonValue, int]:
        if depth > MAX_DEPTH:
            raise LenientError("depth", f"nested deeper than {MAX_DEPTH} levels", at)
        self.open.append(at)
        members = self._object if self.text[at] in _OPEN_OBJECT else self._list
        value, end = members(at + 1, depth)
        if not self.state.truncated:
            self.open.pop()
        before = self.text[max(at + 1, end - _LOOKED_BACK) : end - 1].rstrip()[-1:]
        if self.text[at] == "(" and isinstance(value, list) and len(value) == 1 and before != ",":
            return value[0], end  # Python's parentheses; its tuple of one has a comma
        return value, end

    def _skip(self, at: int) -> int:
        found = _SKIP.match(self.text, at)
        return found.end() if found else at

    def _ends(self, at: int) -> bool:
        """The text, or the fenced block that it stands in, ends here."""
        return at >= self.size or self.text.startswith("```", at)

    def _fail(self, message: str, at: int) -> LenientError:
        return LenientError("syntax", message, at)

    def _object(self, at: int, depth: int) -> tuple[JsonValue, int]:
        result: dict[str, JsonValue] = {}
        while True:
            at = self._skip(at)
            if self._ends(at):
                self.state.truncated = True
                return result, at
            char = self.text[at]
            if char in _CLOSE_OBJECT:
                return result, at + 1
            if char in _CLOSE_LIST:
                raise self._fail("an object is closed by another bracket", at)
            if char in _COMMA and result:
                at += 1
                continue
            key, at = self._key(at)
            if key is None:
                return result, at
            value, at = self._maybe(at, depth)
            if isinstance(value, _Missing):
                return result, at
            if key in result:
                self.state.duplicates = True
            result[key] = value
            at = self._between(at, _CLOSE_OBJECT)

    def _key(self, at: int) -> tuple[str | None, int]:
        """A key and the position after its colon; None when the text ends first."""
        if self.text[at] in _QUOTES:
            key, end = self._string(at)
        else:
            found = _BARE_KEY.match(self.text, at)
            if found is None and self.text[at].isdigit():
                raise LenientError("ambiguous", "a number with a comma inside", at)
            if found is None:
                raise self._fail("a key was expected", at)
            key, end = found.group(), found.end()
        end = self._skip(end)
        if self._ends(end):
            self.state.truncated = True
            return None, end
        if self.text[end] not in _COLON:
            raise self._fail("a colon was expected", end)
        return key, end + 1

    def _list(self, at: int, depth: int) -> tuple[JsonValue, int]:
        result: list[JsonValue] = []
        while True:
            at = self._skip(at)
            if self._ends(at):
                self.state.truncated = True
                return result, at
            char = self.text[at]
            if char in _CLOSE_LIST:
                return result, at + 1
            if char in _CLOSE_OBJECT:
                raise self._fail("a list is closed by another bracket", at)
            if char in _COMMA and result:
                at += 1
                continue
            value, at = self._maybe(at, depth)
            if isinstance(value, _Missing):
                return result, at
            result.append(value)
            at = self._between(at, _CLOSE_LIST)

    def _between(self, at: int, closers: str) -> int:
        """Past the comma after a member. A comma may be left out only where a space stands."""
        after = self._skip(at)
        if self._ends(after) or self.text[after] in closers:
            return after
        if self.text[after] in _COMMA:
            return after + 1
        if after > at:
            return after
        raise self._fail("a comma was expected", after)

    def _string(self, at: int) -> tuple[str, int]:
        text, quote = self.text, self.text[at]
        self.state.python = self.state.python or quote == "'"
        for triple in ('"""', "'''"):
            if text.startswith(triple, at):
                return self._triple(at + 3, triple)
        if quote == "`" and (fenced := self._fenced(at)):
            return fenced
        closer = _QUOTES[quote]
        if closer != quote and self._last(closer) <= at:
            closer = '"'
        parts: list[str] = []
        inner, at = 0, at + 1
        stop = _STOPS[closer]
        while True:
            found = stop.search(text, at)
            if found is None:
                if inner % 2:
                    raise self._fail("quotes inside a string are not escaped", self.size)
                self.state.truncated = True
                return _CLOSING_FENCE.sub("", "".join([*parts, text[at:]])), self.size
            mark = found.start()
            parts.append(text[at:mark])
            if text[mark] == "\\":
                piece, at = self._escape(mark)
                parts.append(piece)
            elif closer == "`" or self._ends_string(mark):
                if inner % 2:
                    raise self._fail("quotes inside a string are not escaped", mark)
                return "".join(parts), mark + 1
            else:
                if _NEXT_STRING.match(text, mark + 1):
                    raise self._fail("two strings stand side by side", mark)
                if not self._apostrophe(mark):
                    inner += 1
                    if not self._quotes_a_word(mark, opens=inner % 2 == 1):
                        raise self._fail("quotes inside a string are not escaped", mark)
                parts.append(closer)
                at = mark + 1

    def _last(self, closer: str) -> int:
        if closer not in self.last:
            self.last[closer] = self.text.rfind(closer)
        return self.last[closer]

    def _ends_string(self, mark: int) -> bool:
        """Whether the quote at `mark` ends its string: a delimiter, the end, or (where a comma
        was left out) the next string follows. Any other quote stands inside the string."""
        text = self.text
        gap = _GAP.match(text, mark + 1)
        after = gap.end() if gap else mark + 1
        if after >= self.size or text[after] in _DELIMITERS:
            return True
        if after == mark + 1 or text[after] not in _QUOTES:
            return False
        return "\n" in text[mark:after] or _NEXT_KEY.match(text, after) is not None

    def _apostrophe(self, mark: int) -> bool:
        text = self.text
        return (
            text[mark] in "'\u2019\uff07"
            and text[mark - 1].isalnum()
            and text[mark + 1 : mark + 2].isalnum()
        )

    def _quotes_a_word(self, mark: int, *, opens: bool) -> bool:
        """Whether a quote inside a string stands as a quoting one does: outside of the word
        before what it opens, after what it closes. `"a" + "b"` is no string with quotes in it."""
        before, after = self.text[mark - 1], self.text[mark + 1 : mark + 2]
        outer, inner = (before, after) if opens else (after, before)
        return not _ASCII_WORD.match(outer) and not inner.isspace()

    def _fenced(self, at: int) -> tuple[str, int] | None:
        """The inside of a fenced block that stands as a value, and the position after it."""
        opening = _VALUE_FENCE.match(self.text, at)
        if opening is None:
            return None
        end = self.text.find("```", opening.end())
        if end < 0:
            return None
        inside = self.text[opening.end() : end].rstrip(" \t")
        return inside.removesuffix("\n"), end + 3

    def _triple(self, at: int, quotes: str) -> tuple[str, int]:
        end = self.text.find(quotes, at)
        if end < 0:
            self.state.truncated = True
            end = self.size
        parts: list[str] = []
        while True:
            slash = self.text.find("\\", at, end)
            if slash < 0:
                return "".join([*parts, self.text[at:end]]), min(end + 3, self.size)
            parts.append(self.text[at:slash])
            piece, at = self._escape(slash)
            parts.append(piece)

    def _escape(self, slash: int) -> tuple[str, int]:
        """What a backslash stands for. One that JSON does not know stays as it is written."""
        mark = self.text[slash + 1 : slash + 2]
        if not mark:
            self.state.truncated = True
            return "", slash + 1
        if mark == "u":
            digits = _HEX4.match(self.text, slash + 2)
            if digits is None:
                return "\\u", slash + 2
            code, end = int(digits.group(), 16), digits.end()
            low = _HEX4.match(self.text, end + 2) if self.text.startswith("\\u", end) else None
            if 0xD800 <= code < 0xDC00 and low and 0xDC00 <= int(low.group(), 16) < 0xE000:
                code = 0x10000 + ((code - 0xD800) << 10) + int(low.group(), 16) - 0xDC00
                end = low.end()
            return chr(code), end
        if self.state.python and (written := _PYTHON_ESCAPE.match(self.text, slash)):
            code = int(written.group(1) or written.group(2), 16)
            if code <= sys.maxunicode:
                return chr(code), written.end()
        return _ESCAPES.get(mark, "\\" + mark), slash + 2

    def _scalar(self, at: int) -> tuple[JsonValue | _Missing, int]:
        text = self.text
        found = _NUMBER.match(text, at)
        if found is not None:
            return self._number(found.group(), at, found.end())
        odd = _NOT_FINITE.match(text, at)
        if odd is not None:
            return None, odd.end()
        if text[at] in "+-." and self._ends(at + 1):
            self.state.truncated = True
            return _MISSING, at + 1
        word = _WORD.match(text, at)
        if _is_unit(text[at]):
            raise LenientError("ambiguous", f"{text[at : at + 8]!r} is not a plain number", at)
        if word is None:
            raise self._fail("a value was expected", at)
        end = word.end()
        after = self._skip(end)
        if after < self.size and text[after] not in _AFTER_VALUE:
            if not (word.group() in WORDS and after > end):
                raise self._fail("a value without quotes", after)
        elif after >= self.size and word.group() not in WORDS:
            self.state.truncated = True
            return _MISSING, after
        if word.group() in _TYPE_WORDS:
            raise LenientError("ambiguous", f"{word.group()} is a type and no value", after)
        value = WORDS.get(word.group(), word.group())
        return value, end

    def _number(self, digits: str, at: int, end: int) -> tuple[JsonValue, int]:
        text = self.text
        plain = digits.lstrip("+-")
        leading_zero = len(plain) > 1 and plain[0] == "0" and plain[1].isdigit()
        after = text[end : end + 1]
        odd = after and after not in _AFTER_VALUE + "#/" and not after.isspace()
        if odd or leading_zero or len(digits) > 400:
            shown = text[at : end + 8].split("\n")[0]
            raise LenientError("ambiguous", f"{shown!r} is not a plain number", end)
        beyond = self._skip(end)
        if beyond < self.size and beyond > end and _is_unit(text[beyond]):
            raise LenientError("ambiguous", f"{text[at : beyond + 1]!r} is not a plain number", end)
        if any(mark in digits for mark in ".eE"):
            return float(digits), end
        return int(digits), end


_STOPS = {closer: re.compile(f"[\\\\{re.escape(closer)}]") for closer in {*_QUOTES.values(), '"'}}
