"""When an executor repeats itself, and what counts as the same."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.domain.loops import code_key, loop_verdict, observation_key
from planner_app.domain.state import TurnKey
from tests.domain.story import Story


def turns(text: str, *, error: bool = False) -> list[TurnKey]:
    """One turn for each letter."""
    return [TurnKey(code=c, observation=c, error=error) for c in text]


@pytest.mark.parametrize("text", ["", "a", "aaa", "abcabcabc", "aab", "ababa", "aaba", "abcdef"])
def test_what_is_no_loop(text: str) -> None:
    assert loop_verdict(turns(text), nudged=False) is None


@pytest.mark.parametrize("text", ["aaaa", "abacada", "bbbacab"])
def test_the_same_code_with_the_same_result_four_times_is_a_loop(text: str) -> None:
    verdict = loop_verdict(turns(text), nudged=False)
    assert verdict is not None
    assert (verdict.kind, verdict.count, verdict.fatal) == ("same", 4, True)


@pytest.mark.parametrize("text", ["ababab", "xyababab"])
def test_going_to_and_fro_three_times_is_a_loop(text: str) -> None:
    verdict = loop_verdict(turns(text), nudged=False)
    assert verdict is not None
    assert (verdict.kind, verdict.fatal) == ("cycle", True)


def test_the_same_error_is_told_once_and_the_fourth_time_ends_the_attempt() -> None:
    told = loop_verdict(turns("aaa", error=True), nudged=False)
    assert told is not None
    assert (told.kind, told.count, told.fatal) == ("same_error", 3, False)
    assert loop_verdict(turns("aaa", error=True), nudged=True) is None
    ended = loop_verdict(turns("aaaa", error=True), nudged=True)
    assert ended is not None
    assert ended.fatal


def test_a_repeated_error_nudges_the_executor_before_it_is_ended() -> None:
    story = Story().plan("a", "b:a")
    for _ in range(3):
        story.code("a", "same", status="error")
    assert "Do something else" in story.state.steps["a"].attempts[0].outbox[-1].text
    assert story.due == ["act a"]
    story.code("a", "same", status="error")
    assert story.state.steps["a"].attempts[0].outcome == "loop"
    assert story.types().count("loop.found") == 2


def test_a_new_attempt_begins_without_the_old_one_s_turns() -> None:
    story = Story().plan("a", "b:a")
    for _ in range(7):
        story.code("a", "same")
    assert [a.outcome for a in story.state.steps["a"].attempts] == ["loop", None]


@pytest.mark.parametrize(
    "other",
    ["x = 1\ny = x+2", "x  =  1  # one\n\n\ny = (x + 2)\n"],
)
def test_layout_and_comments_do_not_make_code_new(other: str) -> None:
    assert code_key("x = 1\ny = x + 2") == code_key(other)
    assert code_key("x = 1\ny = x + 3") != code_key(other)


@pytest.mark.parametrize(
    "code",
    ["x = (", "\x00", "(" * 5_000, "1+" * 20_000 + "1", "\ud800", "await f()", "", "é = 1"],
    ids=["open", "nul", "deep", "long", "surrogate", "await", "empty", "letters"],
)
def test_any_code_has_a_key(code: str) -> None:
    assert len(code_key(code)) == 16
    assert code_key(code) == code_key(code)


def test_a_doubtful_escape_in_the_code_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code_key(r"p = '\d+'")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took 1.25 s at 12:03:59", "took 7 s at 08:00:01"),
        ("<object at 0x7f3a>", "<object at 0xBEEF01>"),
        ("1,234 rows\n", "  99 rows"),
        ("2026-01-01", "1999-12-31"),
    ],
)
def test_numbers_times_and_addresses_do_not_make_an_observation_new(one: str, other: str) -> None:
    assert observation_key(one) == observation_key(other)
    assert observation_key(one) != observation_key(f"{other} more")


@given(st.text())
def test_any_observation_has_a_key(text: str) -> None:
    assert len(observation_key(text)) == 16


@given(st.lists(st.sampled_from("abc"), max_size=40), st.booleans())
def test_whoever_repeats_among_three_turns_is_stopped_within_ten(
    letters: list[str], nudged: bool
) -> None:
    keys = turns("".join(letters))
    stopped = [n for n in range(len(keys) + 1) if loop_verdict(keys[:n], nudged) is not None]
    assert len(keys) < 10 or stopped
    assert not stopped or stopped[0] <= 10
