"""What models write becomes a typed value, or one clear kind of error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue, RootModel

from planner_app.models import fallbacks
from planner_app.models.structured import MAX_CHARS, StructuredError, parse


class Action(BaseModel):
    thought: str
    code: str | None
    done: bool


class Plan(BaseModel):
    goal: str
    steps: list[str]
    budget: int = 1


class Item(BaseModel):
    name: str
    n: int


class Items(BaseModel):
    items: list[Item]


class Score(BaseModel):
    name: str
    score: float | None
    best: float | None


class Anything(BaseModel):
    data: JsonValue


class Verdict(BaseModel):
    verdict: Literal["done", "progress", "failed"]
    reason: str


SCHEMAS: dict[str, type[BaseModel]] = {
    "action": Action,
    "plan": Plan,
    "items": Items,
    "score": Score,
    "verdict": Verdict,
}


def cases(name: str) -> list[Any]:
    """The cases of a file, each with its id."""
    path = Path(__file__).parent / "cases" / name
    found = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=case["id"]) for case in found]


GOOD = '{"thought": "t", "code": "print(1)", "done": false}'
FULL_WIDTH = GOOD.translate(str.maketrans('{:,}"', "\uff5b\uff1a\uff0c\uff5d\uff02"))
VALUE = {"thought": "t", "code": "print(1)", "done": False}


def outcome(raw: str, schema: type[BaseModel]) -> tuple[Any, frozenset[str]]:
    """The value as plain data, or the kind of error; and the flags."""
    try:
        value, flags = parse(raw, schema)
    except StructuredError as error:
        return error.kind, error.flags
    return json.loads(value.model_dump_json()), flags


def read_as_it_must_be(case: dict[str, Any]) -> frozenset[str]:
    """The flags of a case that was read or refused as it must be."""
    got, flags = outcome(case["raw"], SCHEMAS[case["schema"]])
    read, refused = case.get("expect"), case.get("expect_error")
    allowed = {"parse": [read], "reject": [refused], "reject_or_exact": [read, refused]}
    assert got in allowed[case["must"]]
    assert set(case.get("expect_flags", ())) <= flags
    return flags


@pytest.mark.parametrize("case", cases("structured_output.json"))
def test_a_shared_case_is_read_or_refused_as_it_must_be(case: dict[str, Any]) -> None:
    read_as_it_must_be(case)


@pytest.mark.parametrize("case", cases("structured_own.json"))
def test_a_form_that_models_write_is_read_right_or_refused(case: dict[str, Any]) -> None:
    flags = read_as_it_must_be(case)
    assert ("truncated" in flags) == ("truncated" in case.get("expect_flags", ()))


@pytest.mark.parametrize(
    ("raw", "flags"),
    [
        ("{'thought': 't', 'code': 'print(1)', 'done': False}", {"repaired"}),
        ("```json\n" + GOOD, set()),
        ("```json\n" + GOOD[:-1] + "\n```\nHope this helps!", {"truncated"}),
        ('plan {"thought": "x", "code": "y", "done": true}\n</think>\n' + GOOD, {"think"}),
        ('{"thought": "x", "code": "y", "done": true} hmm</think>' + GOOD, {"think"}),
        ("<think>a</think><think>{}</think>" + GOOD, {"think"}),
        ("<tool_call>" + json.dumps({"name": "act", "arguments": VALUE}), {"unwrapped"}),
        (json.dumps({"name": "act", "arguments": GOOD}), {"unwrapped"}),
        ("\\boxed{" + GOOD + "}", set()),
        ("{" + GOOD + "}", set()),
        (json.dumps(GOOD), {"unwrapped"}),
        (json.dumps(json.dumps(GOOD)), {"unwrapped"}),
        ("Here: " + json.dumps(GOOD) + " done.", {"unwrapped"}),
        (json.dumps(GOOD)[1:-1], {"unwrapped"}),
        ("{“thought”: “t”, “code”: “print(1)”, “done”: false}", {"repaired"}),
        (FULL_WIDTH, {"repaired"}),
        ('{"thought": "t", "code": ```python\nprint(1)\n```, "done": false}', {"repaired"}),
        ('{"thought": "t", "code": """print(1)""", "done": false}', {"repaired"}),
        ('{"thought": "t", "code": `print(1)`, "done": false}', {"repaired"}),
        ('{"thought: "t", "code": "print(1)", "done": false}', {"repaired"}),
        ("thought: t\ncode: |-\n  print(1)\ndone: no", {"yaml"}),
        ("So:\n```yaml\nthought: t\ncode: print(1)\ndone: false\n```\nFine?", {"yaml"}),
        ("**thought:** t\n**code**: print(1)\n**done**: false", {"yaml"}),
        (GOOD + "\nNote: {thought} is a placeholder, {1, 2} a set.", set()),
        ('{"thought": "x", "code": "y", "done": true}\nNo:\n' + GOOD, set()),
        ("<answer>" + GOOD + '</answer> like {"thought": 1, "code": "", "done": true}', {"answer"}),
    ],
)
def test_a_form_that_models_use_is_read(raw: str, flags: set[str]) -> None:
    parsed = parse(raw, Action)
    assert parsed.value.model_dump() == VALUE
    assert flags <= parsed.flags


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("", "empty"),
        (" \n\ufeff", "empty"),
        ('<think>\n{"thought": "t", "code": "x", "done": true}', "empty"),
        ("null", "no_object"),
        ("42", "no_object"),
        ("Use the set {1, 2}.", "no_object"),
        ("see [1] and [2]", "no_object"),
        ("{}", "schema"),
        ('{"x": 1}', "schema"),
        ('{"thought": "t", "code": "print(', "schema"),
        ('{"thought": , "code": "x", "done": true}', "syntax"),
        ('{"thought": "t"; "code": "x"; "done": true}', "syntax"),
        (GOOD + '\nBetter: {"thought": "t", "code": "print("a" "b")", "done"', "syntax"),
        (GOOD + '\nBetter: {"thought": "t", "code": "pri', "schema"),
        ("[" * 1000, "syntax"),
        ("[" * 1000 + "]" * 1000, "syntax"),
        ('{"thought": ' * 1000 + "1" + "}" * 1000, "syntax"),
        (f"[{GOOD}, {GOOD}]", "schema"),
        ("x" * (MAX_CHARS + 1), "too_long"),
    ],
)
def test_what_holds_no_value_is_refused_with_its_kind(raw: str, kind: str) -> None:
    with pytest.raises(StructuredError) as caught:
        parse(raw, Action)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "number",
    ["50%", "1,234", "50 %", "$5", "0x10", "007", "3 days", '"50%"', '"1,234"', "1.234,5", "1e999"],
)
def test_a_number_that_could_mean_two_things_is_never_guessed(number: str) -> None:
    with pytest.raises(StructuredError) as caught:
        parse(f'{{"name": "x", "score": {number}, "best": 2}}', Score)
    assert caught.value.kind in ("schema", "syntax")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "None", "null", "undefined"])
def test_no_number_is_none(word: str) -> None:
    parsed = parse(f'{{"name": "x", "score": {word}, "best": 1.5}}', Score)
    assert parsed.value == Score(name="x", score=None, best=1.5)


@pytest.mark.parametrize(
    "raw",
    [
        '[{"name": "a", "n": 1}, {"name": "b", "n": 2}]',
        '{"name": "a", "n": 1}\n{"name": "b", "n": 2}',
        json.dumps({"items": '[{"name": "a", "n": 1}, {"name": "b", "n": 2}]'}),
        "items:\n- name: a\n  n: 1\n- name: b\n  n: 2",
    ],
)
def test_a_list_is_found_where_only_a_list_is_wanted(raw: str) -> None:
    assert [item.n for item in parse(raw, Items).value.items] == [1, 2]


@pytest.mark.parametrize(
    "code",
    [
        'print("a", "b")',
        'print("a" + "b")',
        'x = "a"',
        'd = {"k": "v", "w": [1, 2]}',
        'f("a", "done": true)',
        'print("# no comment")',
        'a = "}", b',
    ],
)
def test_unescaped_quotes_in_code_never_change_the_program(code: str) -> None:
    raw = f'{{"thought": "t", "code": "{code}", "done": false}}'
    try:
        parsed = parse(raw, Action)
    except StructuredError:
        return
    assert parsed.value.code == code


def test_a_tag_inside_a_json_string_is_text() -> None:
    raw = '{"thought": "use </think> and <think>", "code": null, "done": true}'
    parsed = parse(raw, Action)
    assert parsed.value.thought == "use </think> and <think>"
    assert "think" not in parsed.flags


@pytest.mark.parametrize("deep", [90, 150, 500, 900, 2_000])
@pytest.mark.parametrize("schema", [Anything, Items])
def test_nesting_raises_nothing_else_wherever_it_stands(deep: int, schema: type[BaseModel]) -> None:
    lists, objects = "[" * deep + "]" * deep, '{"a":' * deep + "1" + "}" * deep
    for inner in (lists, objects):
        for held in (inner, json.dumps(inner), json.dumps(json.dumps(inner)), f"\u201c{inner}"):
            for key in ("data", "items", "x"):
                outcome(f'{{"{key}": {held}}}', schema)
                outcome(json.dumps(f'{{"{key}": {held}}}'), schema)
                outcome(f"<think>{held}</think>{key}: {held}", schema)


def test_an_alias_bomb_is_not_unfolded() -> None:
    lines = ["goal: &a [x, x, x, x, x, x, x, x]", "steps: &b [*a, *a, *a, *a, *a, *a, *a]"]
    with pytest.raises(StructuredError):
        parse("\n".join([*lines, "budget: [*b, *b, *b, *b, *b]"]), Plan)


def test_problems_are_told_one_by_one() -> None:
    with pytest.raises(StructuredError) as caught:
        parse('{"goal": 1, "budget": "x"}', Plan)
    assert [line.split(":")[0] for line in caught.value.problems] == ["goal", "steps", "budget"]


def test_any_root_type_is_found() -> None:
    class Numbers(RootModel[list[int]]):
        pass

    assert parse("Here: [1, 2, 3]", Numbers).value.root == [1, 2, 3]


def test_the_costly_stages_look_at_64_kb_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = fallbacks.ast.literal_eval

    def watched(text: str) -> object:
        seen.append(len(text))
        return real(text)

    monkeypatch.setattr(fallbacks.ast, "literal_eval", watched)
    for size in (1_000, 100_000):
        with pytest.raises(StructuredError):
            parse('{"goal" "x", "steps": ["' + "a " * size + '"]}', Plan)
    assert [length < fallbacks.MAX_COSTLY for length in seen] == [True]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
fragments = st.lists(
    st.sampled_from(
        ['{"thought": "', '"', "'", "{", "}", "[", "]", ",", ":", "code", '"done": true', "\\",
         "\n", "```json\n", "```", "<think>", "</think>", "<answer>", "“", "”", "\uff5b", "null",
         "1,234", "//",
         "/*", "#", "###thought###", "- a", "thought: x", "&a", "*a", "\ufeff", "\u200b", "\ud83d",
         '"""', "NaN", "..."]
    )
    | st.text(max_size=6),
    max_size=25,
).map("".join)  # fmt: skip


@settings(max_examples=300)
@given(fragments, st.sampled_from([Action, Plan, Items, Score, Verdict]))
def test_nothing_but_a_structured_error_is_ever_raised(raw: str, schema: type[BaseModel]) -> None:
    got, _ = outcome(raw, schema)
    assert isinstance(got, dict) or got in ("empty", "no_object", "syntax", "schema")


@settings(max_examples=200)
@given(values, st.text(alphabet="abc .\n", max_size=40), st.sampled_from([None, 2]))
def test_valid_json_is_read_as_it_is_wherever_it_stands(
    value: JsonValue, prose: str, indent: int | None
) -> None:
    raw = f"{prose}\n```json\n{json.dumps({'data': value}, indent=indent)}\n```\n{prose}"
    assert parse(raw, Anything).value.data == value


printed = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text("ab \"'\\\n\xa0\x1b\u00e9\U000e0041,:{}[]#"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab \xad"), inner),
    max_leaves=8,
)


@settings(max_examples=200)
@given(printed, st.sampled_from([str, ascii]))
def test_what_python_prints_is_read_as_it_is(value: JsonValue, how: Callable[[Any], str]) -> None:
    assert parse(f"So: {how({'data': value})}", Anything).value.data == value


words = st.text(alphabet="abc XYZ", min_size=1, max_size=8).map(str.strip).filter(bool)
plans = st.builds(
    lambda goal, steps, budget: {"goal": goal, "steps": steps, "budget": budget},
    words,
    st.lists(words, max_size=3),
    st.integers(10, 999),
)


def bare(value: Any) -> Any:
    """A plan whose texts are without the marks that may have got into them."""
    texts = [value["goal"], *value["steps"]]
    return [text.strip("{}[],:;\"' \n") for text in texts], value["budget"]


@settings(max_examples=200)
@given(plans, st.sampled_from([None, 1]), st.booleans(), st.data())
def test_one_wrong_mark_never_loses_anything_in_silence(
    value: dict[str, Any], indent: int | None, python: bool, data: st.DataObject
) -> None:
    raw = str(value) if python else json.dumps(value, indent=indent)
    places = [place for place, char in enumerate(raw) if char in "{}[],:\"'"]
    place = data.draw(st.sampled_from(places))
    instead = data.draw(st.sampled_from(["", 2 * raw[place], *"{}[],:;\"'"]))
    got, flags = outcome(raw[:place] + instead + raw[place + 1 :], Plan)
    if isinstance(got, dict) and "truncated" not in flags:
        assert bare(got) == bare(value)
