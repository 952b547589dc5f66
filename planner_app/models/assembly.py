"""Put a reply together from the deltas of a stream, reasoning apart from text, within bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from planner_app.models.port import Delta, OnDelta
from planner_app.models.profiles import ThinkMode
from planner_app.models.think import SplitMode, ThinkSplitter, without_answer_tags


class ReplyTooLongError(Exception):
    """More characters came than any reply of this size can have."""


_SPLIT: dict[ThinkMode, SplitMode] = {
    "field": "auto",
    "auto": "auto",
    "assume_think": "assume_think",
    "off": "off",
}


@dataclass(slots=True)
class _Block:
    """One block of signed thinking as it grows, or one that came whole."""

    fields: dict[str, JsonValue]
    thought: list[str] | None = None
    """Pieces of its text; None: it came whole."""

    @property
    def open(self) -> bool:
        """Whether more of it may come: its signature ends it."""
        return self.thought is not None and not self.fields["signature"]

    def add(self, text: str, signature: JsonValue) -> None:
        """More of its text, or its signature, which may come with the whole thought again."""
        assert self.thought is not None
        if not (signature and text == "".join(self.thought)):
            self.thought.append(text)
        if signature:
            self.fields["signature"] = signature

    def whole(self) -> dict[str, JsonValue]:
        """As the provider wants it back."""
        if self.thought is None:
            return self.fields
        return {"type": "thinking", "thinking": "".join(self.thought), **self.fields}


class Assembly:
    """Collects one reply. `limit` bounds its characters."""

    def __init__(self, mode: ThinkMode, on_delta: OnDelta, limit: int) -> None:
        self._splitter = ThinkSplitter(_SPLIT[mode])
        self._assumed = mode == "assume_think"
        self._on_delta = on_delta
        self._left = limit
        self._reasoning: list[str] = []
        self._inline: list[str] = []
        self._text: list[str] = []
        self._blocks: list[_Block] = []
        self._signatures: list[JsonValue] = []
        self.by_field = False
        """Reasoning came in a field of its own."""
        self.started = False
        """Something was given out."""

    def add_text(self, text: str) -> None:
        """A piece of content, which may hold tags."""
        self._count(text)
        for delta in self._splitter.feed(text):
            self._give(delta)

    def add_reasoning(self, text: str) -> None:
        """A piece of reasoning that came apart from the content."""
        self._count(text)
        if not self.by_field:
            self.by_field = True
            if self._assumed and not self._text and not self._inline:
                # The server splits already, so the content is not inside a thought.
                self._splitter = ThinkSplitter("auto")
        self._reasoning.append(text)
        self._tell(Delta("reasoning", text))

    def add_blocks(self, blocks: Sequence[object]) -> None:
        """Pieces of signed thinking: text comes bit by bit, the signature ends a block."""
        for block in blocks:
            if isinstance(block, Mapping):
                self._add_block(block)

    def add_signatures(self, signatures: Sequence[object]) -> None:
        """Signatures of summarised thoughts."""
        self._signatures += [str(signature) for signature in signatures]

    def finish(self, finish_reason: str) -> None:
        """No more comes."""
        for delta in self._splitter.finish():
            self._give(delta)
        untagged = not (self._splitter.opened or self._splitter.closed)
        whole = self.by_field or finish_reason != "length"
        if self._assumed and untagged and whole and not self._text:
            # It ended by itself without ever closing a thought, or thinks elsewhere.
            self._text, self._inline = self._inline, []
            self._splitter = ThinkSplitter("off")

    @property
    def text(self) -> str:
        """The answer."""
        text = "".join(self._text)
        return without_answer_tags(text.lstrip() if self._splitter.closed else text)

    @property
    def reasoning(self) -> str:
        """The thoughts; empty when there was nothing but white space between the tags."""
        apart, inline = "".join(self._reasoning), "".join(self._inline)
        if apart.strip() == inline.strip():
            inline = ""  # some servers send the same thought both ways
        thought = apart + inline
        return thought if thought.strip() else ""

    @property
    def unclosed(self) -> bool:
        """It ended inside its reasoning."""
        return self._splitter.unclosed

    def provider_state(self, provider: str) -> dict[str, JsonValue] | None:
        """What has to go back to the provider, or None."""
        made = [block.whole() for block in self._blocks]
        signed = [block for block in made if block.get("signature") or block.get("data")]
        state: dict[str, JsonValue] = {}
        if signed:
            state["thinking_blocks"] = list(signed)
        if self._signatures:
            state["provider_specific_fields"] = {"thought_signatures": self._signatures}
        return {"provider": provider, **state} if state else None

    def _count(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise ReplyTooLongError

    def _give(self, delta: Delta) -> None:
        (self._text if delta.kind == "text" else self._inline).append(delta.text)
        self._tell(delta)

    def _tell(self, delta: Delta) -> None:
        self.started = True
        self._on_delta(delta)

    def _add_block(self, block: Mapping[str, JsonValue]) -> None:
        if block.get("type") != "thinking":
            self._blocks.append(_Block(dict(block)))
            return
        current = self._blocks[-1] if self._blocks else None
        if current is None or not current.open:
            current = _Block({"type": "thinking", "signature": ""}, [])
            self._blocks.append(current)
        current.add(str(block.get("thinking") or ""), block.get("signature"))


_FINISH = {
    word: plain
    for plain, words in {
        "stop": "stop end_turn eos eos_token stop_sequence complete",
        "length": "length max_tokens model_length model_context_window_exceeded",
        "tool_calls": "tool_calls tool_use function_call malformed_function_call "
        "unexpected_tool_call",
        "content_filter": "content_filter content_filtered safety refusal recitation blocklist "
        "prohibited_content spii guardrail_intervened",
    }.items()
    for word in words.split()
}


def plain_finish(reason: str) -> str:
    """A provider's reason in our words; one that is not known stays as it is."""
    return _FINISH.get(reason.lower(), reason)
