"""Ids: short, random, typeable, without an order that would ruin prefixes."""

from __future__ import annotations

import secrets
from collections.abc import Callable

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
"""Lowercase base32 (RFC 4648)."""
LENGTH = 10
"""Characters after the kind: 50 bits."""


def new_id(kind: str, choice: Callable[[str], str] = secrets.choice) -> str:
    """`t_`, `r_`, `c_` or `w_` (task, run, command, worker) and ten random characters."""
    return f"{kind}_" + "".join(choice(ALPHABET) for _ in range(LENGTH))


def new_task_id(choice: Callable[[str], str] = secrets.choice) -> str:
    """`t_` and ten random characters."""
    return new_id("t", choice)


def new_run_id(choice: Callable[[str], str] = secrets.choice) -> str:
    """`r_` and ten random characters."""
    return new_id("r", choice)
