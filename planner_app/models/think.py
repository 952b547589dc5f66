"""Split a streamed reply into reasoning and text, the same for every way of cutting the stream.

Reasoning counts as such only where a reply begins with it; a tag in the middle of a text stays
text. What may still become a tag is held back, never more than a tag's length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from planner_app.models.channels import BEGINS, Channels
from planner_app.models.port import Delta

SplitMode = Literal["auto", "assume_think", "off"]

_CLOSE_THINK = ("</think>", "</thinking>")
_PAIRS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("<think>", _CLOSE_THINK),
    ("<thinking>", _CLOSE_THINK),
    ("<thought>", ("</thought>",)),
    ("<reasoning>", ("</reasoning>",)),
    ("[THINK]", ("[/THINK]",)),
    ("\u25c1think\u25b7", ("\u25c1/think\u25b7",)),
    ("<seed:think>", ("</seed:think>",)),
    ("<|START_THINKING|>", ("<|END_THINKING|>",)),
)
_OPENERS = tuple((tag.lower(), closers) for tag, closers in _PAIRS)
_CLOSED_TWICE = re.compile("|".join(_CLOSE_THINK))
_PIECE = 4 * 1024
"""Characters looked at in one go: what is left of them is copied after each block."""
_LONGEST_OPEN = max(len(tag) for tag, _ in _PAIRS)
_OPENS = (*(tag for tag, _ in _OPENERS), *BEGINS)
_BLANK = (
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff"
)
"""What may stand before an opening tag: white space, a byte order mark, zero-width characters."""


class _Closers:
    """The tags that close one kind of block, in any case."""

    __slots__ = ("_tags", "find", "longest")

    def __init__(self, tags: tuple[str, ...]) -> None:
        self._tags = tuple(tag.lower() for tag in tags)
        self.longest = max(map(len, tags))
        # The first two characters stay literal: what a search looks for first, and fast.
        spelt = "|".join(
            re.escape(tag[:2]) + "".join(_either_case(mark) for mark in tag[2:]) for tag in tags
        )
        self.find = re.compile(spelt).search

    def held(self, text: str) -> int:
        """Length of the longest suffix that a tag begins with."""
        tail = text[1 - self.longest :]
        first = self._tags[0][0]
        at = tail.find(first)
        while at >= 0:
            suffix = tail[at:].lower()
            if any(tag.startswith(suffix) for tag in self._tags):
                return len(tail) - at
            at = tail.find(first, at + 1)
        return 0


def _either_case(mark: str) -> str:
    return f"[{mark.lower()}{mark.upper()}]" if mark.isalpha() else re.escape(mark)


_CLOSERS = {tags: _Closers(tags) for _, tags in _PAIRS}


class ThinkSplitter:
    """`auto`: reasoning only behind an opening tag at the start; `assume_think`: the template has
    opened it already, so all before a closing tag is reasoning; `off`: everything is text."""

    __slots__ = ("_buffer", "_channels", "_closers", "_lead", "_state", "closed", "opened")

    def __init__(self, mode: SplitMode = "auto") -> None:
        self._state: Literal["start", "think", "text"] = "text" if mode == "off" else "start"
        self._buffer = ""
        self._channels: Channels | None = None
        self._lead: list[str] = []
        # In assume_think an opening tag may come all the same; without one, these close.
        self._closers = _CLOSERS[_CLOSE_THINK] if mode == "assume_think" else None
        self.opened = False
        """An opening tag was seen."""
        self.closed = False
        """A closing tag was seen."""

    @property
    def unclosed(self) -> bool:
        """The reply, as far as it is known, is still inside its reasoning."""
        return self._state == "think" or (self._channels is not None and not self.closed)

    def feed(self, chunk: str) -> list[Delta]:
        """The pieces that are certain after this chunk, in order."""
        if self._channels is not None:
            return self._channelled(self._channels.feed(chunk))
        if self._state == "text":
            return [Delta("text", chunk)] if chunk else []
        out: list[Delta] = []
        for at in range(0, len(chunk), _PIECE):
            self._buffer += chunk[at : at + _PIECE]
            while self._step(out):
                pass
        return out

    def finish(self) -> list[Delta]:
        """What was held back, now that no more comes."""
        if self._channels is not None:
            return self._channelled(self._channels.finish())
        kind: Literal["text", "reasoning"] = "reasoning" if self._state == "think" else "text"
        rest = "".join(self._lead) + self._buffer
        self._lead, self._buffer = [], ""
        if self._state == "start" and self._closers and not self.closed and rest.strip():
            # assume_think: what might have become a tag was reasoning after all.
            self._state, kind = "think", "reasoning"
        return [Delta(kind, rest)] if rest else []

    def _channelled(self, out: list[Delta]) -> list[Delta]:
        assert self._channels is not None
        self.closed = self._channels.answers
        return out

    def _step(self, out: list[Delta]) -> bool:
        if self._channels is not None:
            buffer, self._buffer = self._buffer, ""
            out.extend(self._channelled(self._channels.feed(buffer)))
            return False
        if self._state == "start":
            return self._start()
        if self._state == "think":
            return self._think(out)
        if self._buffer:
            out.append(Delta("text", self._buffer))
            self._buffer = ""
        return False

    def _start(self) -> bool:
        body = self._buffer.lstrip(_BLANK)
        if len(body) < len(self._buffer):
            self._lead.append(self._buffer[: len(self._buffer) - len(body)])
            self._buffer = body
        if not body:
            return False
        head = body[:_LONGEST_OPEN].lower()
        if head.startswith(BEGINS):
            self._channels, self._lead, self.opened = Channels(), [], True
            return True
        if self.closed and (again := _CLOSED_TWICE.match(head)) is not None:
            self._lead, self._buffer = [], body[again.end() :]
            return True
        for tag, closers in _OPENERS:
            if head.startswith(tag):
                self._lead, self._buffer = [], body[len(tag) :]
                self._state, self._closers = "think", _CLOSERS[closers]
                self.opened = True
                return True
        opens = (*_OPENS, *_CLOSE_THINK) if self.closed else _OPENS
        if len(body) < _LONGEST_OPEN and any(tag.startswith(head) for tag in opens):
            return False
        self._buffer = "".join(self._lead) + body
        self._lead = []
        self._state = "think" if self._closers is not None and not self.closed else "text"
        return True

    def _think(self, out: list[Delta]) -> bool:
        buffer, closers = self._buffer, self._closers
        assert closers is not None
        end = closers.find(buffer)
        if end is not None:
            if end.start():
                out.append(Delta("reasoning", buffer[: end.start()]))
            self._buffer = buffer[end.end() :]
            # Some models think in several blocks: one that follows at once is reasoning too.
            self._state, self.closed = "start", True
            return True
        certain = len(buffer) - closers.held(buffer)
        if certain:
            out.append(Delta("reasoning", buffer[:certain]))
            self._buffer = buffer[certain:]
        return False


@dataclass(frozen=True, slots=True)
class Split:
    """A whole reply, split."""

    reasoning: str
    """Everything thought, blocks joined."""
    text: str
    """Everything else, as it stood."""
    tagged: bool
    """A tag was found."""
    unclosed: bool
    """The reply ends inside its reasoning."""


def split_think(text: str, mode: SplitMode = "auto") -> Split:
    """Split a reply that is there as a whole."""
    splitter = ThinkSplitter(mode)
    deltas = splitter.feed(text) + splitter.finish()
    return Split(
        reasoning="".join(delta.text for delta in deltas if delta.kind == "reasoning"),
        text="".join(delta.text for delta in deltas if delta.kind == "text"),
        tagged=splitter.opened or splitter.closed,
        unclosed=splitter.unclosed,
    )


def without_answer_tags(text: str) -> str:
    """The inside of a text that is wholly one `<answer>` element (R1's template), else the text."""
    body = text.strip()
    if body[:8].lower() == "<answer>" and body[-9:].lower() == "</answer>":
        inside = body[len("<answer>") : -len("</answer>")]
        if "<answer>" not in inside.lower():
            return inside.strip()
    return text
