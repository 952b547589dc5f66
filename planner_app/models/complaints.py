"""Read what a provider says in the body of an error: its words, its codes, how long to wait.

Every provider wraps its words differently: in `error.message`, a bare string, a list of problems
by field, another provider's body as text within. All of it is data from outside, so nothing here
raises, and what cannot be read is left as the text that it is.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_DEPTH = 5
_MAX_BODY = 100_000
_MAX_TEXT = 10_000
_HELD = ("error", "message", "detail", "errors", "msg", "promptFeedback")
_SIGNS = ("code", "type", "status", "reason", "blockReason")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a provider complains about."""

    text: str
    """Its words for people; empty when it has none."""
    signs: str = ""
    """Its codes and types in lower case, with spaces between."""
    status: int | None = None
    """The HTTP status that the body names; None: it names none."""
    delay_s: float | None = None
    """Seconds after which it wants to be asked again; None: it does not say."""


def read_complaint(body: object) -> Complaint:
    """The complaint in a body: text, bytes as text, or parsed JSON."""
    value = _decoded(body)
    text = " ".join(_words(value, 0)[:_MAX_TEXT].split())
    signs = " ".join(dict.fromkeys(_signs(value, 0))).lower()
    codes = [int(sign) for sign in signs.split() if re.fullmatch(r"[45]\d\d", sign)]
    delay = next(_delays(value, 0), None)
    return Complaint(text, signs, codes[0] if codes else None, delay or spoken_delay(text))


def _decoded(body: object) -> object:
    """JSON within text, and the bytes that somebody turned into text by `str`."""
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if not isinstance(body, str):
        return body
    text = body[:_MAX_BODY].strip()
    if text[:2] in ("b'", 'b"'):
        try:
            text = ast.literal_eval(text).decode("utf-8", "replace").strip()
        except (ValueError, SyntaxError, AttributeError, RecursionError, MemoryError):
            return text
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _words(value: object, depth: int) -> str:
    """The words of a body, however they are wrapped."""
    if depth > _MAX_DEPTH:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(item, depth + 1) for item in value[:3])))
    if not isinstance(value, dict):
        return ""
    metadata = value.get("metadata")
    if isinstance(metadata, dict) and metadata.get("raw"):
        inner = _words(_decoded(metadata["raw"]), depth + 1)
        if inner:
            return inner
    if value.get("blockReason"):
        return f"blocked: {value['blockReason']}"
    for name in _HELD:
        if value.get(name) and (said := _words(_decoded(value[name]), depth + 1)):
            place = value.get("loc")
            field = f"{place[-1]}: " if isinstance(place, list) and place else ""
            return field + said
    return ""


def _signs(value: object, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in value[:8]:
            yield from _signs(item, depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in _SIGNS and isinstance(item, str | int) and len(str(item)) <= 100:
                yield str(item)
            elif name == "raw":
                yield from _signs(_decoded(item), depth + 1)
            elif isinstance(item, dict | list):
                yield from _signs(item, depth + 1)


def _delays(value: object, depth: int) -> Iterator[float]:
    """Google tells the delay among the details."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in value[:8]:
            yield from _delays(item, depth + 1)
    elif isinstance(value, dict):
        told = value.get("retryDelay")
        if isinstance(told, str) and (seconds := _duration(told)) is not None:
            yield seconds
        for item in value.values():
            if isinstance(item, dict | list):
                yield from _delays(item, depth + 1)


_SPOKEN = re.compile(
    r"(?:try again|retry) (?:in|after) ((?:[\d.]+ ?(?:ms|h|m|s)[a-z]*\s*)+)", re.IGNORECASE
)
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(ms|h|m|s)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def spoken_delay(text: str) -> float | None:
    """Seconds in words such as `Please try again in 1m30.5s`; None: nothing of the kind."""
    found = _SPOKEN.search(text)
    return _duration(found.group(1)) if found else None


def _duration(text: str) -> float | None:
    parts = _PART.findall(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else None


_WINDOWS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"> ?([\d,]{1,12}) maximum",
        r"(?:context|prompt) (?:length|size|window)[a-z ]{0,9}[ (]([\d,]{1,12})",
        r"([\d,]{1,12}) (?:tokens )?maximum context length",
        r"maximum number of tokens allowed \(([\d,]{1,12})\)",
        r"exceed context limit: [\d, +]{1,30}> ([\d,]{1,12})",
        r"must be <= ([\d,]{1,12})|must have less than ([\d,]{1,12}) tokens",
        r"(?:maximum model length of|token limit:|input length should be \[1,) ([\d,]{1,12})",
        r"cannot exceed ([\d,]{1,12})",
        r"\bn_ctx\W+([\d,]{1,12})",
    )
]


def named_window(text: str) -> int | None:
    """The context window in tokens that an overflow message names; None: it names none."""
    for pattern in _WINDOWS:
        if found := pattern.search(text):
            window = int(found.group(found.lastindex or 0).replace(",", "") or 0)
            return window if 256 <= window <= 100_000_000 else None
    return None


def read_retry_after(value: str, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header, given in seconds or as a date; None: unreadable."""
    seconds = read_seconds(value)
    if seconds is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def read_seconds(value: object) -> float | None:
    """A number of seconds, never negative; None: it is none, or without end."""
    try:
        seconds = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
