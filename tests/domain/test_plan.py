"""Which plans can run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.domain.catalogue import PlanAccepted, PlanProposed
from planner_app.domain.plan import MAX_STEPS, Plan, Question, Report, Step, plan_problems
from tests.domain.story import Story, steps

NONE: frozenset[str] = frozenset()


def problems(*texts: str, done: frozenset[str] = NONE, known: frozenset[str] = NONE) -> list[str]:
    return plan_problems(Plan(steps=steps(*texts)), done, known)


@pytest.mark.parametrize(
    "texts",
    [("a",), ("a", "b:a", "c:a,b"), ("b:a", "a"), tuple(f"s{i}" for i in range(MAX_STEPS))],
)
def test_a_graph_of_steps_may_run_whatever_its_order(texts: tuple[str, ...]) -> None:
    assert problems(*texts) == []


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("a:a",), "steps wait for each other: a"),
        (("a:b", "b:a"), "steps wait for each other: a -> b"),
        (("a:c", "b:a", "c:b", "d"), "steps wait for each other: a -> b -> c"),
        (("a", "a"), "step id 'a' is used twice"),
        (("a:x",), "depends on 'x', which is not a step"),
        (tuple(f"s{i}" for i in range(13)), "13 steps, at most 12"),
    ],
)
def test_what_no_order_can_serve_is_named(texts: tuple[str, ...], said: str) -> None:
    found = problems(*texts)
    assert any(said in problem for problem in found), found


@pytest.mark.parametrize("key", ["", " ", "x" * 41, "a/b", "a\nb", "\ud800"])
def test_an_id_is_short_printable_and_without_slashes(key: str) -> None:
    plan = Plan(steps=[Step.model_construct(**Step(id="x", objective="do").model_dump())])
    bad = plan.model_copy(update={"steps": [plan.steps[0].model_copy(update={"id": key})]})
    assert any("printable" in problem for problem in plan_problems(bad, NONE, NONE))


def test_a_step_needs_an_objective() -> None:
    plan = Plan(steps=[Step(id="a", objective=" \n")])
    assert plan_problems(plan, NONE, NONE) == ["step 'a' has no objective"]


def test_a_new_plan_may_build_on_done_steps_but_not_take_their_names() -> None:
    done, known = frozenset({"a"}), frozenset({"a", "b"})
    assert problems("c:a", done=done, known=known) == []
    assert "which is not a step" in problems("c:b", done=done, known=known)[0]
    assert "used by an earlier plan" in problems("a", done=done, known=known)[0]


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("x", "a", ""),
        ("not a name", "a", "not a variable name"),
        ("x", "z", "unknown step 'z'"),
        ("x", "b", "'b', not in deps"),
    ],
)
def test_inputs_are_variables_of_steps_that_come_before(name: str, source: str, said: str) -> None:
    last = Step(id="c", objective="do", deps=["a"], inputs={name: source})
    found = plan_problems(Plan(steps=[*steps("a", "b"), last]), NONE, NONE)
    assert (said in found[0]) if said else found == []


def test_a_plan_without_steps_needs_an_answer_or_questions() -> None:
    assert plan_problems(Plan(), NONE, NONE) == ["the plan has no steps and no answer"]
    assert plan_problems(Plan(answer="42"), NONE, NONE) == []
    assert plan_problems(Plan(questions=[Question(text="which?")]), NONE, NONE) == []


@pytest.mark.parametrize("letter", ["x", "漢", "\x00", '"'])
@pytest.mark.parametrize("length", [1_000, 3_000, 13_000])
def test_a_plan_that_is_valid_fits_into_its_events_in_any_script(letter: str, length: int) -> None:
    for plan in (
        Plan(steps=[Step(id="a", objective=letter * length)]),
        Plan(answer=letter * length),
    ):
        if plan_problems(plan, NONE, NONE):
            assert length > 1_000
        else:
            PlanProposed(plan=plan, revision=1).draft()
            PlanAccepted(plan=plan, revision=1, skipped=["s" * 40] * 36).draft()


@st.composite
def graphs(draw: st.DrawFn) -> list[Step]:
    ids = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8))
    return [
        Step(id=key, objective="do", deps=draw(st.lists(st.sampled_from("abcdefghz"), max_size=3)))
        for key in ids
    ]


def _can_run(made: list[Step], done: frozenset[str]) -> bool:
    """Whether some order serves them all, found the slow way."""
    if len({s.id for s in made}) < len(made) or {s.id for s in made} & done:
        return False
    over, left = set(done), list(made)
    while ready := [s for s in left if over.issuperset(s.deps)]:
        over.add(ready[0].id)
        left.remove(ready[0])
    return not left


@given(graphs(), st.frozensets(st.sampled_from("gh")))
def test_a_plan_is_valid_just_when_some_order_serves_it(
    made: list[Step], done: frozenset[str]
) -> None:
    assert (plan_problems(Plan(steps=made), done, done) == []) == _can_run(made, done)


@given(graphs())
def test_every_valid_plan_can_be_carried_out_to_its_end(made: list[Step]) -> None:
    if plan_problems(Plan(steps=made), NONE, NONE):
        return
    story = Story()
    story.reply("plan", PlanProposed(plan=Plan(steps=made), revision=1))
    for _ in range(3 * len(made)):
        if story.state.status == "reviewing":
            story.review("continue")
        if story.state.status != "executing":
            break
        story.report(story.due[0].removeprefix("act "))
    assert story.state.status in {"answering", "checking"}


def test_values_may_be_written_as_an_object_and_only_their_names_count() -> None:
    said = {"verdict": "done", "values": {"table": {"rows": 3}}, "mood": "good"}
    assert Report.model_validate(said).values == ["table"]
