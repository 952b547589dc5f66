"""Split a reply in gpt-oss's own form, in which each message names its channel.

`<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...`: what is
in `final`, or in no channel, is text, all else was thought. Servers leave marks out at the
beginning and the end, and put others between; what stands outside of any message is text.
"""

from __future__ import annotations

import re
from typing import Literal

from planner_app.models.port import Delta

BEGINS = ("<|channel|>", "<|start|>", "<|message|>")
"""What such a reply begins with."""
_NAMES = ("start", "channel", "constrain", "message", "end", "return", "call")
_MARKS = tuple(f"<|{name}|>" for name in _NAMES)
_MARK = re.compile(rf"<\|({'|'.join(_NAMES)})\|>")
_Place = Literal["start", "channel", "outside", "reasoning", "text"]


class Channels:
    """Gives the same for every way of cutting the stream."""

    __slots__ = ("_head", "_place", "_rest", "_spoke", "answers")

    def __init__(self) -> None:
        self._rest = ""
        self._place: _Place = "outside"
        self._head = ""
        self._spoke = False
        self.answers = False
        """The answer has begun."""

    def feed(self, chunk: str) -> list[Delta]:
        """The pieces that are certain after this chunk, in order."""
        out: list[Delta] = []
        if not self._rest and "<" not in chunk:
            self._take(chunk, out)
            return out
        text, at = self._rest + chunk, 0
        for mark in _MARK.finditer(text):
            self._take(text[at : mark.start()], out)
            self._enter(mark.group(1))
            at = mark.end()
        cut = text.rfind("<", max(at, len(text) - len("<|constrain|") - 1))
        if cut < 0 or not any(mark.startswith(text[cut:]) for mark in _MARKS):
            cut = len(text)
        self._take(text[at:cut], out)
        self._rest = text[cut:]
        return out

    def finish(self) -> list[Delta]:
        """What was held back, now that no more comes."""
        out: list[Delta] = []
        self._take(self._rest, out)
        self._rest = ""
        if self._place == "start":  # no message followed: it is what was said
            self._enter("end")
            self._take(self._head.removeprefix("assistant"), out)
        return out

    def _enter(self, mark: str) -> None:
        if mark == "message":
            thought = self._place == "channel" and self._head.split()[:1] not in ([], ["final"])
            self._place = "reasoning" if thought else "text"
            self.answers = self.answers or not thought
        elif mark in ("start", "channel"):
            self._place, self._head = ("start" if mark == "start" else "channel"), ""
        elif mark != "constrain":
            self._place, self._spoke = "outside", False

    def _take(self, text: str, out: list[Delta]) -> None:
        if self._place in ("start", "channel"):
            self._head += text
            return
        if self._place == "outside":
            text = text if self._spoke else text.lstrip()
            self._spoke = self._spoke or bool(text)
            self.answers = self.answers or bool(text)
        if text:
            out.append(Delta("reasoning" if self._place == "reasoning" else "text", text))
