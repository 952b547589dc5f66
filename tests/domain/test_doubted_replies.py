"""A reply that one further call may better: nothing follows from it before, and it is not lost."""

import pytest

from planner_app.domain.catalogue import (
    AnswerChecked,
    AnswerDrafted,
    EventData,
    PlanProposed,
    ReplyDoubted,
    ReplySettled,
    ReviewDecided,
    StepReported,
    TurnTaken,
)
from planner_app.domain.plan import Answer, CheckVerdict, Claim, Plan, Report, Review
from tests.domain.story import Story, steps

CODE = {"code": "c"}


def planned(*texts: str, **created: object) -> Story:
    return Story(**created).source().plan(*texts)


def doubt(story: Story, name: str, kind: str, *said: EventData) -> Story:
    """The call of that name brings this about, and its reply is doubted."""
    move = story.start(name)
    doubted = ReplyDoubted(
        kind=kind,
        role=move.role,
        purpose=move.purpose,
        conversation=move.conversation,
        turn=move.turn,
    )
    return story.reply(name, *said, doubted, blobs=CODE)


def kept(kind: str) -> ReplySettled:
    return ReplySettled(kind=kind, taken=False, reason="it is no better")


def taken(kind: str) -> ReplySettled:
    return ReplySettled(kind=kind, taken=True)


def proposed(*texts: str) -> PlanProposed:
    return PlanProposed(plan=Plan(steps=steps(*texts)), revision=1)


def drafted(text: str, number: int) -> AnswerDrafted:
    claim = Claim(text="c", source_ids=[1])
    return AnswerDrafted(answer=Answer(text=text, claims=[claim]), number=number)


@pytest.mark.parametrize(("over", "step"), [(kept, "first"), (taken, "second")])
def test_a_plan_in_doubt_waits_for_the_further_call_and_one_of_the_two_is_carried_out(
    over: object, step: str
) -> None:
    story = doubt(Story(), "plan", "commit", proposed("first"))
    assert story.due == ["commit"]
    assert story.state.phase == "planning"
    story.reply("commit", over("commit"), *([proposed("second")] if over is taken else []))  # type: ignore[operator]
    assert story.due == [f"act {step}"]


def test_code_in_doubt_is_not_run() -> None:
    story = doubt(planned("a", "b"), "act a", "commit", TurnTaken(turn=1))
    assert story.due == ["commit a", "act b"]
    story.reply("commit a", kept("commit"))
    assert story.due == ["action a", "act b"]


def test_a_report_in_doubt_ends_its_step_only_when_it_is_settled() -> None:
    report = StepReported(report=Report(verdict="done", result="r"))
    story = doubt(planned("a", "b:a"), "act a", "translate", report)
    assert story.due == ["translate a"]
    better = StepReported(report=Report(verdict="done", result="better"))
    story.reply("translate a", taken("translate"), better)
    assert story.state.steps["a"].status == "done"
    assert story.state.steps["a"].report is not None
    assert story.state.steps["a"].report.result == "better"


def test_a_report_in_doubt_counts_when_the_time_is_up() -> None:
    report = StepReported(report=Report(verdict="done", result="r"))
    story = doubt(planned("a", "b:a"), "act a", "translate", report).wait(4_000)
    assert story.state.used_up == "seconds"
    assert story.state.steps["a"].status == "done"
    assert story.due == ["answer"]


def test_an_answer_in_doubt_is_checked_once_it_is_settled() -> None:
    story = doubt(
        planned("a", "b").report("a").report("b"), "answer", "translate", drafted("eins", 1)
    )
    assert story.due == ["translate"]
    story.reply("translate", taken("translate"), drafted("one", 2))
    assert story.due == ["check"]
    assert story.check().state.final == "done"
    assert story.state.answer is not None
    assert story.state.answer.text == "one"


def test_a_crash_repeats_the_further_call_and_nothing_that_is_recorded() -> None:
    story = doubt(Story(), "plan", "commit", proposed("a"))
    first = story.start("commit")
    story.claim()
    again = story.start("commit")
    assert (first.id, again.id) == ("commit-plan/-/0/1/1", "commit-plan/-/0/1/2")
    assert [e.data["purpose"] for e in story.events if e.type == "model.finished"] == ["plan"]
    story.reply("commit", kept("commit"))
    assert story.due == ["act a"]


def test_a_further_call_shares_its_replys_turn_and_is_paid_like_any_other() -> None:
    story = doubt(Story(), "plan", "commit", proposed("a"))
    story.reply("commit", kept("commit"), tokens=500)
    assert (story.state.spent.calls, story.state.spent.tokens) == (2, 500)
    assert story.state.role_turns == {"planner": 1}
    story = doubt(story, "act a", "commit", TurnTaken(turn=1))
    story.reply("commit a", kept("commit"))
    assert story.state.steps["a"].attempts[0].turns == 1


def test_a_further_call_that_fails_ends_nothing() -> None:
    story = doubt(Story(), "plan", "commit", proposed("a"))
    story.fails("commit", "auth").append(kept("commit").draft())
    assert story.state.fatal == ""
    assert story.due == ["act a"]


def test_a_further_call_that_nothing_pays_for_uses_no_budget_up() -> None:
    story = doubt(Story(budget={"calls": 4}), "plan", "commit", proposed("a"))
    assert story.due == ["commit"]
    story.append(kept("commit").draft()).settle()
    assert "budget.used_up" not in story.types()
    assert story.due == ["act a"]


def test_what_was_bettered_counts_once() -> None:
    story = planned("a", "b").report("a", "blocked")
    asks = ReviewDecided(review=Review(decision="ask_user", questions=[{"text": "which?"}]))
    story = doubt(story, "review", "commit", asks)
    assert story.state.questions == {}
    story.reply("commit", taken("commit"), asks)
    assert story.state.reviews_asked == 1
    story = planned("a", "b").report("a").report("b").answer(1)
    wrong = AnswerChecked(verdict=CheckVerdict(ok=False, problems=["no"]), number=1)
    story = doubt(story, "check", "commit", wrong)
    story.reply("commit", taken("commit"), wrong)
    assert story.state.check_fails == 1
    assert story.due == ["answer"]


def test_a_doubt_ends_with_the_phase_that_it_belongs_to() -> None:
    story = planned("a", "b").report("a").report("b", "blocked").review("replan")
    story = doubt(story, "replan", "commit", PlanProposed(plan=Plan(steps=steps("c")), revision=2))
    assert story.due == ["commit"]
    story.wait(4_000)
    assert story.state.phase == "answering"
    assert story.due == ["answer"]
