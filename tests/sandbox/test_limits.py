"""Limits are written as people write them, and a bad one is named with an example."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.domain.errors import BadInput
from planner_app.sandbox.limits import GIB, KIB, MIB, Limits
from planner_app.settings_limits import RULES, read_limit_flags


def test_what_nobody_wrote_has_its_default() -> None:
    assert Limits.parse({}) == Limits()


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("memory", "512m", 512 * MIB),
        ("memory", "1.5g", 3 * GIB // 2),
        ("memory", "2GiB", 2 * GIB),
        ("memory", 536870912, 512 * MIB),
        ("memory", "64 MB", 64 * MIB),
        ("tmp", "2m", 2 * MIB),
        ("output_bytes", "64k", 64 * KIB),
        ("tail_bytes", 0, 0),
        ("action_seconds", "90s", 90.0),
        ("action_seconds", "2m", 120.0),
        ("action_seconds", "1.5h", 5400.0),
        ("grace_seconds", "250ms", 0.25),
        ("cpus", "1.5", 1.5),
        ("cpus", 2, 2.0),
        ("pids", "64", 64),
        ("inodes", "50k", 50_000),
        ("result_chars", "2000", 2000),
    ],
)
def test_units_mean_what_they_say(name: str, written: object, meant: float) -> None:
    assert getattr(Limits.parse({name: written}), RULES[name].field) == meant


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("memory", "12 parsecs"),
        ("memory", "90s"),
        ("memory", "-1m"),
        ("memory", "1k"),
        ("memory", "9999999g"),
        ("memory", "0x200"),
        ("memory", True),
        ("memory", None),
        ("memory", []),
        ("memory", float("nan")),
        ("action_seconds", "12 parsecs"),
        ("action_seconds", "512m" * 100),
        ("action_seconds", float("inf")),
        ("action_seconds", 0),
        ("cpus", "1m"),
        ("cpus", "-1"),
        ("cpus", ""),
        ("pids", "many"),
        ("pids", "1.5"),
        ("pids", "12\n13"),
    ],
)
def test_a_bad_limit_is_named_with_an_example(name: str, written: object) -> None:
    with pytest.raises(BadInput) as caught:
        Limits.parse({name: written})
    told = f"{caught.value} {caught.value.hint}"
    assert name in told
    assert f'"{RULES[name].example}"' in caught.value.hint
    assert len(told) < 400
    assert "\n" not in told


def test_an_unknown_limit_gets_the_nearest_known_one() -> None:
    with pytest.raises(BadInput, match="memmory") as caught:
        Limits.parse({"memmory": "1g"})
    assert "did you mean memory?" in caught.value.hint


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("end", ["least", "most"])
def test_the_ends_of_each_range_can_be_had(name: str, end: str) -> None:
    written = {"memory": "1t"} if name in ("tmp", "workspace") else {}
    if (name, end) in (("tmp", "most"), ("workspace", "most")):
        return  # no memory has room for it
    Limits.parse({**written, name: getattr(RULES[name], end)})


def test_sizes_that_nobody_wrote_shrink_with_the_memory() -> None:
    small = Limits.parse({"memory": "64m"})
    assert small.tmp_bytes + small.workspace_bytes <= 48 * MIB
    assert small.file_bytes() == (small.tmp_bytes, small.workspace_bytes)


def test_written_sizes_hold_exactly_or_are_refused_with_the_memory_they_need() -> None:
    exact = Limits.parse({"memory": "1g", "tmp": "512m"})
    assert exact.file_bytes()[0] == 512 * MIB
    with pytest.raises(BadInput) as caught:
        Limits.parse({"memory": "1g", "workspace": "2g"})
    assert 'raise memory to "2816m"' in caught.value.hint
    Limits.parse({"memory": "2816m", "workspace": "2g"})


def test_flags_are_read_like_settings() -> None:
    assert read_limit_flags(["memory=2g", " cpus = 1.5 "]) == {"memory": 2 * GIB, "cpus": 1.5}
    for wrong in ("memory", "memory=", "=2g", "memory=2g=3", "MEMORY=1g"):
        with pytest.raises(BadInput):
            read_limit_flags([wrong])


def test_limits_made_in_code_are_checked_as_well() -> None:
    with pytest.raises(BadInput):
        Limits(pids=0)


@given(st.sampled_from(sorted(RULES)), st.text(max_size=30) | st.floats() | st.integers())
def test_anything_is_a_limit_or_a_clear_refusal(name: str, written: object) -> None:
    try:
        told = repr(Limits.parse({name: written}))
    except BadInput as error:
        told = error.hint
    assert told
