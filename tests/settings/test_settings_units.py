"""Quantities as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.settings_units import (
    is_none,
    read_bytes,
    read_count,
    read_minutes,
    read_seconds,
    read_usd,
)

READERS = (read_bytes, read_count, read_minutes, read_seconds, read_usd)


@pytest.mark.parametrize(
    ("reader", "written", "meant"),
    [
        (read_bytes, "512m", 512 * 1024**2),
        (read_bytes, "1.5 GiB", 1536 * 1024**2),
        (read_bytes, "8KB", 8192),
        (read_bytes, 100, 100),
        (read_seconds, "90s", 90),
        (read_seconds, "1.5h", 5400),
        (read_seconds, "250ms", 0.25),
        (read_minutes, "90s", 1.5),
        (read_minutes, "2h", 120),
        (read_minutes, 45, 45),
        (read_usd, "$2.50", 2.5),
        (read_count, "200k", 200_000),
    ],
)
def test_units_mean_what_people_mean(reader, written, meant) -> None:
    assert reader(written) == pytest.approx(meant)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "written", ["", "12 parsecs", "-3", -3, True, None, [], float("nan"), float("inf"), "1e5", "--"]
)
def test_anything_else_is_refused_with_an_example(reader, written) -> None:
    with pytest.raises(ValueError, match=r"use a|use US"):
        reader(written)


@given(st.text(max_size=30) | st.floats() | st.integers() | st.booleans() | st.none())
def test_a_reader_gives_a_sound_number_or_a_value_error(value) -> None:
    for reader in READERS:
        try:
            number = reader(value)
        except ValueError:
            continue
        assert 0 <= number < float("inf")


@given(st.integers(0, 10**12))
def test_a_canonical_number_reads_back_as_itself(number: int) -> None:
    for reader in READERS:
        assert reader(reader(number)) == reader(number)
        assert reader(str(number)) == reader(number)


@given(st.integers(0, 10**6), st.sampled_from(["k", "m", "g"]))
def test_sizes_are_powers_of_1024(number: int, unit: str) -> None:
    power = {"k": 1, "m": 2, "g": 3}[unit]
    for suffix in ("", "b", "ib", "B", "iB"):
        assert read_bytes(f"{number}{unit}{suffix}") == number * 1024**power


def test_no_limit_has_words_of_its_own() -> None:
    assert is_none("none")
    assert is_none("Unlimited")
    assert not is_none("0")
