"""What may be spent, and the reserve that pays for an answer whatever else happens."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.domain.budget import RESERVE_TOKENS, action_shortage, kept_back, shortage
from planner_app.domain.catalogue import (
    BudgetLimits,
    Purpose,
    UserApproved,
    UserBudgeted,
    UserPaused,
    UserResumed,
)
from tests.domain.story import Story

FREE = BudgetLimits(usd=None, tokens=None, seconds=None, calls=None, actions=None)


def story(**limits: float | None) -> Story:
    return Story(budget=BudgetLimits.model_validate(FREE.model_dump() | limits))


def which(
    told: Story, purpose: Purpose, tokens: int = 0, usd: float | None = 0.0, ahead: int = 0
) -> str | None:
    short = shortage(told.state, told.now, purpose, tokens, usd, ahead)
    return short.which if short else None


@pytest.mark.parametrize(
    ("purpose", "calls", "allowed"),
    [
        ("plan", 2, False),
        ("plan", 3, True),
        ("act", 2, False),
        ("review", 2, False),
        ("answer", 1, False),
        ("answer", 2, True),
        ("check", 1, True),
        ("check", 0, False),
    ],
)
def test_one_answer_and_one_check_are_kept_out_of_all_other_spending(
    purpose: Purpose, calls: int, allowed: bool
) -> None:
    assert (which(story(calls=calls), purpose) is None) == allowed


def test_of_a_small_budget_a_quarter_is_kept() -> None:
    assert kept_back(1_000_000, RESERVE_TOKENS) == RESERVE_TOKENS
    assert kept_back(8_000, RESERVE_TOKENS) == 2_000
    told = story(tokens=8_000)
    assert which(told, "act", 6_000) is None
    assert which(told, "act", 6_001) == "tokens"
    assert which(told, "answer", 7_000) is None
    assert which(told, "answer", 7_001) == "tokens"
    assert which(told, "check", 8_000) is None
    assert which(told, "check", 8_001) == "tokens"


def test_a_call_is_refused_by_its_worst_case_before_it_is_made() -> None:
    told = story(usd=1.0)
    assert which(told, "act", usd=0.80) is None
    assert which(told, "act", usd=0.81) == "usd"


def test_calls_under_way_count_with_their_reservation() -> None:
    told = story(tokens=10_000, usd=1.0).plan("a", "b")
    told.start("act a", tokens=5_000, usd=0.5)
    assert which(told, "act", 2_500) is None
    assert which(told, "act", 2_501) == "tokens"
    assert which(told, "act", usd=0.31) == "usd"
    told.reply("act a", tokens=100)
    assert which(told, "act", 7_000, 0.7) is None


def test_calls_that_are_to_start_together_draw_on_one_account() -> None:
    told = story(calls=6)
    assert which(told, "act", ahead=3) is None
    assert which(told, "act", ahead=4) == "calls"


def test_parallel_steps_get_only_as_many_calls_as_are_left() -> None:
    told = story(calls=5).plan("a", "b", "c")
    assert told.due == ["act a", "act b"]
    told.start("act a")
    assert told.due == ["act b"]
    told.start("act b")
    assert told.due == []
    assert told.state.used_up is None
    told.report("a")
    assert told.state.used_up is None
    told.report("b")
    assert told.state.used_up == "calls"
    assert told.due == ["answer"]


def test_steps_that_need_no_action_go_on_when_actions_are_used_up() -> None:
    told = story(actions=1).plan("a", "b", "c:a").code("a")
    told.takes("b")
    assert told.due == ["act a"]
    told.report("a")
    assert told.due == ["act c"]
    told.report("c")
    assert told.state.used_up == "actions"


def test_an_unknown_price_is_bound_by_the_other_limits_only() -> None:
    assert which(story(usd=0.01), "act", usd=None) is None
    assert which(story(usd=0.01, tokens=100), "act", 5_000, None) == "tokens"


def test_actions_are_counted_when_they_start() -> None:
    told = story(actions=1).plan("a").takes("a")
    assert action_shortage(told.state) is None
    told.start("action a")
    assert action_shortage(told.state) is not None


def test_a_used_up_time_ends_the_work_even_during_a_call() -> None:
    told = story(seconds=60).plan("a")
    told.start("act a")
    assert told.wakes == told.now + timedelta(seconds=60, milliseconds=1)
    told.wait(61)
    assert told.state.used_up == "seconds"
    assert told.state.final == "failed"


def test_time_is_up_at_its_last_moment_and_not_before() -> None:
    told = story(seconds=60).plan("a")
    assert told.wait(59.999).state.used_up is None
    assert told.wait(0.001).state.used_up == "seconds"


def test_waiting_for_a_person_uses_up_no_time() -> None:
    told = Story(approve="plan", budget=BudgetLimits(seconds=60)).plan("a")
    told.wait(100_000)
    assert told.state.used_up is None
    assert told.wakes is None
    told.say(UserApproved())
    assert told.due == ["act a"]
    assert told.state.active_seconds == 0


def test_a_pause_uses_up_no_time() -> None:
    told = story(seconds=60).plan("a").wait(10).say(UserPaused()).wait(100_000)
    told.say(UserResumed())
    assert told.state.active_seconds == 10
    assert told.due == ["act a"]


def test_while_answering_no_end_of_time_wakes_anybody() -> None:
    told = story(seconds=60).source().plan("a", "b").report("a").report("b").wait(1_000)
    assert told.state.status == "answering"
    assert told.wakes is None
    assert told.answer(1).check().state.final == "done"


def test_a_raised_budget_lets_the_work_go_on() -> None:
    told = story(calls=4).plan("a").say(UserBudgeted(limits={"calls": 40})).code("a")
    assert told.state.used_up is None
    assert told.due == ["act a"]


def test_a_budget_of_words_and_numbers_nobody_knows_stays_readable() -> None:
    told = story(calls=40)
    told.say(UserBudgeted(limits={"calls": 7.9, "magic": 1.0, "tokens": float("inf")}))
    assert told.state.budget == FREE.model_copy(update={"calls": 7})


@pytest.mark.parametrize("calls", [0, 1])
def test_a_yes_to_as_much_again_is_enough_to_go_on_even_under_next_to_nothing(calls: int) -> None:
    budget = BudgetLimits.model_validate(FREE.model_dump() | {"calls": calls})
    told = Story(budget=budget, approve="outside")
    assert told.state.status == "waiting_user"
    told.say(UserApproved())
    assert (told.state.questions, told.due) == ({}, ["plan"])


def test_a_yes_after_a_limit_was_set_below_what_is_spent_allows_more_than_that() -> None:
    told = Story(approve="outside").plan("a").refused("a", "silent").refused("a", "truncated")
    told.say(UserBudgeted(limits={"calls": 1.0}))
    assert told.state.status == "waiting_user"
    told.say(UserApproved())
    assert told.state.budget.calls == 2 * told.state.spent.calls
    assert told.due == ["act a"]


def test_a_raised_budget_does_not_hide_why_else_an_answer_is_partial() -> None:
    told = story().source().plan("a", "b").report("a").report("b", "blocked").review("answer")
    told.say(UserBudgeted(limits={"usd": 5.0})).answer(1).check()
    assert told.state.reason == "the planner answered before every step was done"


def test_a_correction_of_a_review_leaves_the_reserve_alone() -> None:
    told = story(calls=5).plan("a").report("a", "blocked").unreadable("review", "review")
    assert told.state.used_up == "calls"
    assert which(told, "correct") == "calls"


def test_a_correction_of_an_answer_that_the_reserve_cannot_pay_is_skipped() -> None:
    told = story(calls=5).source().plan("a", "b").report("a").report("b")
    told.unreadable("answer", "answer")
    assert told.state.final == "partial"
    assert "put together from the reports" in told.state.reason


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_no_order_of_calls_passes_the_limit(limit: int, acts: int, ahead: int) -> None:
    told = story(calls=limit + 1).plan("a") if limit > 1 else story(calls=limit)
    made = 0
    while made < acts and told.due == ["act a"]:
        told.refused("a", "truncated")
        made += 1
    assert told.state.spent.calls <= max(0, limit + 1 - 2)
    assert which(told, "act", ahead=ahead) is None or told.state.spent.calls + ahead + 3 > limit + 1
