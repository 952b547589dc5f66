"""The words around a model's fenced blocks: code and reports are shown as entries of their own."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<word>[\w+-]*)[^\n]*$", re.MULTILINE)
HIDDEN = frozenset({"python", "py", "python3", "report", "json"})


def prose_of(text: str) -> str:
    """The text without its fenced python, report and json blocks, closed or not."""
    kept: list[str] = []
    at, closing = 0, ""
    for match in _FENCE.finditer(text):
        fence, word = match.group("fence"), match.group("word").lower()
        if closing:
            if fence.startswith(closing) and not word:
                at, closing = match.end(), ""
        elif word in HIDDEN:
            kept.append(text[at : match.start()])
            closing = fence
    if not closing:
        kept.append(text[at:])
    lines = "\n".join(part.strip("\n") for part in kept if part.strip())
    return re.sub(r"\n{3,}", "\n\n", lines).strip()
