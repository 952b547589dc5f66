"""Which answers go on to the check, and the one that is put together without a model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_app.domain.answers import answer_problems, composed_answer, fitted, with_marks
from planner_app.domain.catalogue import AnswerDrafted, StepReported
from planner_app.domain.events import MAX_DATA_BYTES
from planner_app.domain.move_steps import report_answer
from planner_app.domain.plan import Answer, Claim, Evidence, Report
from planner_app.domain.sizes import brief, cut, json_bytes
from planner_app.domain.state import RunState
from tests.domain.story import Story


def judged(answer: Answer, *, sources: int = 2, steps: tuple[str, ...] = ("a", "b")) -> list[str]:
    """What is wrong with an answer that follows these steps and sources."""
    story = Story().plan(*steps)
    for _ in range(sources):
        story.source()
    for step in steps:
        story.report(step)
    state: RunState = story.state.model_copy(update={"answer": answer})
    return answer_problems(state)


def test_an_answer_whose_claims_cite_what_exists_goes_on() -> None:
    claims = [Claim(text="x", source_ids=[1, 2]), Claim(text="y", source_ids=[2])]
    assert judged(Answer(text="so", claims=claims)) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(text=" ", claims=[Claim(text="x", source_ids=[1])]), "text is empty"),
        (Answer(text="so", claims=[Claim(text="x")]), "'x' has no source id"),
        (Answer(text="so", claims=[Claim(text="x", source_ids=[1, 7])]), "cites [7], which does"),
        (Answer(text="so"), "has no claims"),
        (
            Answer(text="so [8]", claims=[Claim(text="x", source_ids=[1])]),
            "the text cites [8], which does not exist",
        ),
    ],
)
def test_what_an_answer_lacks_is_named(answer: Answer, said: str) -> None:
    (problem,) = judged(answer)
    assert said in problem


def test_without_any_source_an_answer_may_do_without_claims() -> None:
    assert judged(Answer(text="so"), sources=0) == []


def test_there_is_nothing_to_put_together_without_a_finished_step() -> None:
    assert composed_answer(Story().plan("a").state) is None


def test_the_answer_without_a_model_has_each_finished_step_and_says_what_is_open() -> None:
    story = Story().source().plan("a", "b", "c:b")
    story.report("a", result="it is red", evidence=[Evidence(source_id=1)])
    story.report("b", "blocked")
    answer = composed_answer(story.state)
    assert answer is not None
    assert answer.text == "it is red [1]"
    assert answer.claims == [Claim(text="it is red", source_ids=[1])]
    assert answer.open_points == ["b: do b (blocked)", "c: do c (pending)"]
    assert answer.confidence == "low"


def test_a_report_as_an_answer_cites_its_evidence_or_what_was_computed() -> None:
    seen = Report(verdict="done", result="it is 3 [2]", evidence=[Evidence(source_id=2)])
    assert report_answer(seen, 5).text == "it is 3 [2]"
    computed = report_answer(Report(verdict="done", result="it is 3"), 5)
    assert computed.text == "it is 3 [5]"
    assert computed.claims[0].source_ids == [5]
    assert report_answer(Report(verdict="done", result="it is 3"), None).claims == []


@pytest.mark.parametrize("letter", ["x", "漢", "\x00", "\n", '"'])
def test_the_answer_without_a_model_fits_into_its_event_in_any_script(letter: str) -> None:
    story = Story().source().plan(*(f"s{i}" for i in range(12)))
    while story.state.status in {"executing", "reviewing"}:
        if story.state.status == "reviewing":
            story.review("continue")
            continue
        report = Report(verdict="done", result=letter * 2_000, evidence=[Evidence(source_id=1)])
        name = story.due[0]
        story.reply(name, StepReported(report=report))
    answer = composed_answer(story.state)
    assert answer is not None
    AnswerDrafted(answer=answer, number=1).draft()
    assert answer.text.count("[1]") == 12, "no step is left out"


answers = st.builds(
    Answer,
    text=st.text(max_size=12_000),
    claims=st.lists(st.builds(Claim, text=st.text(max_size=2_000)), max_size=30),
    artifacts=st.lists(st.text(max_size=300), max_size=60),
    open_points=st.lists(st.text(max_size=600), max_size=40),
    data=st.one_of(st.none(), st.lists(st.integers(), max_size=4_000)),
)


@settings(max_examples=40, deadline=None)
@given(answers)
def test_any_answer_can_be_cut_to_its_event(answer: Answer) -> None:
    cut_down = fitted(answer)
    AnswerDrafted(answer=cut_down, number=99, by="executor").draft()
    assert answer.text.startswith(cut_down.text)
    if json_bytes(answer.model_dump(mode="json")) < 8_000:
        assert cut_down == answer


@given(st.text(), st.integers(2, 200))
def test_a_cut_text_begins_like_the_whole_and_takes_no_more_than_it_may(
    text: str, most: int
) -> None:
    short = cut(text, most)
    assert text.startswith(short)
    assert json_bytes(short) <= most
    assert short == text or json_bytes(text) > most


def test_a_reason_leaves_room_for_what_else_its_event_says() -> None:
    assert brief("too dear") == "too dear"
    assert json_bytes(brief("漢" * 50_000)) <= MAX_DATA_BYTES // 8


def test_an_answer_without_markers_gets_those_of_its_claims_where_they_are_said() -> None:
    claims = [
        Claim(text="It is tall.", source_ids=[1, 2]),
        Claim(text="Nowhere in the text", source_ids=[3, 99]),
    ]
    marked = with_marks(Answer(text="It is tall. It is old.", claims=claims), {1, 2, 3})
    assert marked.text == "It is tall [1][2]. It is old. [3]"
    assert with_marks(marked, {1, 2, 3}) == marked


@pytest.mark.parametrize(
    ("text", "claim", "shown"),
    [
        ("It is 3300 m high.", "It is 330", "It is 3300 m high. [1]"),
        ("It has 1.5 m.", "It has 1", "It has 1.5 m. [1]"),
        ("It is unhappy, not happy.", "happy", "It is unhappy, not happy [1]."),
        ("```\nx = 1\n```\nSo x = 1 holds.", "x = 1", "```\nx = 1\n```\nSo x = 1 [1] holds."),
        ("So:\n```\nx = 1\n```\n", "x = 1", "So:\n```\nx = 1\n```\n\n[1]\n"),
        ("| a |\n|---|\n| 1 |", "It is 1", "| a |\n|---|\n| 1 |\n\n[1]"),
    ],
)
def test_a_marker_is_never_put_inside_code_or_a_word(text: str, claim: str, shown: str) -> None:
    answer = Answer(text=text, claims=[Claim(text=claim, source_ids=[1])])
    assert with_marks(answer, {1}).text == shown
