"""What a person may rely on when they edit a proposed plan."""

import pytest

from planner_app.domain.errors import BadInput
from planner_app.domain.plan import Plan, Step
from planner_app.domain.plan_edit import is_edit, plan_text, read_plan
from tests.domain.story import Story

PLAN = Plan(
    steps=[Step(id="a", objective="look"), Step(id="b", objective="add", deps=["a"])],
    answer_format="one line",
    done_when=["it is so"],
)


def test_a_plan_that_was_not_touched_is_no_edit() -> None:
    state = Story().state
    assert not is_edit(read_plan("# a remark\n\n" + plan_text(PLAN), state), PLAN)
    changed = plan_text(PLAN).replace('"look"', '"look twice"')
    assert is_edit(read_plan(changed, state), PLAN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("# only\n{\n  'steps': []\n}", "line 3, column 3"),
        ("[1]", "not a JSON object"),
        ('{"steps": "none"}', "steps"),
        ('{"step": []}', "did you mean 'steps'"),
        ('{"steps": [{"id": "a", "objective": "x", "dep": []}]}', "did you mean 'deps'"),
        ('{"steps": [{"id": "a"}]}', "steps.0.objective"),
        ('{"steps": []}', "no steps"),
        ('{"steps": [{"id": "a", "objective": "x", "deps": ["z"]}]}', "'z', which is not a step"),
        ('{"steps": [{"id": "a", "objective": "x", "max_actions": 99}]}', "max_actions"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_wrong_with_an_edit_is_said_where_it_is(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_plan(text, Story().state)
    assert said in str(caught.value)


def test_an_edit_may_build_on_done_steps_and_not_plan_them_again() -> None:
    story = Story().plan("a", "b:a").report("a")
    onto = '{"steps": [{"id": "c", "objective": "x", "deps": ["a"]}]}'
    assert read_plan(onto, story.state).steps[0].deps == ["a"]
    with pytest.raises(BadInput, match="used by an earlier plan"):
        read_plan('{"steps": [{"id": "a", "objective": "x"}]}', story.state)
