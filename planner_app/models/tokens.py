"""How many tokens a text has, about: cheap, without a tokenizer, on the high side for prose."""

from __future__ import annotations

import re
from collections.abc import Sequence

from planner_app.models.port import Message

_CHARS_PER_TOKEN = 3.6
_PER_MESSAGE = 6
_WIDE = re.compile("[\u0e00-\u0e7f\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef]")


def estimate_tokens(text: str) -> int:
    """Tokens of a text: 3.6 characters each, one each for Han, Kana, Hangul and Thai."""
    if not text:
        return 0
    if text.isascii():
        return int(len(text) / _CHARS_PER_TOKEN) + 1
    wide = len(_WIDE.findall(text))
    narrow = len(text) - wide
    beyond_ascii = len(text.encode("utf-8", "replace")) - 3 * wide - narrow
    return int(wide + narrow / _CHARS_PER_TOKEN + max(0, beyond_ascii) / 4) + 1


def estimate_messages(messages: Sequence[Message]) -> int:
    """Tokens of a conversation as it is sent, without reasoning."""
    return sum(estimate_tokens(message.content) + _PER_MESSAGE for message in messages)
