"""Split a streamed reply into reasoning and text, the same for every way of cutting the stream.

Reasoning counts as such only where a reply begins with it; a tag in the middle of a text stays
text. What may still become a tag is held back, never more than a tag's length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    (
        "<|channel|>analysis<|message|>",
        (
            "<|end|><|start|>assistant<|channel|>final<|message|>",
            "<|start|>assistant<|channel|>final<|message|>",
        ),
    ),
)
_LONGEST_OPEN = max(len(tag) for tag, _ in _PAIRS)


class ThinkSplitter:
    """`auto`: reasoning only behind an opening tag at the start; `assume_think`: the template has
    opened it already, so all before a closing tag is reasoning; `off`: everything is text."""

    __slots__ = ("_buffer", "_closers", "_hold", "_lead", "_state", "closed", "opened")

    def __init__(self, mode: SplitMode = "auto") -> None:
        self._state: Literal["start", "think", "text"] = "text" if mode == "off" else "start"
        self._buffer = ""
        self._lead: list[str] = []
        # In assume_think an opening tag may come all the same; without one, these close.
        self._closers: tuple[str, ...] = _CLOSE_THINK if mode == "assume_think" else ()
        self._hold = 0
        self.opened = False
        """An opening tag was seen."""
        self.closed = False
        """A closing tag was seen."""

    @property
    def unclosed(self) -> bool:
        """The reply, as far as it is known, is still inside its reasoning."""
        return self._state == "think"

    def feed(self, chunk: str) -> list[Delta]:
        """The pieces that are certain after this chunk, in order."""
        if self._state == "text":
            return [Delta("text", chunk)] if chunk else []
        out: list[Delta] = []
        self._buffer += chunk
        while self._step(out):
            pass
        return out

    def finish(self) -> list[Delta]:
        """What was held back, now that no more comes."""
        kind: Literal["text", "reasoning"] = "reasoning" if self._state == "think" else "text"
        rest = "".join(self._lead) + self._buffer
        self._lead, self._buffer = [], ""
        if self._state == "start" and self._closers and not self.closed and rest.strip():
            # assume_think: what might have become a tag was reasoning after all.
            self._state, kind = "think", "reasoning"
        return [Delta(kind, rest)] if rest else []

    def _step(self, out: list[Delta]) -> bool:
        if self._state == "start":
            return self._start()
        if self._state == "think":
            return self._think(out)
        if self._buffer:
            out.append(Delta("text", self._buffer))
            self._buffer = ""
        return False

    def _start(self) -> bool:
        body = self._buffer.lstrip()
        if len(body) < len(self._buffer):
            self._lead.append(self._buffer[: len(self._buffer) - len(body)])
            self._buffer = body
        if not body:
            return False
        for tag, closers in _PAIRS:
            if body.startswith(tag):
                self._lead, self._buffer = [], body[len(tag) :]
                self._open(closers)
                self.opened = True
                return True
        if len(body) < _LONGEST_OPEN and any(tag.startswith(body) for tag, _ in _PAIRS):
            return False
        self._buffer = "".join(self._lead) + body
        self._lead = []
        if self._closers and not self.closed:
            self._open(self._closers)
        else:
            self._state = "text"
        return True

    def _open(self, closers: tuple[str, ...]) -> None:
        self._state, self._closers = "think", closers
        self._hold = max(map(len, closers)) - 1

    def _think(self, out: list[Delta]) -> bool:
        buffer = self._buffer
        end, width = -1, 0
        for tag in self._closers:
            at = buffer.find(tag, 0, None if end < 0 else end + len(tag) - 1)
            if at >= 0 and (end < 0 or at < end):
                end, width = at, len(tag)
        if end >= 0:
            if end:
                out.append(Delta("reasoning", buffer[:end]))
            self._buffer = buffer[end + width :]
            # Some models think in several blocks: one that follows at once is reasoning too.
            self._state, self.closed = "start", True
            return True
        kept = self._held()
        if kept < len(buffer):
            out.append(Delta("reasoning", buffer[: len(buffer) - kept]))
            self._buffer = buffer[len(buffer) - kept :]
        return False

    def _held(self) -> int:
        """Length of the longest suffix that a closing tag begins with."""
        tail = self._buffer[-self._hold :]
        first = self._closers[0][0]
        at = tail.find(first)
        while at >= 0:
            suffix = tail[at:]
            if any(tag.startswith(suffix) for tag in self._closers):
                return len(suffix)
            at = tail.find(first, at + 1)
        return 0


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
    if body.startswith("<answer>") and body.endswith("</answer>"):
        inside = body[len("<answer>") : -len("</answer>")]
        if "<answer>" not in inside:
            return inside.strip()
    return text
