"""Limits are written as people write them, and a bad one is named with an example."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.domain.errors import BadInput
from planner_app.sandbox.limits import GIB, KIB, MIB, Limits


@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [
        ("memory_bytes", "512m", 512 * MIB),
        ("memory_bytes", "1.5g", 3 * GIB // 2),
        ("memory_bytes", "2GiB", 2 * GIB),
        ("memory_bytes", 536870912, 512 * MIB),
        ("memory", "64 MB", 64 * MIB),
        ("tmp", "2m", 2 * MIB),
        ("output", "64k", 64 * KIB),
        ("action_seconds", "90s", 90.0),
        ("action", "2m", 120.0),
        ("timeout", "1.5h", 5400.0),
        ("grace", "250ms", 0.25),
        ("cpus", "1.5", 1.5),
        ("cpus", 2, 2.0),
        ("pids", "64", 64),
    ],
)
def test_units_mean_what_they_say(field: str, written: object, meant: float) -> None:
    limits = Limits.parse({field: written})
    name = {"memory": "memory_bytes", "tmp": "tmp_bytes", "output": "output_bytes"}.get(field)
    name = name or {"action": "action_seconds", "timeout": "action_seconds"}.get(field)
    name = name or {"grace": "grace_seconds"}.get(field, field)
    assert getattr(limits, name) == meant


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("memory_bytes", "12 parsecs"),
        ("memory_bytes", "90s"),
        ("memory_bytes", "-1m"),
        ("memory_bytes", "1k"),
        ("memory_bytes", "9999999g"),
        ("memory_bytes", "0x200"),
        ("memory_bytes", True),
        ("memory_bytes", None),
        ("memory_bytes", []),
        ("memory_bytes", float("nan")),
        ("action_seconds", "12 parsecs"),
        ("action_seconds", "512m" * 100),
        ("action_seconds", float("inf")),
        ("action_seconds", 0),
        ("cpus", "1m"),
        ("cpus", "-1"),
        ("pids", "many"),
        ("pids", ""),
        ("pids", "12\n13"),
    ],
)
def test_a_bad_limit_is_named_with_an_example(field: str, written: object) -> None:
    with pytest.raises(BadInput) as caught:
        Limits.parse({field: written})
    told = f"{caught.value} {caught.value.hint}"
    assert field in told
    assert '"' in caught.value.hint
    assert len(told) < 400
    assert "\n" not in told


def test_an_unknown_limit_lists_the_known_ones() -> None:
    with pytest.raises(BadInput) as caught:
        Limits.parse({"memmory": "1g"})
    assert "memmory" in str(caught.value)
    assert "memory_bytes" in caught.value.hint


def test_what_is_not_written_comes_from_the_base() -> None:
    base = Limits.parse({"memory": "300m", "pids": 50})
    limits = Limits.parse({"pids": 60}, base)
    assert (limits.memory_bytes, limits.pids) == (300 * MIB, 60)


def test_limits_made_in_code_are_checked_as_well() -> None:
    with pytest.raises(BadInput):
        Limits(pids=0)


@given(st.sampled_from(["memory", "action", "cpus", "pids", "tail"]), st.text(max_size=30))
def test_any_text_is_a_limit_or_a_clear_refusal(field: str, text: str) -> None:
    try:
        limits = Limits.parse({field: text})
    except BadInput as error:
        told = error.hint
    else:
        told = repr(limits)
    assert told
