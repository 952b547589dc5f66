"""What a person may rely on when they add a message while the run goes on."""

import pytest

from planner_app.domain.catalogue import BudgetLimits, UserAnswered, UserRejected, UserSteered
from planner_app.domain.move_changes import ask
from planner_app.domain.plan import Question
from tests.domain.story import Story


def steered(story: Story, text: str = "in metres") -> Story:
    return story.say(UserSteered(text=text))


def outbox(story: Story, step: str) -> list[str]:
    return [note.text for note in story.state.steps[step].attempts[-1].outbox]


def test_a_message_reaches_running_steps_later_ones_and_the_planner() -> None:
    story = steered(Story().plan("a", "b:a"))
    assert outbox(story, "a") == ["in metres"]
    assert [note.text for note in story.state.outbox] == ["in metres"]
    story.report("a")
    assert outbox(story, "b") == ["in metres"]


def test_a_message_counts_as_heard_once_an_agent_was_asked_with_it() -> None:
    story = steered(Story().plan("a", "b:a"))
    assert len(story.state.unheard) == 1
    story.takes("a")
    assert story.state.unheard == ()


def test_two_messages_are_both_told_in_their_order() -> None:
    story = steered(steered(Story().plan("a"), "one"), "two")
    assert outbox(story, "a") == ["one", "two"]
    story.takes("a")
    assert story.state.unheard == ()


def test_a_message_during_the_last_report_is_read_before_the_answer_goes_out() -> None:
    story = Story().source().plan("a")
    story.start("act a")
    steered(story).report("a")
    assert story.state.status == "reviewing"
    assert story.due == ["review"]


@pytest.mark.parametrize("when", ["draft", "check"])
def test_a_message_that_comes_too_late_for_the_draft_is_read_all_the_same(when: str) -> None:
    story = Story().source().plan("a", "b").report("a").report("b")
    story.start("answer")
    if when == "draft":
        steered(story)
        story.answer(1)
    else:
        story.answer(1)
        story.start("check")
        steered(story)
        assert story.due == [], "the check under way is not thrown away"
        story.check()
    assert story.due == ["review"]
    story.review("continue")
    assert story.due == ["answer"]
    story.answer(1).check()
    assert story.state.final == "done"


def test_a_message_that_nothing_can_pay_for_makes_the_answer_partial() -> None:
    story = (
        Story(budget=BudgetLimits(calls=5), headless=True)
        .source()
        .plan("a", "b")
        .report("a")
        .report("b")
    )
    assert story.due == ["answer"]
    story.answer(1).start("check")
    steered(story)
    story.check()
    assert story.state.final == "partial"
    assert "too late" in story.state.reason


def test_an_answer_after_its_deadline_still_reaches_the_step_that_asked() -> None:
    story = Story().plan("a").takes("a")
    story.start("action a")
    question = Question(text="which?", default="both")
    story.append(ask(story.state, "ask_user", [question], story.now, "a", 1))
    story.acts("a", status="ended").wait(900)
    story.say(UserAnswered(text="the red one", question_id="q1"))
    assert "the red one" in outbox(story, "a")[-1]


def test_what_was_refused_for_the_run_is_not_asked_again() -> None:
    story = Story(approve="actions").plan("a").takes("a")
    story.say(UserRejected(reason="no code", scope="run"))
    assert "report now" in outbox(story, "a")[-1]
    story.takes("a")
    assert story.state.questions == {}
    assert story.state.steps["a"].status == "blocked"


def test_waiting_for_leave_inside_an_action_is_no_run_time() -> None:
    story = Story().plan("a").takes("a")
    story.start("action a")
    question = Question(text="May this task ask elsewhere.example?")
    story.append(ask(story.state, "network", [question], story.now, "a", 1, about="x"))
    assert story.state.status == "waiting_user"
    before = story.state.active_seconds
    story.wait(10_000)
    story.say(UserAnswered(text="hm"))
    assert story.state.active_seconds == before
