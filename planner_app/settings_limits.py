"""What one sandbox may use, as people write it: the one table of names, units, ranges, defaults."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from planner_app.domain.errors import BadInput
from planner_app.settings_units import KIB, read_bytes, read_count, read_number, read_seconds

MIB = KIB * KIB


@dataclass(frozen=True, slots=True)
class Rule:
    """How one limit is written and what it may be."""

    field: str
    """Its name in `sandbox.Limits`, which says the unit."""
    read: Callable[[object], float]
    least: str
    most: str
    default: str
    example: str

    def number(self, value: object) -> float:
        """The value in the field's unit. Raises ValueError with an example."""
        try:
            number = self.read(value)
        except ValueError:
            raise ValueError(f'use something like "{self.example}"') from None
        if not self.read(self.least) <= number <= self.read(self.most):
            raise ValueError(
                f'it must lie between {self.least} and {self.most}, for example "{self.example}"'
            )
        return number


RULES: Mapping[str, Rule] = {
    "memory": Rule("memory_bytes", read_bytes, "32m", "1t", "1g", "512m"),
    "cpus": Rule("cpus", read_number, "0.05", "1024", "1", "1.5"),
    "pids": Rule("pids", read_count, "8", "32768", "128", "256"),
    "tmp": Rule("tmp_bytes", read_bytes, "1m", "1t", "64m", "64m"),
    "workspace": Rule("workspace_bytes", read_bytes, "1m", "1t", "256m", "256m"),
    "inodes": Rule("inodes", read_count, "64", "10m", "20k", "50000"),
    "action_seconds": Rule("action_seconds", read_seconds, "100ms", "1d", "120s", "90s"),
    "grace_seconds": Rule("grace_seconds", read_seconds, "50ms", "10m", "2s", "2s"),
    "output_bytes": Rule("output_bytes", read_bytes, "1k", "64m", "1m", "1m"),
    "tail_bytes": Rule("tail_bytes", read_bytes, "0", "1m", "8k", "8k"),
    "result_chars": Rule("result_chars", read_count, "100", "50k", "20k", "20000"),
}
"""By the name that settings and flags use."""

MEMORY_FOR_FILES = (3, 4)
"""The share of the memory that /tmp and the workspace may take: files there are memory, and with
none left for processes a full disk would kill every one that comes after."""


def read_limit(name: str, value: object) -> float:
    """A limit in its unit. Raises ValueError that names it, for an unknown or unusable one."""
    rule = RULES.get(name)
    if rule is None:
        near = difflib.get_close_matches(name, RULES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(RULES)}"
        raise ValueError(f"there is no limit {name[:60]!r}; {hint}")
    try:
        return rule.number(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def settle(values: Mapping[str, object]) -> dict[str, float]:
    """All limits by their fields in `sandbox.Limits`; what is not given has its default.

    Sizes of /tmp and the workspace that nobody wrote shrink with the memory. Raises BadInput,
    with the limit's name and an example, for an unknown or unusable one, or when the sizes
    together leave the processes too little memory.
    """
    given = {name: _checked(name, value) for name, value in values.items()}
    numbers = {name: rule.number(rule.default) for name, rule in RULES.items()} | given
    memory = int(numbers["memory"])
    part, whole = MEMORY_FOR_FILES
    room = memory * part // whole
    if "tmp" not in given:
        numbers["tmp"] = min(numbers["tmp"], memory // 8)
    if "workspace" not in given:
        left = max(room - numbers["tmp"], MIB)
        numbers["workspace"] = min(numbers["workspace"], memory // 2, left)
    files = numbers["tmp"] + numbers["workspace"]
    if files > room:
        needed = -(-int(files) * whole // (part * MIB))
        raise BadInput(
            f"the sandbox's tmp and workspace are kept in its memory, and {_shown(files)} is over"
            f" {part}/{whole} of {_shown(memory)}",
            f'raise memory to "{needed}m", or lower tmp and workspace',
        )
    return {RULES[name].field: number for name, number in numbers.items()}


def read_limit_flags(texts: Iterable[str]) -> dict[str, float]:
    """Limits written as NAME=VALUE, such as memory=2g. Raises BadInput."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadInput(
                f"the limit {text[:60]!r} has no value", "write it like --limit memory=2g"
            )
        found[name.strip()] = _checked(name.strip(), value.strip())
    return found


def _checked(name: str, value: object) -> float:
    try:
        return read_limit(name, value)
    except ValueError as error:
        if name not in RULES:
            raise BadInput(*str(error).split("; ", 1)) from None
        shown = f"the sandbox limit {name[:60]} cannot be {str(value)[:60]!r}"
        raise BadInput(shown, str(error).removeprefix(f"{name}: ")) from None


def _shown(count: float) -> str:
    return f"{count / MIB:,.0f} MiB"
