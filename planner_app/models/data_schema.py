"""Hold a value that a model wrote to a JSON Schema that a person wrote."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from pydantic import JsonValue

from planner_app.models.candidates import decode_whole

MAX_PROBLEMS = 10


def fit_data(value: JsonValue, schema: dict[str, JsonValue] | bool) -> tuple[JsonValue, list[str]]:
    """The value, and where it does not fit; `format` counts.

    JSON in a string, or an only outer key, is taken off if what is inside fits and the whole does
    not. Takes long for large values: not for the event loop.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing.exceptions import Unresolvable

    kind = validator_for(schema, default=Draft202012Validator)
    validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
    problems: list[str] = []
    try:
        for variant in _variants(value):
            errors = list(islice(validator.iter_errors(variant), MAX_PROBLEMS))
            if not errors:
                return variant, []
            problems = problems or [f"data{e.json_path[1:]}: {e.message}"[:300] for e in errors]
    except (SchemaError, Unresolvable, RecursionError) as error:
        return value, [f"data cannot be held to the schema: {type(error).__name__}: {error}"[:300]]
    return value, problems


def _variants(value: JsonValue) -> Iterator[JsonValue]:
    yield value
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
        yield value
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            yield decode_whole(value)
        except ValueError:
            return
