"""A plan as a person edits it: its text, what is wrong with an edit, and whether it can run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from planner_app.domain.errors import BadInput
from planner_app.domain.plan import Facts, Plan, Step, plan_problems
from planner_app.domain.state import RunState

_LEFT_OUT = {"questions", "answer"}
"""What of a plan is no part of what runs."""
_HINT = "the form is that of the proposed plan: planner approve RUN --edit shows it"


def plan_text(plan: Plan) -> str:
    """The plan as JSON, a line for each thing that one may want to change; the steps first."""
    value = plan.model_dump(mode="json", exclude=_LEFT_OUT)
    steps, facts = value.pop("steps"), value.pop("facts")
    ordered = {"steps": steps, **value, "facts": facts}
    return json.dumps(ordered, ensure_ascii=False, indent=2)


def is_edit(plan: Plan, proposed: Plan | None) -> bool:
    """Whether a plan differs from the proposed one in what runs."""
    return proposed is None or plan_text(plan) != plan_text(proposed)


def problems_in_run(state: RunState, plan: Plan) -> list[str]:
    """Why a plan cannot run in this run; empty when it can."""
    if not plan.steps:
        return ["the plan has no steps"]
    return plan_problems(plan, state.done_steps(), frozenset(state.steps))


def read_plan(text: str, state: RunState) -> Plan:
    """A person's edit. Lines that begin with `#` are remarks.

    Raises BadInput that names the line, or the field, of the first thing that is wrong.
    """
    lines = ["" if line.lstrip().startswith("#") else line for line in text.splitlines()]
    try:
        value = json.loads("\n".join(lines).removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadInput(f"the plan is not JSON: {error.msg} ({where})", _HINT) from None
    except RecursionError:
        raise BadInput("the plan is not JSON that can be read: nested too deep", _HINT) from None
    if not isinstance(value, dict):
        raise BadInput("the plan is not a JSON object", _HINT)
    if unknown := _unknown(value):
        raise BadInput(f"the plan cannot be used: {unknown}", _HINT)
    try:
        plan = Plan.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"the plan cannot be used: {where}: {first['msg']}", _HINT) from None
    if problems := problems_in_run(state, plan):
        raise BadInput(f"the plan cannot run: {problems[0]}")
    return plan


def _unknown(value: Mapping[str, Any]) -> str:
    """The first misspelt field, which would else be dropped in silence; empty: there is none."""
    parts: list[tuple[str, object, type[BaseModel]]] = [("", value, Plan)]
    steps = value.get("steps")
    parts += [
        (f"steps.{i}.", step, Step)
        for i, step in enumerate(steps if isinstance(steps, list) else [])
    ]
    parts.append(("facts.", value.get("facts"), Facts))
    for place, part, model in parts:
        for key in part if isinstance(part, dict) else ():
            if key not in model.model_fields:
                near = difflib.get_close_matches(key, model.model_fields, n=1)
                said = f"; did you mean {near[0]!r}?" if near else ""
                return f"{place}{key[:40]} is no field of it{said}"
    return ""
