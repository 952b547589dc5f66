"""A value that a model wrote fits the person's JSON Schema, or it is said where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from planner_app.models.data_schema import MAX_PROBLEMS, fit_data

COUNT: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"n": 1}, {"n": 1}),
        ('{"n": 1}', {"n": 1}),
        ({"data": {"n": 1}}, {"n": 1}),
        ({"result": '{"n": 1}'}, {"n": 1}),
    ],
)
def test_what_is_only_wrapped_is_unwrapped(written: Any, meant: Any) -> None:
    assert fit_data(written, COUNT) == (meant, [])


def test_what_fits_is_left_as_it_is() -> None:
    assert fit_data('{"n": 1}', {"type": "string"}) == ('{"n": 1}', [])
    assert fit_data({"data": {"n": 1}}, True) == ({"data": {"n": 1}}, [])


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"n": "1"}, "data.n: '1' is not of type 'integer'"),
        ({"n": True}, "data.n: True is not of type 'integer'"),
        ({"n": 1, "m": 2}, "data: Additional properties are not allowed ('m' was unexpected)"),
        ([{"n": 1}], "data: [{'n': 1}] is not of type 'object'"),
        ("{n: 1}", "data: '{n: 1}' is not of type 'object'"),
        (None, "data: None is not of type 'object'"),
    ],
)
def test_what_does_not_fit_is_told_and_kept(written: Any, problem: str) -> None:
    assert fit_data(written, COUNT) == (written, [problem])


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("date", "2026-11-21", "21.11.2026"),
        ("email", "a@b.example", "nobody"),
        ("ipv4", "127.0.0.1", "300.1.1.1"),
        ("uuid", "8d7a1b9e-7c1a-4d6e-9b7e-000000000000", "8d7a"),
    ],
)
def test_a_format_counts(kind: str, good: str, bad: str) -> None:
    schema: dict[str, Any] = {"type": "string", "format": kind}
    assert fit_data(good, schema)[1] == []
    assert len(fit_data(bad, schema)[1]) == 1


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"$ref": "#/nowhere"}, {"$ref": "other.json"}],
)
def test_a_schema_that_cannot_be_applied_is_a_problem_and_no_failure(schema: Any) -> None:
    (problem,) = fit_data({}, schema)[1]
    assert problem.startswith("data cannot be held to the schema")


def test_of_many_problems_the_first_are_told() -> None:
    schema: dict[str, Any] = {"items": {"type": "integer"}}
    assert len(fit_data(["x"] * 1000, schema)[1]) == MAX_PROBLEMS
