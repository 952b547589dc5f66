"""When an executor repeats itself: keys of code and observation, and the verdict over them."""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from planner_app.domain.state import TurnKey

SAME_PAIR = 4
"""The same code with the same observation so many times ends the attempt."""
SAME_ERROR = 3
"""The same code with the same error so many times is told once."""
SILENT_TURNS = 3
"""So many turns in a row without code or report end the attempt."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class LoopVerdict:
    """A repetition that was found."""

    kind: Literal["same", "same_error", "cycle"]
    count: int
    fatal: bool
    """False: the executor is told once and may go on."""


def code_key(code: str) -> str:
    """A hash that layout and comments do not change; of the bare text where it does not parse."""
    try:
        with warnings.catch_warnings():
            # A doubtful escape in the model's code is no news for whoever reads our stderr.
            warnings.simplefilter("ignore")
            text = ast.dump(ast.parse(code), include_attributes=False)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = _SPACE.sub(" ", code).strip()
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def observation_key(observation: str) -> str:
    """A hash with addresses, digits and times masked, so that a new clock reading is no news."""
    text = _NUMBER.sub("#", _ADDRESS.sub("@", observation))
    text = _SPACE.sub(" ", text).strip()
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def loop_verdict(keys: Sequence[TurnKey], nudged: bool) -> LoopVerdict | None:
    """What the newest turn repeats; None: nothing, or nothing that was not told already."""
    if not keys:
        return None
    newest = keys[-1]
    count = sum(key == newest for key in keys)
    if count >= SAME_PAIR:
        return LoopVerdict("same_error" if newest.error else "same", count, fatal=True)
    if len(keys) >= 6:
        a, b = keys[-2], keys[-1]
        if a != b and list(keys[-6:]) == [a, b] * 3:
            return LoopVerdict("cycle", 3, fatal=True)
    if newest.error and count >= SAME_ERROR and not nudged:
        return LoopVerdict("same_error", count, fatal=False)
    return None
