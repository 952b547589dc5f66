"""One example for each row of the table of states: where a run is, what comes, where it goes."""

import pytest

from planner_app.domain.catalogue import UserApproved, UserRejected
from planner_app.domain.plan import Plan, Step
from tests.domain.story import Story


def planned(*texts: str, **created: object) -> Story:
    """A run with a source to cite, whose plan has been taken up."""
    return Story(**created).source().plan(*texts)


# --- queued and planning -------------------------------------------------------------------------


def test_a_run_that_nobody_claimed_stays_queued() -> None:
    story = Story(claimed=False)
    assert story.due == []
    assert story.state.status == "queued"


def test_a_claimed_run_begins_to_plan() -> None:
    story = Story()
    assert story.state.status == "planning"
    assert story.due == ["plan"]


def test_a_vague_task_asks_one_batch_of_questions_and_waits() -> None:
    story = Story().plan(asks=[("which year?", "2025"), ("which town?", "")])
    assert story.state.status == "waiting_user"
    assert story.due == []
    assert len(story.newest("question.asked")["questions"]) == 2
    assert story.wakes == story.state.questions["q1"].deadline


def test_after_the_deadline_the_defaults_stand_and_planning_goes_on() -> None:
    story = Story().plan(asks=[("which year?", "2025"), ("which town?", "")]).wait(901)
    closed = story.newest("question.closed")
    assert (closed["how"], closed["by"]) == ("expired", "default")
    assert "which year? -> 2025" in closed["text"]
    assert "which town? -> use your judgement" in closed["text"]
    assert story.due == ["plan"]
    assert "2025" in story.state.outbox[-1].text


@pytest.mark.parametrize("created", [{"headless": True}, {"no_input": True}])
def test_without_a_person_the_defaults_stand_at_once(created: dict[str, bool]) -> None:
    story = Story(**created).plan(asks=[("which year?", "2025")])
    assert story.newest("question.closed")["how"] == "expired"
    assert story.due == ["plan"]


def test_a_task_is_asked_about_once_only() -> None:
    story = Story(headless=True).plan(asks=[("which year?", "2025")])
    story.plan(asks=[("really?", "yes")])
    assert story.types().count("question.asked") == 1
    assert story.types()[-1] == "plan.refused"
    story.plan("a", asks=[("and now?", "")])
    assert story.due == ["act a"]


def test_a_plan_that_answers_by_itself_goes_straight_to_the_check() -> None:
    story = Story().plan(answer="42")
    assert story.state.status == "checking"
    assert story.check().state.final == "done"
    assert story.state.answer is not None
    assert story.state.answer.text == "42"
    assert story.state.spent.calls == 2


def test_a_fast_answer_to_a_task_with_a_schema_is_written_in_its_form_first() -> None:
    story = Story(has_schema=True).plan(answer="42")
    assert story.state.status == "answering"
    assert story.due == ["answer"]


def test_a_valid_plan_is_carried_out() -> None:
    story = Story().plan("a", "b:a")
    assert story.state.status == "executing"
    assert story.state.revision == 1
    assert story.due == ["act a"]


def test_a_plan_waits_for_approval_where_plans_need_it() -> None:
    story = Story(approve="plan").plan("a")
    assert story.state.status == "waiting_user"
    story.say(UserApproved())
    assert story.state.status == "executing"
    assert story.newest("plan.accepted")["by"] == "planner", "approved as the planner wrote it"


def test_a_person_may_rewrite_the_plan_that_they_approve() -> None:
    story = Story(approve="plan").plan("a")
    story.say(UserApproved(plan=Plan(steps=[Step(id="mine", objective="better")])))
    assert story.due == ["act mine"]
    assert story.newest("plan.accepted")["by"] == "user"


@pytest.mark.parametrize("steps", [[Step(id="mine", objective="x", deps=["nowhere"])], []])
def test_a_rewritten_plan_that_cannot_run_is_asked_about_again(steps: list[Step]) -> None:
    story = Story(approve="plan").plan("a")
    story.say(UserApproved(plan=Plan(steps=steps)))
    assert "the edited plan cannot run" in story.newest("question.closed")["text"]
    assert [q.kind for q in story.state.questions.values()] == ["plan"]
    assert story.due == [], "no model is asked, and the edit stays in the log"
    story.say(UserApproved())
    assert story.due == ["act a"]


def test_the_reason_of_a_refused_plan_reaches_the_planner() -> None:
    story = Story(approve="plan").plan("a").say(UserRejected(reason="too dear"))
    assert story.due == ["plan"]
    assert "too dear" in story.state.outbox[-1].text


def test_a_plan_that_nobody_can_approve_ends_the_run() -> None:
    story = Story(approve="plan", no_input=True).plan("a")
    assert story.state.final == "failed"
    assert "nobody could be asked" in story.state.reason


def test_an_invalid_plan_goes_back_with_its_problems() -> None:
    story = Story().plan("a:b", "b:a")
    assert story.state.plan_tries == 1
    assert story.due == ["plan"]
    assert "wait for each other" in story.state.outbox[-1].text


def test_a_third_invalid_plan_fails_a_run_that_has_found_nothing() -> None:
    story = Story().plan("a:b").plan("a:b").plan("a:b")
    assert story.state.final == "failed"
    assert story.state.reason == "no valid plan after three tries"


def test_a_third_invalid_plan_answers_from_what_is_done() -> None:
    story = planned("a", "b").report("a").report("b", "surprise").review("replan")
    story.plan("a").plan("a").plan("a")
    assert story.state.status == "answering"
    assert story.answer(1).check().state.final == "partial"
    assert story.state.reason == "no valid plan after three tries"


def test_a_fourth_re_plan_is_not_made() -> None:
    story = Story().source().plan("a0")
    for number in (1, 2, 3):
        story.report(f"a{number - 1}", "surprise").review("replan").plan(f"a{number}")
    story.report("a3", "surprise").review("replan")
    assert story.state.replans == 3
    assert story.state.status == "answering"
    assert story.answer(1).check().state.final == "partial"
    assert "given up 3 times" in story.state.reason


def test_a_new_plan_drops_what_the_old_one_left_and_starts_the_count_anew() -> None:
    story = planned("a", "b", "c:b", "d:c").report("a")
    story.report("b", "failed").report("b", "failed")
    assert story.state.stalls == 2
    story.review("replan").plan("e:a")
    assert [story.status(k) for k in "abcde"] == [
        "done",
        "skipped",
        "skipped",
        "skipped",
        "running",
    ]
    assert story.state.stalls == 0
    assert story.state.revision == 2


def test_running_steps_that_a_new_plan_drops_are_cancelled() -> None:
    story = planned("a", "b").report("a", "surprise").review("replan")
    story.plan("c")
    assert story.status("b") == "skipped"
    assert story.state.steps["b"].attempts[-1].outcome == "cancelled"


# --- executing -----------------------------------------------------------------------------------


def test_ready_steps_go_on_side_by_side_up_to_the_team_s_number() -> None:
    assert Story().plan("a", "b", "c", "d").due == ["act a", "act b", "act c"]
    assert Story(max_parallel=1).plan("a", "b").due == ["act a"]


def test_a_step_begins_when_what_it_needs_is_done() -> None:
    story = Story().plan("a", "b", "c:a,b").report("a")
    assert story.due == ["act b"]
    assert story.report("b").due == ["act c"]


def test_progress_takes_one_setback_back() -> None:
    story = Story().plan("a", "b", "c", "d").report("a", "failed")
    assert story.state.stalls == 1
    assert story.report("b").state.stalls == 0
    assert story.report("c").state.stalls == 0


def test_a_done_step_without_progress_is_a_setback() -> None:
    story = Story().plan("a", "b", "c", "d").report("a", progress=False)
    assert story.status("a") == "done"
    assert story.state.stalls == 1


def test_a_failed_attempt_is_tried_once_more_afresh() -> None:
    story = Story().plan("a").report("a", "failed")
    assert story.status("a") == "running"
    assert len(story.state.steps["a"].attempts) == 2
    assert story.state.stalls == 1


def test_a_second_failure_calls_for_a_review() -> None:
    story = Story().plan("a", "b:a").report("a", "failed").report("a", "failed")
    assert story.state.status == "reviewing"
    assert story.due == ["review"]


@pytest.mark.parametrize("verdict", ["blocked", "surprise"])
def test_what_the_plan_did_not_foresee_calls_for_a_review(verdict: str) -> None:
    story = Story().plan("a", "b:a").report("a", verdict)
    assert story.state.status == "reviewing"
    assert story.state.stalls == 0


def test_after_four_reports_the_planner_looks_at_them() -> None:
    story = Story(max_parallel=1).plan("a", "b", "c", "d", "e")
    for key in "abcd":
        assert story.state.status == "executing"
        story.report(key)
    assert story.state.status == "reviewing"
    assert story.review("continue").due == ["act e"]


def test_three_setbacks_in_a_row_ask_for_a_new_plan_in_a_fresh_chat() -> None:
    story = Story().plan("a", "b", "c").report("a", "failed").report("b", "failed")
    story.report("c", "failed")
    replan = story.newest("replan.decided")
    assert replan["reason"].startswith("stall")
    assert replan["fresh"]
    assert story.state.planner_chat == 2
    assert "replan" in story.due


def test_nothing_that_can_go_on_is_a_deadlock() -> None:
    story = Story().plan("a", "b:a").report("a", "failed").report("a", "failed").review("continue")
    assert story.newest("replan.decided")["reason"].startswith("deadlock")
    assert story.state.status == "planning"


def test_waiting_for_a_person_is_no_deadlock() -> None:
    story = Story(approve="actions").plan("a", "b:a").takes("a")
    assert story.state.status == "waiting_user"
    assert story.wait(100_000).state.status == "waiting_user"
    assert "replan.decided" not in story.types()


def test_all_steps_done_is_time_to_answer() -> None:
    story = planned("a", "b").report("a").report("b")
    assert story.state.status == "answering"
    assert story.due == ["answer"]


def test_a_task_of_one_step_is_answered_by_its_report() -> None:
    story = Story().plan("a").report("a", result="it is 42")
    assert story.state.status == "checking"
    assert story.state.answer_by == "executor"
    assert story.check().state.final == "done"
    assert story.state.spent.calls == 3


def test_a_report_does_not_answer_a_task_with_a_schema() -> None:
    assert Story(has_schema=True).plan("a").report("a").due == ["answer"]


def test_a_loop_ends_the_attempt() -> None:
    story = Story().plan("a", "b:a")
    for _ in range(4):
        story.code("a", "same")
    assert story.state.steps["a"].attempts[0].outcome == "loop"
    assert story.state.stalls == 1


def test_three_silent_turns_end_the_attempt() -> None:
    story = Story().plan("a", "b:a")
    story.refused("a", "silent").refused("a", "bad_report").refused("a", "silent")
    assert story.state.steps["a"].attempts[0].outcome == "silent"


def test_code_between_silent_turns_starts_the_count_anew() -> None:
    story = Story().plan("a").refused("a", "silent").refused("a", "silent").code("a")
    story.refused("a", "silent").refused("a", "silent")
    assert story.state.steps["a"].attempts[0].outcome is None


def test_truncated_turns_are_counted_and_may_double_the_reply() -> None:
    story = Story().plan("a").refused("a", "truncated")
    story.refused("a", "truncated", double_max_tokens=True)
    attempt = story.state.steps["a"].attempts[0]
    assert (attempt.truncated, attempt.doubled) == (2, True)
    assert story.due == ["act a"]


def test_an_attempt_that_used_its_actions_is_told_to_report_and_then_ended() -> None:
    story = Story().plan("a", max_actions=2).code("a").code("a")
    assert story.newest("turn.refused")["kind"] == "limit"
    assert story.due == ["act a"]
    story.takes("a")
    assert story.state.steps["a"].attempts[0].outcome == "limit"
    assert story.state.spent.actions == 2


def test_an_action_waits_for_approval_where_actions_need_it() -> None:
    story = Story(approve="actions").plan("a").takes("a")
    assert story.state.status == "waiting_user"
    assert story.say(UserApproved()).due == ["action a"]
    story.acts("a").takes("a")
    assert story.due == []
    assert story.say(UserApproved(scope="run")).due == ["action a"]
    assert story.acts("a").takes("a").due == ["action a"]


def test_a_refused_action_does_not_run_and_its_writer_is_told_why() -> None:
    story = Story(approve="actions").plan("a").takes("a").say(UserRejected(reason="not that"))
    assert story.due == ["act a"]
    assert "not that" in story.state.steps["a"].attempts[0].outbox[-1].text
    assert "action.started" not in story.types()


# --- reviewing -----------------------------------------------------------------------------------


def test_a_review_may_go_on_and_what_was_blocked_is_tried_again() -> None:
    story = Story().plan("a", "b:a").report("a", "blocked").review("continue")
    assert story.state.status == "executing"
    assert story.due == ["act a"]


def test_a_review_may_ask_for_a_new_plan() -> None:
    story = Story().plan("a").report("a", "surprise").review("replan", root_cause="wrong file")
    assert story.state.status == "planning"
    assert story.newest("replan.decided")["reason"] == "wrong file"
    assert not story.newest("replan.decided")["fresh"]


def test_a_review_may_answer_from_what_is_there() -> None:
    story = planned("a", "b").report("a").report("b", "blocked").review("answer")
    assert story.state.status == "answering"
    assert story.answer(1).check().state.final == "partial"
    assert "before every step was done" in story.state.reason


def test_a_review_may_ask_the_person_and_then_reviews_again() -> None:
    story = Story().plan("a").report("a", "blocked")
    story.review("ask_user", questions=[{"text": "which file?", "default": "the first"}])
    assert story.state.status == "waiting_user"
    story.wait(901)
    assert story.due == ["review"]
    assert "the first" in story.state.outbox[-1].text


def test_a_review_that_cannot_be_read_is_corrected_twice_and_then_goes_on() -> None:
    story = Story().plan("a", "b:a").report("a", "blocked").unreadable("review", "review")
    assert story.due == ["correct"]
    story.unreadable("correct", "review").unreadable("correct", "review")
    assert story.newest("review.decided")["review"]["decision"] == "continue"
    assert story.state.status == "executing"


def test_while_reviewing_running_steps_finish_and_none_starts() -> None:
    story = Story(max_parallel=2).plan("a", "b", "c").report("a", "blocked")
    assert story.due == ["review", "act b"]
    story.report("b")
    assert story.due == ["review"]
    assert story.status("c") == "pending"


def test_a_report_that_comes_during_a_review_is_told_to_the_next_one() -> None:
    story = Story().plan("a", "b", "c:b").report("a", "blocked")
    story.start("review")
    story.report("b")
    story.review("continue")
    assert story.state.planner_told == {"a": 1, "b": 0, "c": 0}
