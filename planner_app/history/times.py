"""Times as the database holds them: whole microseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(when: datetime) -> int:
    """Exact, unlike `timestamp()`. A time without a zone counts as UTC."""
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """The time again, in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def iso_to_us(text: str | None) -> int | None:
    """From an ISO time; None stays None."""
    return None if text is None else to_us(datetime.fromisoformat(text))


def now_us() -> int:
    """Now."""
    return to_us(datetime.now(UTC))
