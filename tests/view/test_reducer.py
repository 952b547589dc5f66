import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_app.domain import catalogue as c
from planner_app.domain.fold import fold
from planner_app.domain.plan import Step
from planner_app.view.reducer import view_of
from planner_app.view.run_view import plan_diff
from planner_app.view.vector import Vector
from tests.view.story import Story, research_story


def test_the_view_agrees_with_the_fold_on_status_figures_and_steps() -> None:
    events = research_story().events
    for n in range(1, len(events) + 1):
        view, state = view_of(events[:n]), fold(events[:n])
        assert view.status == state.status, events[n - 1].type
        assert view.spent.calls == state.spent.calls
        assert view.spent.unpriced == state.spent.unpriced_calls
        assert view.spent.usd == pytest.approx(state.spent.usd)
        assert view.active_seconds == pytest.approx(state.active_seconds)
        assert {i: s.status for i, s in view.steps.items()} == {
            i: s.status for i, s in state.steps.items()
        }


def test_events_may_come_in_batches_of_any_size() -> None:
    events = research_story().events
    whole = view_of(events)
    for cut in range(len(events)):
        assert view_of(events[cut:], view_of(events[:cut])) == whole


def test_an_earlier_view_is_not_changed_by_later_events() -> None:
    events = research_story().events
    early = view_of(events[:20])
    before = (list(early.timeline), dict(early.steps), early.open)
    view_of(events[20:], early)
    assert (list(early.timeline), dict(early.steps), early.open) == before


def test_an_action_and_its_tool_calls_close_their_own_entries() -> None:
    view = view_of(research_story("executing").events)
    assert [waiting.family for waiting in view.open] == ["action"]
    assert view.steps["s1"].doing == "running code"
    tools = [entry for entry in view.timeline if entry.kind == "tool"]
    assert [entry.state for entry in tools] == ["ok", "ok"]
    assert tools[0].facts == ("[1] [2]",)


def test_a_failed_action_shows_its_error_and_the_step_its_reason() -> None:
    view = view_of(research_story().events)
    failed = next(e for e in view.timeline if e.kind == "output" and e.state == "bad")
    assert "ModuleNotFoundError: No module named 'dateutil_parser'" in failed.notes
    assert view.steps["s2"].status == "failed"
    assert view.steps["s2"].reason == "use the pages of s1"


def test_a_second_plan_says_what_it_keeps_drops_and_adds() -> None:
    view = view_of(research_story().events)
    old, new = view.plans
    assert new.reason == "the second search was not needed"
    signs = {change.step_id: change.sign for change in plan_diff(old, new, view.steps)}
    assert signs == {"s1": "=", "s2": "-", "s3": "-", "s4": "+"}


def test_a_question_waits_until_it_is_closed_and_tells_how() -> None:
    story = Story()
    story.create("a task")
    question = c.QuestionAsked(
        question_id="q1",
        kind="clarify",
        questions=[c.AskedQuestion(text="Which year?", default="2024")],
    )
    story.say(question)
    view = view_of(story.events)
    assert view.status == "waiting_user"
    assert view.questions[0].questions == (("Which year?", "2024"),)
    story.say(c.QuestionClosed(question_id="q1", how="expired", text="2024", by="default"))
    view = view_of(story.events)
    assert not view.questions
    assert view.timeline[-1].notes == ("went on with the default: 2024",)


def test_time_spent_waiting_for_a_person_does_not_count() -> None:
    story = Story()
    story.create("a task")
    story.say(c.RunPhase(phase="planning"))
    story.pass_time(10)
    story.say(c.UserPaused())
    story.pass_time(1000)
    story.say(c.UserResumed())
    story.pass_time(5)
    view = view_of(story.events)
    assert view.elapsed(story.now) == pytest.approx(15)


def test_what_a_dead_process_left_open_is_marked_as_cut_off() -> None:
    story = research_story("executing")
    move = next(event.move_id for event in story.events if event.type == "action.started")
    story.orphan("action", move)
    view = view_of(story.events)
    assert not view.open
    action = next(entry for entry in view.timeline if entry.kind == "action")
    assert action.state == "warn"
    assert action.notes[-1].startswith("cut off")


def test_an_event_of_an_unknown_type_is_shown_and_breaks_nothing() -> None:
    story = research_story("planning")
    odd = story.events[-1].model_copy(update={"type": "future.thing", "data": {"a": [1, {}]}})
    view = view_of([*story.events, odd])
    assert view.timeline[-1].title == "future.thing"


def test_every_type_of_event_is_known() -> None:
    from planner_app.view.reducer import _HANDLERS

    assert {kind for kind in c.TYPES if not kind.startswith("user.")} == set(_HANDLERS)


def test_a_claim_whose_quote_is_not_in_its_source_is_marked() -> None:
    story = research_story()
    drafted = next(e for e in story.events if e.type == "answer.drafted")
    story.events = story.events[: drafted.seq]
    checks = [{"claim": 0, "source_id": 3, "found": True}, {"claim": 1, "found": False}]
    story.say(c.ClaimsChecked(number=1, checks=checks))
    view = view_of(story.events)
    assert view.answer is not None
    assert [claim.quote_found for claim in view.answer.claims] == [True, False, None]
    assert view.timeline[view.answer.place].facts == ("3 claims", "1 of 2 quotes found")


@pytest.mark.parametrize("kind", sorted(c.TYPES))
def test_an_event_with_missing_or_odd_fields_breaks_nothing(kind: str) -> None:
    story = Story()
    story.create("a task")
    story.plan(Step(id="s1", objective="x"))
    event = story.events[-1].model_copy(update={"type": kind, "step_id": "s1"})
    for data in ({}, {"plan": 3, "report": None, "args": [], "questions": {}, "ms": "soon"}):
        view_of([*story.events, event.model_copy(update={"data": data})])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(), max_size=200), st.data())
def test_a_vector_is_a_list_that_keeps_its_old_versions(values: list[int], data: st.DataObject):
    vector: Vector[int] = Vector()
    versions = [(vector, [])]
    plain: list[int] = []
    for value in values:
        if plain and data.draw(st.booleans()):
            index = data.draw(st.integers(0, len(plain) - 1))
            vector, plain = vector.replace(index, value), [*plain]
            plain[index] = value
        else:
            vector, plain = vector.append(value), [*plain, value]
        versions.append((vector, plain))
    for old, expected in versions:
        assert list(old) == expected
        assert [old[i] for i in range(len(old))] == expected


def test_a_vector_grows_over_all_its_levels() -> None:
    vector: Vector[int] = Vector()
    for i in range(40_000):
        vector = vector.append(i)
    assert list(vector) == list(range(40_000))
    changed = vector.replace(33_000, -1)
    assert (vector[33_000], changed[33_000], changed[-1]) == (33_000, -1, 39_999)
    assert changed[5:8] == [5, 6, 7]
    with pytest.raises(IndexError):
        vector[40_000]
