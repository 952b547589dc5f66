"""The rows of the table of states that end a run: budgets, cancel, crashes, answer and check."""

import pytest

from planner_app.domain.catalogue import (
    BudgetLimits,
    BudgetUsedUp,
    StepReported,
    UserCancelled,
    UserPaused,
    UserResumed,
    UserSteered,
)
from planner_app.domain.plan import Report
from tests.domain.story import Story


def planned(*texts: str, **created: object) -> Story:
    """A run with a source to cite, whose plan has been taken up."""
    return Story(**created).source().plan(*texts)


# --- budgets, cancel, crash ----------------------------------------------------------------------


def test_a_used_up_budget_answers_from_what_is_done() -> None:
    story = planned("a", "b:a", "c:b", budget=BudgetLimits(calls=5)).report("a").code("b")
    assert story.newest("budget.used_up")["which"] == "calls"
    assert story.state.status == "answering"
    assert story.answer(1).check().state.final == "partial"
    assert "3 of 5 model calls" in story.state.reason
    assert story.status("b") == "skipped"


def test_a_used_up_budget_with_nothing_done_is_a_failure() -> None:
    story = Story(budget=BudgetLimits(calls=4)).plan("a").code("a")
    assert story.state.final == "failed"
    assert "2 of 4 model calls" in story.state.reason


def test_a_last_call_that_is_paid_for_still_counts() -> None:
    story = Story(budget=BudgetLimits(calls=4)).plan("a").report("a")
    assert story.check().state.final == "done"


@pytest.mark.parametrize("when", ["planning", "executing", "answering", "checking", "paused"])
def test_a_cancel_ends_the_run_at_any_time(when: str) -> None:
    story = Story().source()
    if when != "planning":
        story.plan("a", "b")
    if when in {"answering", "checking"}:
        story.report("a").report("b")
    if when == "checking":
        story.answer(1)
    if when == "paused":
        story.say(UserPaused())
    assert story.state.status == when
    story.say(UserCancelled(reason="enough"))
    assert story.state.final == "cancelled"
    assert story.state.reason == "enough"
    assert all(step.status != "running" for step in story.state.steps.values())
    assert story.due == []


def test_a_paused_run_starts_nothing_until_it_is_resumed() -> None:
    story = Story().plan("a").say(UserPaused())
    assert story.due == []
    assert story.state.status == "paused"
    assert story.say(UserResumed()).due == ["act a"]


def test_after_a_crash_an_action_that_did_not_finish_runs_again_under_its_next_try() -> None:
    story = Story().plan("a").takes("a")
    first = story.start("action a")
    story.claim()
    second = story.start("action a")
    assert (first.id, second.id) == ("action/a/1/1/1", "action/a/1/1/2")
    assert story.state.spent.actions == 1


def test_after_a_crash_an_action_that_finished_does_not_run_again() -> None:
    assert Story().plan("a").code("a").claim().due == ["act a"]


def test_a_model_call_lost_in_a_crash_is_paid_for_and_made_again() -> None:
    story = Story()
    story.start("plan", tokens=500, usd=0.25)
    story.claim()
    assert (story.state.spent.calls, story.state.spent.tokens) == (1, 500)
    assert story.state.spent.usd == pytest.approx(0.25)
    assert story.plan("a").due == ["act a"]


def test_a_message_from_the_person_reaches_planner_and_running_steps() -> None:
    story = Story().plan("a", "b:a").say(UserSteered(text="hurry"))
    assert story.state.steps["a"].attempts[0].outbox[-1].text == "hurry"
    assert story.state.outbox[-1].text == "hurry"


# --- answering and checking ----------------------------------------------------------------------


def answering(**created: object) -> Story:
    return planned("a", "b", **created).report("a").report("b")


@pytest.mark.parametrize(
    ("cited", "said"), [((), "has no source id"), ((99,), "[99], which does not exist")]
)
def test_a_claim_without_a_source_is_sent_back_once(cited: tuple[int, ...], said: str) -> None:
    story = answering().answer(*cited)
    assert said in story.newest("answer.refused")["problems"][0]
    assert story.due == ["answer"]
    story.answer()
    assert story.state.status == "checking"
    assert story.check().state.final == "partial"
    assert story.state.reason == "some claims could not be verified"


def test_a_failed_check_asks_for_a_better_answer_once() -> None:
    story = answering().answer(1).check(ok=False)
    assert story.due == ["answer"]
    assert "it is wrong" in story.state.outbox[-1].text
    assert story.answer(1).check().state.final == "done"


def test_a_second_failed_check_makes_the_answer_partial() -> None:
    story = answering().answer(1).check(ok=False).answer(1).check(ok=False)
    assert story.state.final == "partial"
    assert "it is wrong" in story.state.reason


def test_an_unsourced_draft_that_was_put_right_leaves_no_trace_in_the_end() -> None:
    story = answering().answer().answer().check(ok=False).answer(1).check()
    assert story.state.final == "done"


def test_done_needs_every_live_step() -> None:
    story = planned("a", "b:a").report("a").report("b", "blocked").review("replan")
    story.plan(answer="it is 42").check()
    assert story.state.final == "partial"
    assert story.state.reason == "not every step was done"


def test_a_late_unreadable_review_does_not_get_into_the_answer_s_way() -> None:
    story = planned("a", "b", "c").report("a").report("b", "blocked")
    story.start("review")
    story.append(BudgetUsedUp(which="daily_usd").draft())
    assert story.due == []
    assert story.unreadable("review", "review").due == ["answer"]


def test_a_check_that_cannot_be_read_makes_the_answer_partial() -> None:
    story = answering().answer(1).unreadable("check", "check")
    story.unreadable("correct", "check").unreadable("correct", "check")
    assert story.state.final == "partial"
    assert story.state.reason == "the check could not be read"


def test_an_answering_model_that_is_down_leaves_an_answer_made_of_the_reports() -> None:
    story = answering().fails("answer", "auth")
    assert story.state.final == "partial"
    assert story.state.answer is not None
    assert "found a" in story.state.answer.text
    assert "found b" in story.state.answer.text
    assert "put together from the reports" in story.state.reason


def test_a_checker_that_is_down_leaves_the_answer_unchecked() -> None:
    story = answering().answer(1).fails("check")
    assert story.state.final == "partial"
    assert "not checked" in story.state.reason


def test_an_executor_that_is_down_does_not_keep_the_planner_from_answering() -> None:
    story = planned("a", "b").report("a").fails("act b", "auth")
    assert story.due == ["answer"]
    assert story.answer(1).check().state.final == "partial"


def test_an_executor_that_stumbles_costs_an_attempt_only() -> None:
    story = Story().plan("a").fails("act a", "server")
    assert story.due == ["act a"]
    assert story.state.steps["a"].attempts[0].outcome == "failed"


# --- solo ----------------------------------------------------------------------------------------


def test_solo_mode_acts_at_once_and_is_checked_all_the_same() -> None:
    story = Story(mode="solo")
    assert story.due == ["act solo"]
    assert story.code("solo").report("solo").check().state.final == "done"


def test_a_report_that_came_before_the_budget_was_used_up_counts() -> None:
    story = planned("a", "b")
    move = story.start("act a")
    where = {"move_id": move.id, "step_id": "a", "attempt": 1}
    story.append(
        StepReported(report=Report(verdict="done", result="found a")).draft(**where),
        BudgetUsedUp(which="daily_usd").draft(),
    )
    story.settle()
    assert story.status("a") == "done"
    assert story.state.status == "answering"
