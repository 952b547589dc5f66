"""Writes durations, ages, amounts and sizes the same way everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def seconds(value: float) -> str:
    """A duration: `0.3 s`, `12 s`, `4 min 05 s`, `2 h 03 min`."""
    if value < 0:
        value = 0.0
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def age(then: datetime, now: datetime) -> str:
    """How long ago: `now`, `5 min`, `3 h`, `2 d`, then the date."""
    past = (now - then).total_seconds()
    if past < 60:
        return "now"
    if past < 3600:
        return f"{int(past // 60)} min"
    if past < 86_400:
        return f"{int(past // 3600)} h"
    if past < 14 * 86_400:
        return f"{int(past // 86_400)} d"
    return then.strftime("%Y-%m-%d")


def count(value: int) -> str:
    """A whole number, short from ten thousand on: `950`, `9,312`, `18.4k`, `2.1M`."""
    if value < 10_000:
        return f"{value:,}"
    if value < 1_000_000:
        return f"{value / 1000:.1f}k"
    return f"{value / 1_000_000:.1f}M"


def number_of(value: int, noun: str) -> str:
    """A counted noun: `1 step`, `3 steps`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def usd(value: float) -> str:
    """Dollars: cents from ten cents on, finer below."""
    if value == 0:
        return "$0"
    return f"${value:.2f}" if value >= 0.1 else f"${value:.4f}"


def cost(value: float, unpriced: int) -> str:
    """Dollars spent; `at least` where the price of some calls is unknown."""
    if not unpriced:
        return usd(value)
    return f"at least {usd(value)}, {number_of(unpriced, 'call')} unpriced"


def size(value: int) -> str:
    """Bytes: `812 B`, `14 KB`, `3.2 MB`."""
    if value < 1000:
        return f"{value} B"
    if value < 1_000_000:
        return f"{value / 1000:.0f} KB"
    return f"{value / 1_000_000:.1f} MB"


def clock(at: datetime, tz: tzinfo | None = UTC) -> str:
    """The time of day. `tz` None: the computer's own time zone."""
    return at.astimezone(tz).strftime("%H:%M:%S")
