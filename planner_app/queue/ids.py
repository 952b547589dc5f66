"""Names for tasks, runs, commands and workers: short, random, easy to type a part of."""

from __future__ import annotations

import secrets

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
"""Base32 in lower case."""


def new_id(kind: str) -> str:
    """`t_`, `r_`, `c_` or `w_` and 10 random characters: 50 bits, no order that prefixes share."""
    return f"{kind}_{''.join(secrets.choice(_LETTERS) for _ in range(10))}"
