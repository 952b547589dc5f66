"""Read a provider's stream before litellm does: whole events, and nothing lost in silence.

litellm's parsers know one framing each, and pass over an event that they cannot read, with the
text in it. Here every stream is put into one form, an event a line; what cannot be read and what
a provider complains about in the middle is raised; and the provider's own word for why it ended
is noted, which litellm replaces by `stop` where it does not know it.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from planner_app.models.chunks import REFUSED, is_known, is_last, put_in_order, reason_of

_BOM = b"\xef\xbb\xbf"
_MAX_WHOLE = 100_000
"""Bytes of what is no stream that are read for an error."""
_MAX_EVENT = 40_000_000
"""Bytes of one event: no reply is as long."""
_LINE_END = re.compile(rb"\r\n|\n|\r")
_UNSAFE = re.compile(rb"[\r\n\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]")
"""What readers of lines take for a line's end, though JSON may hold it."""
_REPLY = frozenset({"choices", "candidates", "content", "type", "delta", "done", "output"})
"""Some of these stand in every part of a reply."""
_ROW = frozenset({"done", "event_type"})
"""One of these stands in each line where a stream is one of lines: Ollama's, Cohere's."""
_NOTHING = re.compile(rb'[\w .:+-]{0,64}|\[\]|""')
"""A sign of life, or a time: without a brace or a quote it holds no piece of a reply."""
_BEATS = frozenset({"ping", "keepalive", "heartbeat"})
_WORDS = ("detail", "errors", "msg", "message")
"""Where else than in `error` an error is told."""
_BROKEN_OFF = frozenset({"error", "abort", "insufficient_system_resource"})
"""Reasons that are none: the reply is not whole."""

Form = Literal["", "events", "lines", "whole", "page", "other"]
_AS_IT_IS: tuple[Form, ...] = ("whole", "page", "other")
"""What is given on without a look into it."""


class StreamError(Exception):
    """A stream holds an error in place of the rest of the reply, or what nobody can read."""

    def __init__(self, body: object | None) -> None:
        super().__init__("an error in a stream" if body is not None else "an unreadable stream")
        self.body = body
        """What the provider said, to be read as the body of an error; None: it is unreadable."""


@dataclass(slots=True)
class Heard:
    """What the answer to a call was, in the provider's own words."""

    form: Form = ""
    """Server-sent events, lines of JSON, one object, a web page, anything else; empty: nothing
    came, or nobody looked."""
    reason: str = ""
    """Why the reply ended; empty: it has not said."""
    done: bool = False
    """It said that nothing more comes."""
    known: bool = False
    """It is a stream of a kind whose end is known here."""


heard: ContextVar[Heard | None] = ContextVar("heard", default=None)
"""Of the call that is being made."""


class Events:
    """Puts a stream of server-sent events, or of JSON lines, into one form as it comes."""

    def __init__(self, told: Heard) -> None:
        self._told = told
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._name = ""
        self.error: StreamError | None = None
        """What ended the stream, once all before it was given out; None: nothing."""

    def feed(self, piece: bytes) -> bytes:
        """What is certain after this piece."""
        told = self._told
        if told.form in _AS_IT_IS:
            return piece
        self._rest += piece
        if not told.form:
            told.form = _form(bytes(self._rest))
            if told.form in _AS_IT_IS:
                return self._left()
            if told.form and self._rest.startswith(_BOM):
                del self._rest[: len(_BOM)]
        elif b"\n" not in piece and b"\r" not in piece:
            if len(self._rest) > _MAX_EVENT:
                self.error = StreamError(None)
            return b""
        return self._lines() if told.form else b""

    def _left(self) -> bytes:
        rest, self._rest = bytes(self._rest), bytearray()
        return rest

    def _lines(self) -> bytes:
        rest = self._left()
        *lines, last = _LINE_END.split(rest)
        if rest.endswith(b"\r"):
            # A line feed may follow, which belongs to it.
            last = lines.pop() + b"\r"
        self._rest += last
        take = self._event_line if self._told.form == "events" else self._row
        ready: list[bytes] = []
        for line in lines:
            try:
                ready.append(take(line))
            except StreamError as error:
                if not self._told.reason:  # what comes behind the end spoils nothing
                    self.error = error
                    break
        return b"".join(ready)

    def finish(self) -> bytes:
        """What is left now that no more comes. Raises StreamError."""
        rest = self._left()
        if not self._told.form and rest:
            value = _parsed(rest)
            self._told.form = "other" if value is None else "whole"
            if value is not None:
                _raise_complaint(value)
                words = any(isinstance(value.get(name), str | list) for name in _WORDS)
                if words and not _REPLY & value.keys():
                    raise StreamError(value)
            return rest
        try:
            if self._told.form == "lines":
                return self._row(rest)
            return self._event_line(rest.rstrip(b"\r")) + self._event()
        except StreamError as error:
            if error.body is not None and not self._told.reason:
                raise
            return b""  # it was cut in the middle of an event: that no end came tells

    def _event_line(self, line: bytes) -> bytes:
        if not line:
            return self._event()
        name, _, value = line.partition(b":")
        if name == b"data":
            return self._more(value.removeprefix(b" "))
        if name == b"event":
            self._name = value.strip().decode("utf-8", "replace")
        elif line.startswith(b"{") and (stray := _parsed(line)) is not None:
            _raise_complaint(stray)
        return b""

    def _more(self, value: bytes) -> bytes:
        """One more line of an event's data; where the blank line is missing it is the next's."""
        ready = b""
        if self._data and value.startswith((b"{", b"[DONE]")) and self._data[-1].endswith(b"}"):
            ready = self._event() if _parsed(b"\n".join(self._data)) is not None else b""
        self._data.append(value)
        return ready

    def _event(self) -> bytes:
        """The event that has ended."""
        data, name = b"\n".join(self._data).strip(), self._name
        self._data, self._name = [], ""
        if _NOTHING.fullmatch(data):
            return b""
        if data.startswith(b"[DONE]"):
            self._told.done = True
            return b"data: [DONE]\n\n"
        value = _parsed(data)
        if value is None:
            raise StreamError(None)
        if name == "error":
            raise StreamError(value)
        if value.get("type") in _BEATS:
            return b""
        return b"data: " + self._said(value, data) + b"\n\n"

    def _row(self, line: bytes) -> bytes:
        if _NOTHING.fullmatch(line := line.strip()):
            return b""
        value = _parsed(line)
        if value is None:
            raise StreamError(None)
        return self._said(value, line) + b"\n"

    def _said(self, value: dict[str, Any], data: bytes) -> bytes:
        """What an event says, as litellm can read it."""
        _raise_complaint(value)
        reason = reason_of(value)
        if reason.lower() in _BROKEN_OFF:
            raise StreamError(f"it broke its reply off: {reason}")
        if self._told.reason != REFUSED:
            self._told.reason = reason or self._told.reason
        self._told.done = self._told.done or is_last(value)
        self._told.known = self._told.known or is_known(value)
        if put_in_order(value) or _UNSAFE.search(data) or not _is_utf8(data):
            return json.dumps(value).encode()
        return data


def _form(start: bytes) -> Form:
    """What kind of answer begins so; empty: more of it tells, or its end."""
    body = start.removeprefix(_BOM).lstrip()
    if body.startswith(b"{"):
        first, ended, _ = body.partition(b"\n")
        if ended and _ROW & (_parsed(first) or {}).keys():
            return "lines"
        return "" if len(body) < _MAX_WHOLE else "whole"
    if body.startswith(b"<"):
        return "page"
    if re.match(rb"\w*\s*:", body):
        return "events"
    short = not re.search(rb"[^\w\s]|\n", body) and len(body) < 64
    return "" if short or _BOM.startswith(start) else "other"


def _parsed(data: bytes) -> dict[str, Any] | None:
    """The object in a piece of JSON; None: it holds none."""
    try:
        value = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _raise_complaint(value: dict[str, Any]) -> None:
    """An event that is an error ends the stream."""
    if value.get("error") or value.get("object") == "error" or value.get("type") == "error":
        raise StreamError(value)
    blocked = value.get("promptFeedback")
    if isinstance(blocked, dict) and blocked.get("blockReason") and not value.get("candidates"):
        raise StreamError(value)


async def tidied(pieces: AsyncGenerator[bytes, None], told: Heard) -> AsyncGenerator[bytes, None]:
    """A stream with each of its events whole and readable. Raises StreamError."""
    told.form, told.reason, told.done, told.known = "", "", False, False  # perhaps not the first
    events = Events(told)
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                if ready := events.feed(piece):
                    yield ready
                if events.error is not None:
                    raise events.error
        except StreamError:
            raise
        except Exception:
            # What breaks off once the provider has said why it ended was whole: it is paid for.
            if not told.reason:
                raise
        if ready := events.finish():
            yield ready
