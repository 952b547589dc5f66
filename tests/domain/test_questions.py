"""What a person is asked, and every way in which a question ends."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_app.domain.catalogue import (
    BudgetLimits,
    BudgetUsedUp,
    QuestionAsked,
    UserAnswered,
    UserApproved,
    UserCancelled,
    UserPaused,
    UserRejected,
)
from planner_app.domain.move_changes import ask
from planner_app.domain.plan import Question
from planner_app.domain.state import Attempt
from tests.domain.story import Story


def asking(kind: str = "ask_user", **created: object) -> Story:
    """A run whose step a asks during its first action, while step b has nothing to wait for."""
    story = Story(**created).plan("a", "b").takes("a")
    story.start("action a")
    attempt = 1 if kind == "ask_user" else None
    question = Question(text="which one?", default="both")
    story.append(ask(story.state, kind, [question], story.now, "a", attempt))
    if kind == "ask_user":
        story.acts("a", status="ended")
    return story


def attempt_of(story: Story, step: str) -> Attempt:
    return story.state.steps[step].attempts[-1]


def test_only_the_step_that_asks_waits() -> None:
    story = asking()
    assert story.due == ["act b"]
    story.start("act b")
    assert story.state.status == "executing"


def test_a_run_waits_when_nothing_else_can_go_on() -> None:
    story = asking().report("b")
    assert story.due == []
    assert story.state.status == "waiting_user"


def test_the_answer_is_the_next_message_of_the_step_that_asked() -> None:
    story = asking().say(UserAnswered(text="the red one"))
    assert story.due == ["act a", "act b"]
    assert attempt_of(story, "a").outbox[-1].text == "the red one"
    assert attempt_of(story, "b").outbox == ()


def test_without_an_answer_the_default_stands_after_its_deadline() -> None:
    story = asking().report("b")
    asked = story.now
    assert story.wakes == asked + timedelta(seconds=900)
    story.wait(900)
    assert "which one? -> both" in attempt_of(story, "a").outbox[-1].text
    assert story.due == ["act a"]


def test_whoever_approves_a_question_takes_its_defaults() -> None:
    story = asking().say(UserApproved())
    assert "which one? -> both" in attempt_of(story, "a").outbox[-1].text


def test_an_answer_that_names_no_question_goes_to_the_oldest() -> None:
    story = asking()
    story.takes("b").start("action b")
    story.append(ask(story.state, "ask_user", [Question(text="b?")], story.now, "b", 1))
    story.acts("b", status="ended")
    story.say(UserAnswered(text="one")).say(UserAnswered(text="two"))
    assert story.state.questions == {}
    assert attempt_of(story, "a").outbox[-1].text == "one"
    assert attempt_of(story, "b").outbox[-1].text == "two"


def test_an_answer_that_names_its_question_goes_there() -> None:
    story = asking()
    story.takes("b").start("action b")
    story.append(ask(story.state, "ask_user", [Question(text="b?")], story.now, "b", 1))
    story.say(UserAnswered(text="two", question_id="q2"))
    assert list(story.state.questions) == ["q1"]
    assert attempt_of(story, "b").outbox[-1].text == "two"


def test_words_that_come_too_late_or_fit_no_question_are_still_told() -> None:
    story = asking()
    story.append(
        UserAnswered(text="one", question_id="q1").draft(actor="user"),
        UserAnswered(text="two", question_id="q1").draft(actor="user"),
    )
    story.settle()
    told = [(note.kind, note.text) for note in attempt_of(story, "a").outbox[-2:]]
    assert told == [("steer", "(to a question that is closed) two"), ("answer", "one")]
    story = Story().plan("a").say(UserAnswered(text="to nothing"))
    assert "to nothing" in story.state.said[-1].text


@pytest.mark.parametrize("data", [UserApproved(), UserRejected()])
def test_a_yes_or_no_to_nothing_changes_nothing(data: UserApproved) -> None:
    story = Story().plan("a")
    before = story.state
    after = story.say(data).state
    assert after.model_copy(update={"last_seq": before.last_seq}) == before


def test_only_the_first_answer_counts() -> None:
    story = asking()
    story.append(
        UserAnswered(text="one", question_id="q1").draft(actor="user"),
        UserAnswered(text="two", question_id="q1").draft(actor="user"),
    )
    story.settle()
    assert [n.text for n in attempt_of(story, "a").outbox if n.kind == "answer"] == ["one"]


def test_permission_has_no_deadline_and_is_refused_where_nobody_can_be_asked() -> None:
    waits = Story(approve="actions").plan("a").takes("a").wait(1_000_000)
    assert (waits.state.status, waits.wakes) == ("waiting_user", None)
    refused = Story(approve="actions", no_input=True).plan("a").takes("a")
    assert refused.newest("question.closed")["how"] == "rejected"
    assert refused.due == ["act a"]


def test_a_headless_run_still_waits_for_an_approval_but_refuses_a_new_host() -> None:
    waits = Story(approve="actions", headless=True).plan("a").takes("a")
    assert waits.state.status == "waiting_user"
    story = asking("network", headless=True)
    story.settle()
    assert story.newest("question.closed")["how"] == "rejected"


def test_a_host_that_is_allowed_for_the_run_is_remembered() -> None:
    story = asking("network")
    assert story.say(UserApproved(scope="run")).state.allowed == ("network ",)
    once = asking("network")
    assert once.say(UserApproved()).state.allowed == ()


@pytest.mark.parametrize("kind", ["ask_user", "network"])
def test_a_question_of_a_step_that_is_dropped_is_cancelled(kind: str) -> None:
    story = asking(kind).report("b", "surprise").review("replan").plan("c")
    assert story.newest("question.closed")["how"] == "cancelled"
    assert story.state.questions == {}


def test_a_question_about_the_task_is_cancelled_when_planning_is_over() -> None:
    story = Story().plan(asks=[("which?", "")])
    story.append(BudgetUsedUp(which="daily_usd").draft())
    story.settle()
    assert story.state.final == "failed"
    assert story.state.questions == {}


def test_a_review_s_question_is_cancelled_when_the_review_is_over() -> None:
    story = Story().source().plan("a", "b", "c").report("a").report("b", "blocked")
    story.review("ask_user", questions=[{"text": "which?"}])
    told = story.state.outbox
    story.append(BudgetUsedUp(which="daily_usd").draft())
    assert story.due == ["answer"]
    assert story.state.outbox == told, "nobody answered, so nobody is told an answer"
    assert story.newest("question.closed")["how"] == "cancelled"
    assert story.state.status == "answering"


def test_a_review_asks_twice_at_most() -> None:
    story = Story().plan("a", "b:a").report("a", "blocked")
    for _ in range(2):
        story.review("ask_user", questions=[{"text": "which?"}]).say(UserAnswered(text="this"))
    assert story.due == ["review"]
    story.review("ask_user", questions=[{"text": "which?"}])
    assert story.state.status == "executing"


def test_a_cancel_closes_everything_that_waits() -> None:
    story = asking().say(UserCancelled())
    assert story.state.final == "cancelled"
    assert story.state.questions == {}
    assert story.state.summary().needs == ""


def test_a_question_may_be_answered_while_the_run_is_paused() -> None:
    story = asking().say(UserPaused()).say(UserAnswered(text="the red one"))
    assert story.state.questions == {}
    assert story.due == []


def test_the_list_says_what_is_asked_and_when_the_default_stands() -> None:
    story = asking()
    summary = story.state.summary()
    assert summary.needs == "which one?"
    deadline = story.state.questions["q1"].deadline
    assert deadline is not None
    assert summary.wake_at == deadline.isoformat()


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.text(max_size=4_000), st.text(max_size=1_000)), min_size=1, max_size=12)
)
def test_any_batch_of_questions_fits_into_its_event(batch: list[tuple[str, str]]) -> None:
    story = Story(claimed=False)
    questions = [Question(text=text, default=default) for text, default in batch]
    data = QuestionAsked.model_validate(ask(story.state, "clarify", questions, story.now).data)
    assert 1 <= len(data.questions) <= 8
    assert all(q.text for q, (text, _) in zip(data.questions, batch, strict=False) if text)


def test_a_person_may_allow_more_than_the_budget() -> None:
    told = Story(budget=BudgetLimits(calls=4), approve="outside").plan("a", "b:a").report("a")
    asked = next(iter(told.state.questions.values()))
    assert (asked.kind, asked.about) == ("budget", "calls")
    assert told.due == []
    told.say(UserApproved())
    assert told.state.budget.calls == 8
    assert told.due == ["act b"]


def test_a_refused_budget_is_used_up_and_answered_from_the_reserve() -> None:
    told = Story(budget=BudgetLimits(calls=4), approve="outside").plan("a", "b:a").report("a")
    told.say(UserRejected(reason="no more"))
    assert told.state.used_up == "calls"
    assert told.state.phase == "answering"


def test_without_anyone_to_ask_a_budget_is_used_up_at_once() -> None:
    told = (
        Story(budget=BudgetLimits(calls=4), approve="outside", headless=True)
        .plan("a", "b:a")
        .report("a")
    )
    assert told.state.used_up == "calls"


def test_words_are_no_answer_to_a_question_for_permission() -> None:
    told = Story(budget=BudgetLimits(calls=4), approve="outside").plan("a", "b:a").report("a")
    told.say(UserAnswered(text="yes"))
    assert [q.kind for q in told.state.questions.values()] == ["budget"]
    assert told.state.used_up is None
