"""The forms that replies must have: in words for a prompt, as JSON Schema for native modes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pydantic import BaseModel

from planner_app.domain.plan import Answer, CheckVerdict, Review

SCHEMA_CHARS = 8_000
"""Of the task's JSON Schema, as a correction shows it."""
_FORMS = {
    "review": '{"decision": "continue" | "replan" | "answer" | "ask_user", "root_cause": str, '
    '"fact_updates": [{"fact": str, "source_ids": [int]}], "questions": [{"text", "default"}]}',
    "answer": '{"text": str, "claims": [{"text": str, "source_ids": [int], "quote": str}], '
    '"artifacts": [str], "data": any, "confidence": "low" | "medium" | "high", '
    '"open_points": [str]}',
    "check": '{"ok": bool, "problems": [str], "unsupported": [str]}',
}
_MODELS: dict[str, type[BaseModel]] = {"review": Review, "answer": Answer, "check": CheckVerdict}
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


def form_in_words(purpose: str, data_schema: str) -> str:
    """The form of a review, an answer or a check; `data_schema` is the task's own, or empty."""
    form = _FORMS[purpose]
    if purpose == "answer" and data_schema:
        form += f"\n\n`data` must fit this JSON Schema:\n{data_schema[:SCHEMA_CHARS]}"
    return form


def native_schema(purpose: str, data_schema: str) -> dict[str, Any] | None:
    """The JSON Schema to send where a model has a native mode for one; None for other replies.

    An answer without a schema of the task has text around its object, and so no native mode.
    """
    if purpose not in _MODELS or (purpose == "answer" and not data_schema):
        return None
    schema = _own_schema(purpose)
    if purpose != "answer":
        return schema
    data = _moved(json.loads(data_schema), "#/properties/data")
    return schema | {"properties": schema["properties"] | {"data": data}}


@cache  # pydantic writes it anew at every call, which takes longer than the rest of the request
def _own_schema(purpose: str) -> dict[str, Any]:
    return _MODELS[purpose].model_json_schema()


def _moved(schema: Any, to: str) -> Any:
    """A schema whose references lead on when it stands at another place of a document."""
    if isinstance(schema, list):
        return [_moved(item, to) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: to + value[1:]
        if key in _REFERENCES and isinstance(value, str) and value[:2] in {"#", "#/"}
        else _moved(value, to)
        for key, value in schema.items()
        if key != "$schema"
    }
