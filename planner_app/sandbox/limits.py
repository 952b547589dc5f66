"""What one sandbox may use, and how a person writes it down ("512m", "90s").

Nothing here touches an engine: limits are plain numbers that the launchers turn into flags.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from planner_app.domain.errors import BadInput

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

Unit = Literal["bytes", "seconds", "count", "cpus"]

_BYTE_UNITS = {
    "": 1,
    "b": 1,
    "k": KIB,
    "kb": KIB,
    "kib": KIB,
    "m": MIB,
    "mb": MIB,
    "mib": MIB,
    "g": GIB,
    "gb": GIB,
    "gib": GIB,
}
_SECOND_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_QUANTITY = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([a-z]{0,3})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one field is written and what it may be."""

    unit: Unit
    least: float
    most: float
    example: str


_RULES: Mapping[str, _Rule] = {
    "memory_bytes": _Rule("bytes", 32 * MIB, 1024 * GIB, "512m"),
    "cpus": _Rule("cpus", 0.05, 1024, "1.5"),
    "pids": _Rule("count", 8, 32768, "128"),
    "tmp_bytes": _Rule("bytes", MIB, 1024 * GIB, "64m"),
    "workspace_bytes": _Rule("bytes", MIB, 1024 * GIB, "256m"),
    "inodes": _Rule("count", 64, 10_000_000, "20000"),
    "action_seconds": _Rule("seconds", 0.1, 86400, "90s"),
    "grace_seconds": _Rule("seconds", 0.05, 600, "2s"),
    "output_bytes": _Rule("bytes", KIB, 64 * MIB, "1m"),
    "tail_bytes": _Rule("bytes", 0, MIB, "8k"),
    "result_chars": _Rule("count", 100, 50_000, "20000"),
}
_SHORT_NAMES = {
    "memory": "memory_bytes",
    "tmp": "tmp_bytes",
    "workspace": "workspace_bytes",
    "action": "action_seconds",
    "timeout": "action_seconds",
    "grace": "grace_seconds",
    "output": "output_bytes",
    "tail": "tail_bytes",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use. The defaults suit data work on a small machine."""

    memory_bytes: int = GIB
    """Memory of all processes together, tmpfs included; swap is never added."""
    cpus: float = 1.0
    """CPUs' worth of time per second."""
    pids: int = 128
    """Processes and threads together."""
    tmp_bytes: int = 64 * MIB
    """Size of /tmp."""
    workspace_bytes: int = 256 * MIB
    """Size of the workspace."""
    inodes: int = 20_000
    """Files and folders in the workspace, and as many in /tmp."""
    action_seconds: float = 120.0
    """Run time of one action; waiting for a tool's answer does not count."""
    grace_seconds: float = 2.0
    """How long an interrupted action may take to stop before it is killed."""
    output_bytes: int = MIB
    """Output of one action that is forwarded as it comes (stdout and stderr together)."""
    tail_bytes: int = 8 * KIB
    """What is kept of the end of an output over the cap, per stream."""
    result_chars: int = 20_000
    """Longest value or traceback; longer ones are summarised."""

    def __post_init__(self) -> None:
        for name, rule in _RULES.items():
            _check(name, float(getattr(self, name)), rule)

    @classmethod
    def parse(cls, values: Mapping[str, object], base: Limits | None = None) -> Limits:
        """Limits from settings: numbers, or texts with a unit; missing fields come from `base`.

        Raises BadInput with the field's name and an example.
        """
        changes: dict[str, float | int] = {}
        for key, raw in values.items():
            name = _SHORT_NAMES.get(key, key)
            rule = _RULES.get(name)
            if rule is None:
                known = ", ".join(sorted(_RULES))
                raise BadInput(f"unknown sandbox limit {key!r}", f"known limits: {known}")
            number = _number(key, raw, rule)
            changes[name] = number if rule.unit in ("cpus", "seconds") else int(number)
        return dataclasses.replace(base or cls(), **changes)  # type: ignore[arg-type]


def _number(key: str, raw: object, rule: _Rule) -> float:
    if isinstance(raw, bool):
        raise _refusal(key, raw, rule)
    if isinstance(raw, int | float):
        if not math.isfinite(raw):
            raise _refusal(key, raw, rule)
        return float(raw)
    match = _QUANTITY.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        raise _refusal(key, raw, rule)
    number, unit = float(match[1]), match[2].lower()
    if rule.unit == "bytes" and unit in _BYTE_UNITS:
        return number * _BYTE_UNITS[unit]
    if rule.unit == "seconds" and unit in _SECOND_UNITS:
        return number * _SECOND_UNITS[unit]
    if not unit:
        return number
    raise _refusal(key, raw, rule)


def _refusal(key: str, raw: object, rule: _Rule) -> BadInput:
    return BadInput(
        f"sandbox limit {key!r} cannot be {str(raw)[:60]!r}", f'write it like "{rule.example}"'
    )


def _check(name: str, number: float, rule: _Rule) -> None:
    if not math.isfinite(number) or not rule.least <= number <= rule.most:
        raise BadInput(
            f"sandbox limit {name!r} must lie between {rule.least:g} and {rule.most:g}"
            f" {rule.unit}, not {number:g}",
            f'for example "{rule.example}"',
        )
