"""What a run says of itself: its status, its time, its line in a list, and its JSON."""

import json
from datetime import timedelta

from planner_app.domain.catalogue import BudgetLimits, UserPaused
from planner_app.domain.ids import ALPHABET, new_id
from planner_app.domain.state import RunState
from tests.domain.story import Story
from tests.domain.told import START


def test_a_run_s_json_is_its_state_and_reads_back_as_such() -> None:
    state = Story().source().plan("a", "b").code("a").report("a").state
    text = state.model_dump_json()
    assert json.loads(text)["status"] == "executing"
    assert RunState.model_validate_json(text) == state


def test_only_the_time_in_which_a_run_works_counts() -> None:
    story = Story(claimed=False).wait(1_000).claim()
    assert story.state.started_at == START + timedelta(seconds=1_000)
    story.wait(5)
    story.start("plan")
    assert story.state.active_seconds == 5
    story.wait(20).plan("a")
    assert story.state.active_seconds == 25
    story.say(UserPaused()).wait(500).claim()
    assert story.state.active_seconds == 25


def test_the_hours_after_a_crash_do_not_count() -> None:
    story = Story(budget=BudgetLimits(seconds=60)).plan("a")
    story.start("act a")
    story.now += timedelta(hours=10)
    story.claim()
    assert story.state.active_seconds == 0
    assert story.due == ["act a"]


def test_a_list_shows_a_run_in_one_line() -> None:
    story = Story(text="\n  How tall is it?  \nAnd why?", example="towers")
    story.source().plan("a", "b:a").report("a")
    summary = story.state.summary()
    assert summary.title == "How tall is it?"
    assert (summary.steps_done, summary.steps_total) == (1, 2)
    assert (summary.status, summary.calls, summary.example) == ("executing", 2, "towers")
    assert (summary.needs, summary.answer_head, summary.reason) == ("", "", "")
    story.report("b").answer(1, text="it is tall").check()
    assert story.state.summary().answer_head == "it is tall"
    assert story.state.summary().ended_at is not None


def test_skipped_steps_do_not_count_in_a_list() -> None:
    story = Story().plan("a", "b", "c:b").report("a").report("b", "surprise").review("replan")
    story.plan("d:a")
    assert (story.state.summary().steps_done, story.state.summary().steps_total) == (1, 2)


def test_ids_are_short_random_and_typeable() -> None:
    ids = {new_id("r") for _ in range(100)} | {new_id("t") for _ in range(100)}
    assert len(ids) == 200
    assert all(len(i) == 12 and set(i[2:]) <= set(ALPHABET) for i in ids)
    assert new_id("t", lambda letters: letters[0]) == "t_aaaaaaaaaa"
