"""How texts and lists are cut so that a fact fits into its event."""

from __future__ import annotations

import json
from typing import Any

REASON_BYTES = 1_500
"""For the reason of a turn or an end."""


def json_bytes(value: Any) -> int:
    """How many bytes a JSON value takes, counted as the limit of an event's data is."""
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def cut(text: str, most: int) -> str:
    """The text, shortened from the end so that it takes at most `most` bytes as a JSON string."""
    while text and (size := json_bytes(text)) > most:
        text = text[: min(len(text) - 1, len(text) * most // size)]
    return text


def brief(reason: str) -> str:
    """A reason that fits beside what else an event says."""
    return cut(reason, REASON_BYTES)
