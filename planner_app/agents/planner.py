"""The planner: what it is told when it plans, reviews and answers, and how its replies are read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from planner_app.agents.files import file_lines
from planner_app.agents.prompts import prompt
from planner_app.agents.turn import (
    Surroundings,
    Turn,
    bullets,
    note_text,
    section,
    source_list,
)
from planner_app.domain.fences import fence_untrusted
from planner_app.domain.plan import Plan, plan_problems
from planner_app.domain.state import RunState, StepState
from planner_app.models.port import Message
from planner_app.models.structured import StructuredError, parse

PlannerPurpose = Literal["plan", "replan", "review", "answer"]


class PlanReply(Plan):
    """A plan as the planner writes it: it must hold steps, an answer or questions."""

    @model_validator(mode="before")
    @classmethod
    def _says_something(cls, value: Any) -> Any:
        if isinstance(value, dict) and not {"steps", "answer", "questions"} & set(value):
            raise ValueError("a plan has `steps`, or `answer`, or `questions`")
        return value


def planner_turn(
    state: RunState,
    purpose: PlannerPurpose,
    around: Surroundings,
    *,
    examples: bool,
    compact: bool = False,
) -> Turn:
    """The planner's next message: the whole task at first, later only what is new.

    `examples`: whether the model is helped by them (its profile says so). `compact`: the
    conversation has grown too long, so it starts anew from the ledger.
    """
    conversation = f"planner/{state.planner_chat}"
    asked = _instruction(state, purpose, around)
    if state.conversations.get(conversation) and not compact:
        text = f"{_news(state, around)}\n\n{_why(state)}{asked}"
        return Turn(conversation, (Message(role="user", content=text),), restart=False)
    system = prompt("planner")
    if examples:
        system = f"{system}\n\n{prompt('planner_example')}"
    opening = _task(state, around) if not state.steps else _ledger(state, around)
    told = "\n\n".join(note_text(note, around.read) for note in state.outbox)
    text = "\n\n".join(part for part in (opening, told, _why(state) + asked) if part)
    messages = (Message(role="system", content=system), Message(role="user", content=text))
    return Turn(conversation, messages, restart=True, examples=examples)


def _instruction(state: RunState, purpose: PlannerPurpose, around: Surroundings) -> str:
    if purpose == "answer":
        data = '"data": a JSON value that fits the schema above, ' if around.schema else ""
        return prompt("ask_answer", data=data, sources=source_list(state))
    return prompt(f"ask_{purpose}")


def _why(state: RunState) -> str:
    """Why the planner is called now; empty when the run went on as planned."""
    if not state.phase_reason:
        return ""
    return f"Why you are called: {fence_untrusted(state.phase_reason, 'the run')}\n\n"


def _task(state: RunState, around: Surroundings) -> str:
    return prompt("planner_task", **_common(state, around))


def _ledger(state: RunState, around: Surroundings) -> str:
    finished = [_report_text(s) for s in state.steps.values() if s.status == "done"]
    failed = []
    for step in state.steps.values():
        failed += [
            f"{step.step.id} ({step.step.objective[:200]}): {a.outcome}. {a.reason}"
            for a in step.attempts
            if a.outcome not in {None, "done"}
        ]
    plan = state.plan
    form = [f"the answer has the form: {plan.answer_format}"] if plan and plan.answer_format else []
    form += [f"must hold: {text}" for text in plan.done_when] if plan else []
    open_steps = [
        f"{s.step.id} ({s.status}): {s.step.objective}"
        for s in state.live_steps()
        if s.status != "done"
    ]
    facts = state.facts
    known = [f"given: {fact}" for fact in facts.given]
    known += [f"verified: {f.fact} {_marks(f.source_ids)}".rstrip() for f in facts.verified]
    known += [f"to find: {fact}" for fact in facts.to_find]
    known += [f"to derive: {fact}" for fact in facts.to_derive]
    known += [f"guess: {fact}" for fact in facts.guesses]
    return prompt(
        "planner_ledger",
        facts=bullets(known),
        finished="\n\n".join(finished) or "(none)",
        open=section("Steps of the plan that are not done", bullets(open_steps, "")),
        form=section("What the plan asks of the answer", bullets(form, "")),
        failed=fence_untrusted(bullets(failed), "failed attempts") if failed else "(nothing)",
        **_common(state, around),
    )


def _common(state: RunState, around: Surroundings) -> dict[str, str]:
    told = {note.seq for note in state.outbox if note.seq}
    said = [note_text(n, around.read) for n in state.said if not n.seq or n.seq not in told]
    background = fence_untrusted(state.background, "an earlier run") if state.background else ""
    schema = f"```json\n{around.schema}\n```" if around.schema else ""
    return {
        "task": around.task,
        "today": around.today,
        "tools": around.tools(()),
        "limits": limits_text(state),
        "said": section("What the person said since", "\n\n".join(said)),
        "background": section("Earlier run", background),
        "attachments": section("Files in the workspace", file_list(file_lines(state))),
        "schema": section("JSON Schema of the answer's `data`", schema),
    }


def file_list(lines: list[str]) -> str:
    """The workspace's files; a file's name may say anything."""
    return fence_untrusted(bullets(lines), "names of files") if lines else ""


def limits_text(state: RunState) -> str:
    """What is left of the budgets, in words."""
    left = []
    limits, spent = state.budget, state.spent
    if limits.calls is not None:
        left.append(f"{max(0, limits.calls - spent.calls)} model calls")
    if limits.actions is not None:
        left.append(f"{max(0, limits.actions - spent.actions)} actions")
    if limits.seconds is not None:
        left.append(f"{max(0, limits.seconds - state.active_seconds) / 60:.0f} minutes")
    if limits.tokens is not None:
        left.append(f"{max(0, limits.tokens - spent.tokens):,} tokens")
    if limits.usd is not None:
        left.append(f"${max(0.0, limits.usd - spent.usd):.2f}")
    return f"Left for the whole task: {', '.join(left) or 'no limit'}."


def _news(state: RunState, around: Surroundings) -> str:
    """What the planner has not been told: outcomes, notes, and how things stand."""
    parts = []
    for key, step in state.steps.items():
        ended = [a for a in step.attempts if a.outcome is not None]
        for attempt in ended[state.planner_told.get(key, 0) :]:
            head = f"## Step {key}, attempt {attempt.number}: {attempt.outcome}"
            if attempt.report is not None:
                body = "\n" + _report_text(step.model_copy(update={"report": attempt.report}))
            else:
                why = attempt.reason
                body = "\n" + fence_untrusted(why, "how it ended") if why else ""
            parts.append(head + body)
    parts += [note_text(note, around.read) for note in state.outbox]
    if state.steps:
        status = bullets([f"{k}: {s.status}" for k, s in state.steps.items()])
        parts.append(f"## Steps\n{status}")
    parts.append(limits_text(state))
    return "\n\n".join(parts)


def _report_text(step: StepState) -> str:
    """A report as the planner reads it: results and quotes, never code or raw observations.

    What an executor reports may be what a page told it to, so all of it is data.
    """
    report = step.report
    if report is None:
        return f"{step.step.id}: {step.status}"
    lines = [f"{step.step.id} ({report.verdict}): {report.result}"]
    for name, value in step.values.items():
        lines.append(f"  {name} = {str(value.get('preview', ''))[:400]}")
    if step.source_id is not None:
        lines.append(f"  computed by its actions: source [{step.source_id}]")
    if report.artifacts:
        lines.append(f"  artifacts: {', '.join(report.artifacts)}")
    if report.next_hint:
        lines.append(f"  hint: {report.next_hint}")
    lines += [f"  evidence [{piece.source_id}]: {piece.quote}" for piece in report.evidence]
    return fence_untrusted("\n".join(lines), f"the report of step {step.step.id}")


def _marks(ids: list[int]) -> str:
    return "".join(f"[{n}]" for n in ids)


def read_plan(state: RunState, text: str) -> tuple[Plan | None, list[str]]:
    """The plan in a reply, or what is wrong with it."""
    try:
        parsed = parse(text, PlanReply)
    except StructuredError as error:
        return None, [
            f"the plan could not be read ({error.kind}): {error.message}",
            *error.problems,
        ]
    if "truncated" in parsed.flags:
        return None, ["the plan was cut off before its end; write it shorter"]
    written = parsed.value
    plan = Plan.model_validate(written.model_dump())
    problems = plan_problems(plan, state.done_steps(), frozenset(state.steps))
    return (None, problems) if problems else (plan, [])
