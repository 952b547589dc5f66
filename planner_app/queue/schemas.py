"""Reads a JSON Schema that a person gave, or says in one line why it cannot be used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from planner_app.domain.errors import BadInput

DRAFTS = ("draft-03", "draft-04", "draft-06", "draft-07", "2019-09", "2020-12")
_LOCAL = "put what it refers to into the same file, under $defs"
_DEEPEST = 100
"""Levels; what is deeper is no schema that anybody wrote."""


def check_schema(name: str, text: str) -> None:
    """Raises BadInput for a text that is no JSON Schema, or one that no answer can be held to.

    References may only lead to places in the schema itself: nothing is fetched.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    schema = _parsed(name, text)
    try:
        draft = schema.get("$schema") if isinstance(schema, dict) else None
        if draft is not None and not any(known in str(draft) for known in DRAFTS):
            known = ", ".join(DRAFTS)
            raise BadInput(f"the schema {name} names an unknown $schema {draft!r:.80}", known)
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
        _check_references(name, schema)
    except SchemaError as error:
        where = ".".join(str(part) for part in error.absolute_path)
        at = f" at {where}" if where else ""
        raise BadInput(f"the schema {name} is no JSON Schema{at}: {error.message[:200]}") from None
    except RecursionError:
        raise BadInput(f"the schema {name} is nested too deeply") from None
    if schema is False or schema == {"not": {}}:
        raise BadInput(f"the schema {name} allows no answer at all", "true allows any")


def _parsed(name: str, text: str) -> Any:
    def no_constant(word: str) -> None:
        raise ValueError(f"{word} is no JSON number")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
            raise ValueError(f"it has the key {twice!r:.80} twice in one place")
        return found

    try:
        schema = json.loads(text, parse_constant=no_constant, object_pairs_hook=once)
    except RecursionError:
        raise BadInput(f"the schema {name} is nested too deeply") from None
    except ValueError as error:
        raise BadInput(f"the schema {name} is not JSON: {error}", "see json-schema.org") from None
    if not isinstance(schema, dict | bool):
        raise BadInput(f"the schema {name} is not a JSON object", "see json-schema.org")
    return schema


def _check_references(name: str, schema: Any) -> None:
    anchors = {
        part[key] for part in _parts(schema) for key in ("$anchor", "$dynamicAnchor") if key in part
    }
    for number, part in enumerate(_parts(schema)):
        if number and isinstance(part.get("$id"), str) and "$ref" not in part:
            raise BadInput(f"the schema {name} names a part of it by $id", "use #/$defs/NAME")
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            ref = part.get(key)
            if not isinstance(ref, str):
                continue
            if not ref.startswith("#"):
                raise BadInput(f"the schema {name} refers to {ref[:80]}", _LOCAL)
            if ref[1:] not in anchors and _target(schema, ref) is None:
                raise BadInput(
                    f"the schema {name} refers to {ref[:80]}, which is not in it", _LOCAL
                )
            if _leads_nowhere(schema, part):
                raise BadInput(f"the schema {name} refers from {ref[:80]} back to itself only")


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object in it, the whole first. Objects that are values, such as in enum, count too."""
    levels: list[Any] = [schema]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for value in levels:
            if isinstance(value, dict):
                yield value
                below += value.values()
            elif isinstance(value, list):
                below += value
        if not below:
            return
        levels = below
    raise RecursionError


def _target(schema: Any, ref: str) -> Any:
    """What a pointer such as `#/$defs/a` leads to; None: nothing."""
    value = schema
    if ref in ("#", "#/"):
        return value
    if not ref.startswith("#/"):
        return None
    for step in ref[2:].split("/"):
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _leads_nowhere(schema: Any, part: dict[str, Any]) -> bool:
    """Whether following references from here never comes to anything but a reference."""
    seen: set[int] = set()
    here: Any = part
    while isinstance(here, dict) and isinstance(here.get("$ref"), str):
        if id(here) in seen:
            return True
        seen.add(id(here))
        here = _target(schema, here["$ref"])
    return False
