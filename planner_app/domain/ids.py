"""Ids of tasks and runs: short, random, typeable, without an order that would ruin prefixes."""

from __future__ import annotations

import secrets
from collections.abc import Callable

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
"""Lowercase base32 (RFC 4648)."""
LENGTH = 10


def new_task_id(choice: Callable[[str], str] = secrets.choice) -> str:
    """`t_` and ten random characters."""
    return "t_" + "".join(choice(ALPHABET) for _ in range(LENGTH))


def new_run_id(choice: Callable[[str], str] = secrets.choice) -> str:
    """`r_` and ten random characters."""
    return "r_" + "".join(choice(ALPHABET) for _ in range(LENGTH))
