"""Ids: short, random, typeable, without an order that would ruin prefixes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Literal

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
"""Lowercase base32 (RFC 4648)."""
LENGTH = 10
"""Characters after the kind: 50 bits."""
Kind = Literal["t", "r", "c", "w"]
"""Task, run, command, worker."""


def new_id(kind: Kind, choice: Callable[[str], str] = secrets.choice) -> str:
    """The letter of the kind and ten random characters, such as `r_abcdefghij`."""
    return f"{kind}_" + "".join(choice(ALPHABET) for _ in range(LENGTH))
