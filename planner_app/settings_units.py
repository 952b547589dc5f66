"""How people write quantities in settings and flags: "512m", "90s", "$2", "none".

Each reader takes what a TOML file, a variable or a flag holds and gives the canonical number, or
raises ValueError with an example. A canonical number reads back as itself.
"""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, Field

KIB = 1024
BYTE_UNITS = {"": 1, "b": 1} | {
    prefix + suffix: KIB**power
    for power, prefix in enumerate("kmgt", start=1)
    for suffix in ("", "b", "ib")
}
SECOND_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,12})?)\s*([a-z]*)", re.IGNORECASE)
UNLIMITED = ("none", "off", "unlimited")


def read_bytes(value: object) -> int:
    """A size: a number of bytes, or a text such as "512m", "1.5 GiB". Units are powers of 1024."""
    number, unit = _split(value, '"512m"')
    if unit not in BYTE_UNITS:
        raise ValueError('use a size such as "512m" or "2g"')
    return int(number * BYTE_UNITS[unit])


def read_seconds(value: object) -> float:
    """A time in seconds: a number, or a text such as "90s", "5m", "1h"."""
    return _time(value, "s")


def read_minutes(value: object) -> float:
    """A time in minutes: a number of minutes, or a text such as "90s", "45m", "2h"."""
    number, unit = _split(value, '"30m"')
    return number if not unit else _time(value, "m") / 60


def read_usd(value: object) -> float:
    """An amount of US dollars: 2, 2.5, "$2.50"."""
    text = value.strip().removeprefix("$") if isinstance(value, str) else value
    number, unit = _split(text, "2.0")
    if unit not in ("", "usd"):
        raise ValueError("use US dollars such as 2.0")
    return number


def read_count(value: object) -> int:
    """A whole number, or a text such as "60", "200k", "1.5m" (thousands and millions)."""
    number, unit = _split(value, "60")
    factor = {"": 1, "k": 1_000, "m": 1_000_000}.get(unit)
    if factor is None or number * factor != int(number * factor):
        raise ValueError("use a whole number such as 60")
    return int(number * factor)


def read_number(value: object) -> float:
    """A plain number: 2, "1.5"."""
    number, unit = _split(value, "1.5")
    if unit:
        raise ValueError("use a plain number such as 1.5")
    return number


def read_list(value: object) -> object:
    """A list as TOML has it, or a text with commas between the words."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def is_none(value: object) -> bool:
    """Whether there shall be no limit. TOML has no null, so "none" says it."""
    return value is None or (isinstance(value, str) and value.strip().lower() in UNLIMITED)


def _time(value: object, bare: str) -> float:
    number, unit = _split(value, '"90s"')
    factor = SECOND_UNITS.get(unit or bare)
    if factor is None:
        raise ValueError('use a time such as "90s", "5m" or "1h"')
    return number * factor


def _split(value: object, example: str) -> tuple[float, str]:
    """Number and lower-case unit. Negative, endless and true or false are refused."""
    if isinstance(value, bool):
        raise ValueError(f"use a number such as {example}")
    if isinstance(value, int | float):
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"use a number that is not negative, such as {example}")
        return float(value), ""
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        below = isinstance(value, str) and value.strip().startswith("-")
        kind = "a number that is not negative," if below else "a number"
        raise ValueError(f"use {kind} such as {example}")
    return float(match[1]), match[2].lower()


Bytes = Annotated[int, BeforeValidator(read_bytes)]
"""Bytes."""
Seconds = Annotated[float, BeforeValidator(read_seconds)]
"""Seconds."""
Minutes = Annotated[float, BeforeValidator(read_minutes)]
"""Minutes."""
Usd = Annotated[float, BeforeValidator(read_usd)]
"""US dollars."""
UsdLimit = Annotated[float | None, BeforeValidator(lambda v: None if is_none(v) else read_usd(v))]
"""US dollars; None: no limit."""
MinutesLimit = Annotated[
    Annotated[float, Field(gt=0)] | None,
    BeforeValidator(lambda v: None if is_none(v) else read_minutes(v)),
]
"""Minutes, above 0; None: no limit."""
CountLimit = Annotated[
    Annotated[int, Field(gt=0)] | None,
    BeforeValidator(lambda v: None if is_none(v) else read_count(v)),
]
"""A whole number above 0; None: no limit."""
Words = Annotated[tuple[str, ...], BeforeValidator(read_list)]
"""A list of words."""
