"""Reading a reply takes effort in proportion to its length, whatever it holds.

Effort is counted in calls of functions, Python's and C's, so that a busy machine does not matter;
what a single call of C takes is measured in bench/structured.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from planner_app.models import fallbacks, structured
from planner_app.models.fences import read_turn
from planner_app.models.structured import StructuredError, parse

LENGTH = 1_500
CALLS_PER_CHAR = 40


class Plan(BaseModel):
    goal: str
    steps: list[str]
    budget: int = 1


def effort(work: Callable[[str], object], text: str) -> int:
    """Calls made while a text is read."""
    count = 0

    def note(_frame: FrameType, event: str, _what: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work(text)
    finally:
        sys.setprofile(before)
    return count


def read(text: str) -> None:
    # The repair has a cap of its own; below it, it may go over its text again.
    with patch.object(structured, "repaired_value", return_value=None), suppress(StructuredError):
        parse(text, Plan)


def grows_in_proportion(work: Callable[[str], object], make: Callable[[int], str]) -> None:
    work(make(100))
    short, long = make(LENGTH), make(2 * LENGTH)
    # What is read again is bounded by a multiple of the length, which a short text may not reach.
    assert effort(work, long) <= max(2.5 * effort(work, short), CALLS_PER_CHAR * len(long))


PIECES = [
    "{", "[", "}", "]", '"', "'", "`", "```", "```json\n", "```python\n", "~~~\n", "\\", '\\"', ",",
    ":", "<think>", "</think>", "<answer>", "</answer>", "goal", '"goal":', '"goal": "', "goal: ",
    '"steps": [', '"steps": ["a"', "- a\n", "\n", " ", "9", "1,234", "//", "/*", "*/", "#", "###",
    "\u200b", "\u200c", "\u202a", "\ufeff", "\u201c", "\u201d", "\uff5b", "\uff02", "\u300c", "(",
    ")", '"""', "'''", '{"goal": "g", "steps": []}', '{"goal": 1}', '{"goal" 1}', "null", "NaN",
    '{"', '["', "{'", "[{", '{"a":', '["a", ', '{"goal":["', "{/*", '{“', "{`", '{"a":"b" ',
    "x = 1\n", "&a ", "*a", "? ", "| ", "{\\n", "\n<think>", "...", "**goal**: ",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_one_piece_over_and_over(piece: str) -> None:
    grows_in_proportion(read, lambda length: piece * (length // len(piece)))
    grows_in_proportion(read, lambda length: '{"goal": "' + piece * (length // len(piece)))


pieces = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)


@settings(max_examples=60, deadline=None)
@given(pieces, pieces, pieces)
def test_any_pieces_over_and_over(before: str, again: str, after: str) -> None:
    grows_in_proportion(read, lambda length: before + again * (length // len(again)) + after)


@settings(max_examples=30, deadline=None)
@given(pieces, pieces)
def test_the_blocks_of_a_turn_over_and_over(before: str, again: str) -> None:
    grows_in_proportion(read_turn, lambda length: before + again * (length // len(again)))


@pytest.mark.parametrize(
    "make",
    [
        lambda length: "some {text} here [1] " * (length // 21),
        lambda length: "{[}]" * (length // 4),
        lambda length: '{"goal" "x", "steps": ["' + 'a "b" ' * (length // 6) + '"]}',
    ],
)
def test_a_repair_that_goes_over_its_text_again_and_again_is_given_up(
    make: Callable[[int], str],
) -> None:
    once = effort(fallbacks.repaired_value, make(8_000))
    assert effort(fallbacks.repaired_value, make(16_000)) < 2.5 * once
