"""Writes docs/events.md from the catalogue: `python -m planner_app.domain.event_docs`. Pure."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from itertools import groupby
from types import ModuleType
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from planner_app.domain import catalogue, events, plan
from planner_app.domain.catalogue import TYPES, VERSIONS, Orphaned
from planner_app.domain.events import MAX_DATA_BYTES, Event, EventDraft

_HEAD = f"""# Events

Generated from `planner_app/domain/catalogue.py` by `python -m planner_app.domain.event_docs`;
a test keeps the two equal.

An event is an immutable fact about a run. `(run_id, seq)` names it. Its `data` is JSON of at most
{MAX_DATA_BYTES // 1024} KiB; bigger things are blobs, which `blobs` names by sha256. A type's shape
changes only together with its version, and older versions are turned into the newest one on read.
"""

_AREAS = {
    "run": "The run",
    "note": "Notes",
    "budget": "Budgets",
    "user": "What people said",
    "model": "Model calls",
    "plan": "Plans",
    "replan": "Re-plans",
    "review": "Reviews",
    "reply": "Replies that cannot be read",
    "facts": "The ledger",
    "question": "Questions",
    "attempt": "Attempts",
    "step": "Steps",
    "evidence": "Evidence",
    "stall": "Stalls",
    "loop": "Loops",
    "turn": "Executor's turns",
    "session": "Sandboxes",
    "action": "Actions",
    "tool": "Tool calls",
    "source": "Sources",
    "artifact": "Artifacts",
    "answer": "Answers",
}
_SOURCES = (events, catalogue, plan)


def events_markdown() -> str:
    """The whole of docs/events.md."""
    notes = {name: note for module in _SOURCES for name, note in _field_notes(module).items()}
    parts = [_HEAD, "## The envelope\n", _table([EventDraft, Event], notes)]
    names = sorted(TYPES, key=lambda name: list(_AREAS).index(name.partition(".")[0]))
    for area, types in groupby(names, key=lambda name: name.partition(".")[0]):
        parts.append(f"## {_AREAS[area]}\n")
        parts += [_type(name, notes) for name in types]
    parts.append("## Objects within events\n")
    for model in _objects():
        parts += [f"### {model.__name__}\n", _doc(model), _table([model], notes)]
    parts.append("## Words\n")
    parts.append("| name | one of |\n|---|---|")
    parts.append("\n".join(_words()) + "\n")
    return "\n".join(parts).rstrip() + "\n"


def _type(name: str, notes: dict[str, str]) -> str:
    data = TYPES[name]
    return f"### `{name}` (version {VERSIONS[name]})\n\n{_doc(data)}\n{_table([data], notes)}"


def _doc(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "") + "\n"


def _table(models: list[type[BaseModel]], notes: dict[str, str]) -> str:
    """The fields of these models, each once."""
    rows, seen = [], set[str]()
    for model in models:
        for name, field in model.model_fields.items():
            if name not in seen:
                seen.add(name)
                rows.append(_row(model, name, field, notes))
    if not rows:
        return "No data.\n"
    return "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _row(model: type[BaseModel], name: str, field: FieldInfo, notes: dict[str, str]) -> str:
    owner = next(c.__name__ for c in model.__mro__ if name in inspect.get_annotations(c))
    kind = notes.get(f"{owner}.{name}:type", "")
    meaning = notes.get(f"{owner}.{name}", "")
    cells = [f"`{name}`", f"`{kind}`", _default(field), meaning]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "its defaults"
    return f"`{json.dumps(value)}`"


def _field_notes(module: ModuleType) -> dict[str, str]:
    """`Class.field` to the docstring below the field, `Class.field:type` to its annotation."""
    found: dict[str, str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            key = f"{node.name}.{field.target.id}"
            found[f"{key}:type"] = ast.unparse(field.annotation).replace("'", '"')
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[key] = " ".join(str(after.value.value).split())
    return found


def _objects() -> list[type[BaseModel]]:
    """Models that events hold, each once, in the order in which they are met."""
    found: dict[str, type[BaseModel]] = {}

    def visit(annotation: object) -> None:
        for part in get_args(annotation):
            visit(part)
        if not isinstance(annotation, type) or get_origin(annotation) is not None:
            return
        if issubclass(annotation, BaseModel) and annotation.__name__ not in found:
            found[annotation.__name__] = annotation
            for field in annotation.model_fields.values():
                visit(field.annotation)

    for data in TYPES.values():
        if data is not Orphaned:
            for field in data.model_fields.values():
                visit(field.annotation)
    return list(found.values())


def _words() -> list[str]:
    """A row for each named choice."""
    rows = {}
    for module in _SOURCES:
        for name, value in vars(module).items():
            if get_origin(value) is Literal and name[0].isupper():
                words = ", ".join(f"`{word}`" for word in get_args(value))
                rows[name] = f"| {name} | {words} |"
    return list(rows.values())


if __name__ == "__main__":
    sys.stdout.write(events_markdown())
