"""What the agents write: plans, reports, reviews, answers, verdicts; when a plan is valid."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from planner_app.domain.sizes import json_bytes

MAX_STEPS = 12
MAX_PLAN_BYTES = 12_000
"""As JSON, so that an event has room for it in every script."""
MAX_RESULT_CHARS = 2_000
MAX_QUOTE_CHARS = 300

StepKind = Literal["research", "compute", "write"]
Verdict = Literal["done", "failed", "blocked", "surprise"]
Decision = Literal["continue", "replan", "answer", "ask_user"]


class _Said(BaseModel):
    """Written by a model: unknown keys are dropped, known ones are checked."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class VerifiedFact(_Said):
    """Something that holds, and where it stands."""

    fact: str
    source_ids: list[int] = Field(default_factory=list)


class Facts(_Said):
    """The ledger of what is known and what is not."""

    given: list[str] = Field(default_factory=list)
    """Stated in the task."""
    verified: list[VerifiedFact] = Field(default_factory=list)
    """Found in a source."""
    to_find: list[str] = Field(default_factory=list)
    """To be looked up."""
    to_derive: list[str] = Field(default_factory=list)
    """To be computed."""
    guesses: list[str] = Field(default_factory=list)
    """Believed without a source."""


class Step(_Said):
    """One piece of work for the executor."""

    id: str
    """Unique over all revisions of the run's plan."""
    objective: str
    deps: list[str] = Field(default_factory=list)
    """Ids of the steps that must be done before."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Variable name to the id of the step whose report names it under `values`."""
    expected: str = ""
    """What a good result looks like."""
    tools: list[str] = Field(default_factory=list)
    """Names of the tools to show; empty shows all."""
    max_actions: int = Field(default=12, ge=1, le=50)
    kind: StepKind = "research"


class Question(_Said):
    """One thing to ask the person."""

    text: str
    default: str = ""
    """What stands when nobody answers."""


class Plan(_Said):
    """The planner's plan: a graph of steps, or an answer where none is needed."""

    facts: Facts = Field(default_factory=Facts)
    steps: list[Step] = Field(default_factory=list)
    answer_format: str = ""
    """The form of the answer that the task asks for."""
    done_when: list[str] = Field(default_factory=list)
    """What must hold for the task to be done; the checker reads it."""
    questions: list[Question] = Field(default_factory=list)
    """Asked before planning goes on, once, when the task is vague."""
    answer: str | None = None
    """The whole answer, when the task needs no action."""


class Evidence(_Said):
    """A passage that supports a result."""

    source_id: int
    quote: str = ""


class Report(_Said):
    """How an attempt at a step ended, in the executor's words."""

    step_id: str = ""
    verdict: Verdict
    result: str = ""
    """At most 2,000 characters; longer ones are cut when they are recorded."""
    values: list[str] = Field(default_factory=list)
    """Names of session variables that go on to dependent steps."""
    evidence: list[Evidence] = Field(default_factory=list)
    artifacts: list[str] = Field(default_factory=list)
    tried: list[str] = Field(default_factory=list)
    progress: bool = True
    next_hint: str = ""

    @field_validator("values", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """Models also write `{"name": ...}`; only the names count, the host reads the values."""
        return list(value) if isinstance(value, dict) else value


class Review(_Said):
    """What the planner makes of the reports so far."""

    decision: Decision
    root_cause: str = ""
    fact_updates: list[VerifiedFact] = Field(default_factory=list)
    questions: list[Question] = Field(default_factory=list)
    """With `ask_user`."""


class Claim(_Said):
    """One statement of the answer and the sources it stands on."""

    text: str
    source_ids: list[int] = Field(default_factory=list)
    quote: str = ""


class Answer(_Said):
    """What the person gets."""

    text: str
    claims: list[Claim] = Field(default_factory=list)
    artifacts: list[str] = Field(default_factory=list)
    data: Any = None
    """A JSON value that fits the task's schema, where it gave one."""
    confidence: Literal["low", "medium", "high"] = "medium"
    open_points: list[str] = Field(default_factory=list)


class CheckVerdict(_Said):
    """The checker's opinion of an answer."""

    ok: bool
    problems: list[str] = Field(default_factory=list)
    unsupported: list[str] = Field(default_factory=list)
    """Claims that no quoted source carries."""


def plan_problems(plan: Plan, done: frozenset[str], known: frozenset[str]) -> list[str]:
    """Why a plan cannot run; empty when it can.

    `done` are the steps of earlier revisions that a new plan may depend on, `known` all step ids
    that were ever used: an id is unique over all revisions.
    """
    problems: list[str] = []
    if json_bytes(plan.model_dump(mode="json")) > MAX_PLAN_BYTES:
        problems.append(f"the plan is longer than {MAX_PLAN_BYTES} bytes; say less")
    if not plan.steps:
        if plan.answer or plan.questions:
            return problems
        return ["the plan has no steps and no answer"]
    if len(plan.steps) > MAX_STEPS:
        problems.append(f"{len(plan.steps)} steps, at most {MAX_STEPS} are allowed")
    ids = [step.id for step in plan.steps]
    problems += [
        f"step id {i!r} is used twice" for i in sorted({i for i in ids if ids.count(i) > 1})
    ]
    problems += [
        f"step id {i!r} was used by an earlier plan; use a new one" for i in ids if i in known
    ]
    for step in plan.steps:
        problems += _step_problems(step, set(ids) | done)
    problems += [f"steps wait for each other: {' -> '.join(cycle)}" for cycle in _cycles(plan)]
    return problems


def _step_problems(step: Step, reachable: set[str]) -> list[str]:
    problems = []
    if not step.id.strip() or len(step.id) > 40 or "/" in step.id or not step.id.isprintable():
        problems.append(
            f"step id {step.id[:40]!r} must be 1 to 40 printable characters without '/'"
        )
    if not step.objective.strip():
        problems.append(f"step {step.id!r} has no objective")
    problems += [
        f"step {step.id!r} depends on {dep!r}, which is not a step"
        for dep in step.deps
        if dep not in reachable
    ]
    for name, source in step.inputs.items():
        if not name.isidentifier():
            problems.append(f"step {step.id!r}: input {name!r} is not a variable name")
        if source not in reachable:
            problems.append(f"step {step.id!r}: input {name!r} comes from unknown step {source!r}")
        elif source not in step.deps:
            problems.append(f"step {step.id!r}: input {name!r} comes from {source!r}, not in deps")
    return problems


def _cycles(plan: Plan) -> list[list[str]]:
    """The steps that no order can serve, in one list; Kahn's algorithm (CACM 5(11), 1962)."""
    ids = {step.id for step in plan.steps}
    waiting = {step.id: {d for d in step.deps if d in ids} for step in plan.steps}
    while ready := [i for i, deps in waiting.items() if not deps]:
        for i in ready:
            del waiting[i]
        for deps in waiting.values():
            deps.difference_update(ready)
    return [sorted(waiting)] if waiting else []
