"""Makes messages short enough for a model's context, by leaving out the middles of the longest."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner_app.domain.citations import cited_ids
from planner_app.models.port import Message

_FENCED = re.compile(
    r"(<<<UNTRUSTED (?P<tag>[0-9a-f]{16}) from [^\n]*>>>\n)(?P<body>.*?)"
    r"(?=\n<<<END UNTRUSTED (?P=tag)>>>)",
    re.DOTALL,
)
LEAST = 400
"""Characters that stay of any part."""
MAX_CUTS = 60
MAX_IDS = 40
"""Source numbers that are named of what is left out."""


@dataclass
class _Part:
    """A stretch of a message that may be cut without breaking the marks around it."""

    text: str
    fenced: bool
    system: bool


def shortened(
    messages: Sequence[Message], room: int, count: Callable[[Sequence[Message]], int]
) -> tuple[Message, ...]:
    """The messages in at most `room` tokens as `count` says, or as short as they can be made.

    Data from outside is cut before what we and the model wrote, the system's message last of
    all. What is left out is said in its place, with the source numbers that it named.
    """
    kept = tuple(messages)
    parts = [_parts(message) for message in kept]
    for _ in range(MAX_CUTS):
        tokens = count(kept)
        if tokens <= room:
            break
        cuttable = [p for of_one in parts for p in of_one if len(p.text) > 2 * LEAST]
        if not cuttable:
            break
        longest = max(cuttable, key=lambda p: (not p.system, len(p.text) * (4 if p.fenced else 1)))
        chars = sum(len(message.content) for message in kept)
        over = (tokens - room) * chars // max(1, tokens) + 200
        longest.text = _without_middle(longest.text, max(LEAST, len(longest.text) - over))
        kept = tuple(
            message.model_copy(update={"content": "".join(part.text for part in of_one)})
            for message, of_one in zip(kept, parts, strict=True)
        )
    return kept


def _parts(message: Message) -> list[_Part]:
    """The message as marks, data between marks, and the rest."""
    text, system = message.content, message.role == "system"
    parts, done = [], 0
    for found in _FENCED.finditer(text):
        parts.append(_Part(text[done : found.start("body")], fenced=False, system=system))
        parts.append(_Part(found.group("body"), fenced=True, system=system))
        done = found.end("body")
    parts.append(_Part(text[done:], fenced=False, system=system))
    return parts


def _without_middle(text: str, most: int) -> str:
    head, tail = most * 2 // 3, most // 3
    gone = text[head : len(text) - tail]
    ids = "".join(f"[{n}]" for n in cited_ids(gone)[:MAX_IDS])
    named = f" that named {ids}" if ids else ""
    return f"{text[:head]}\n... {len(gone):,} characters{named} left out ...\n{text[-tail:]}"
