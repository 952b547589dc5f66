"""Reads fields of an event's data without trusting their types: old and odd logs stay readable."""

from __future__ import annotations

from collections.abc import Mapping

Data = Mapping[str, object]


def text(data: Data, key: str) -> str:
    """The field as text; absent or None gives an empty text."""
    value = data.get(key)
    return value if isinstance(value, str) else "" if value is None else str(value)


def whole(data: Data, key: str) -> int:
    """The field as a whole number; absent gives 0."""
    value = data.get(key)
    return int(value) if isinstance(value, (int, float)) else 0


def real(data: Data, key: str) -> float | None:
    """The field as a number; absent or None gives None."""
    value = data.get(key)
    return float(value) if isinstance(value, (int, float)) else None


def items(data: Data, key: str) -> tuple[object, ...]:
    """The field as a list; absent gives none."""
    value = data.get(key)
    return tuple(value) if isinstance(value, (list, tuple)) else ()


def texts(data: Data, key: str) -> tuple[str, ...]:
    """The field as a list of texts."""
    return tuple(item if isinstance(item, str) else str(item) for item in items(data, key))


def numbers(data: Data, key: str) -> tuple[int, ...]:
    """The field as a list of whole numbers."""
    return tuple(item for item in items(data, key) if isinstance(item, int))


def table(data: Data, key: str) -> Data:
    """The field as a mapping; absent gives an empty one."""
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def tables(data: Data, key: str) -> tuple[Data, ...]:
    """The field as a list of mappings."""
    return tuple(item for item in items(data, key) if isinstance(item, Mapping))
