"""How many tokens a text has, about: cheap, without a tokenizer, on the high side for prose."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from planner_app.models.port import Message

_PER_MESSAGE = 6
_DIGITS, _SIGNS = string.digits.encode(), string.punctuation.encode()
_WIDE = re.compile("[\u0e00-\u0e7f\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef]")


def estimate_tokens(text: str) -> int:
    """Tokens of a text: some four letters each, one each for Han, Kana, Hangul and Thai.

    Digits and signs have shorter tokens: a table has twice those of prose of its length.
    """
    if not text:
        return 0
    data = text.encode("utf-8", "replace")
    digits = len(data) - len(data.translate(None, _DIGITS))
    signs = len(data) - len(data.translate(None, _SIGNS))
    wide = 0 if text.isascii() else len(_WIDE.findall(text))
    letters = len(text) - wide - digits - signs
    beyond_ascii = len(data) - len(text) - 2 * wide
    return int(wide + digits / 2 + signs / 1.5 + letters / 4.2 + beyond_ascii / 2.5) + 1


def estimate_messages(messages: Sequence[Message]) -> int:
    """Tokens of a conversation as it is sent, without reasoning."""
    return sum(estimate_tokens(message.content) + _PER_MESSAGE for message in messages)
