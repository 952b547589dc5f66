"""The executor: what it is told of its step and after each action, and how its turns are read."""

from __future__ import annotations

from dataclasses import dataclass

from planner_app.agents.prompts import prompt
from planner_app.agents.turn import Surroundings, Turn, bullets, note_text, section
from planner_app.domain.citations import cited_ids
from planner_app.domain.plan import MAX_QUOTE_CHARS, MAX_RESULT_CHARS, Report
from planner_app.domain.state import Attempt, RunState, StepState
from planner_app.models.fences import read_turn
from planner_app.models.port import Message
from planner_app.models.structured import StructuredError, parse

KEPT_TURNS = 4
"""Turns that stay word for word when a conversation is made shorter."""


@dataclass(frozen=True, slots=True)
class Acted:
    """A turn that holds code."""

    code: str
    note: str = ""
    """What of the turn was passed over."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A turn that ends the step."""

    report: Report


@dataclass(frozen=True, slots=True)
class Unusable:
    """A turn that cannot be carried out, and what the model is told."""

    kind: str
    """truncated, silent or bad_report."""
    message: str
    double_max_tokens: bool = False


def executor_turn(
    state: RunState, step: StepState, attempt: Attempt, around: Surroundings, *, examples: bool
) -> Turn:
    """The executor's next message: its step at first, later what its last turn brought."""
    conversation = f"executor/{step.step.id}/{attempt.number}"
    told = [note_text(note, around.read) for note in attempt.outbox]
    if state.conversations.get(conversation):
        text = "\n\n".join(told) or "Go on: act, or report."
        return Turn(conversation, (Message(role="user", content=text),), restart=False)
    system = prompt("executor", tools=around.tools(tuple(step.step.tools)))
    if examples:
        system = f"{system}\n\n{prompt('executor_example')}"
    text = "\n\n".join([opening(state, step, attempt, around), *told])
    messages = (Message(role="system", content=system), Message(role="user", content=text))
    return Turn(conversation, messages, restart=True, examples=examples)


def compacted(turn: Turn, before: list[Message]) -> Turn:
    """The conversation made shorter: its opening, a summary, the last turns, and the new message.

    The summary keeps the first lines of each turn and observation, with their source ids.
    """
    kept = 2 * KEPT_TURNS
    opening_messages, middle, last = before[:2], before[2:-kept], before[-kept:]
    lines = []
    for message in middle:
        ids = "".join(f"[{n}]" for n in cited_ids(message.content)[:20])
        head = " ".join(message.content.split())[:300]
        lines.append(f"{'you' if message.role == 'assistant' else 'result'}: {head} {ids}".rstrip())
    summary = Message(
        role="user",
        content="Earlier turns of this step, in short:\n" + bullets(lines),
    )
    first = last[0].role if last else "user"
    bridge = [Message(role="assistant", content="I go on from there.")] if first == "user" else []
    messages = (*opening_messages, summary, *bridge, *last, *turn.messages)
    return Turn(turn.conversation, messages, restart=True)


def opening(state: RunState, step: StepState, attempt: Attempt, around: Surroundings) -> str:
    """The executor's step in words."""
    solo = state.mode == "solo"
    objective = around.task if solo else step.step.objective
    alone = len(state.live_steps()) == 1 and state.revision == 1 and not state.has_schema
    final = ""
    if alone:
        form = state.plan.answer_format if state.plan else ""
        final = section(
            "This step answers the task",
            "Write `result` as the answer that the person gets, in the asked form"
            + (f": {form}" if form else "."),
        )
    return prompt(
        "executor_step",
        id=step.step.id,
        objective=objective,
        expected=step.step.expected or "what the objective says",
        goal=" ".join(state.text.split())[:200],
        max_actions=step.step.max_actions,
        inputs=section("Already there", bullets(_inputs(state, step), "")),
        earlier=section("An earlier attempt", _earlier(step, attempt)),
        final=final,
    )


def _inputs(state: RunState, step: StepState) -> list[str]:
    """Bound variables with their previews, and the files of earlier steps."""
    lines = []
    for name, source in step.step.inputs.items():
        value = state.steps[source].values.get(name, {})
        preview = str(value.get("preview", "not handed on"))[:400]
        lines.append(f"variable `{name}` from step {source}: {preview}")
    for dep in step.step.deps:
        report = state.steps[dep].report
        if report is not None:
            lines.append(f"step {dep} found: {report.result[:600]}")
        others = [n for n in state.steps[dep].values if n not in step.step.inputs]
        lines += [f"variable `{n}` from step {dep}" for n in others]
        if state.steps[dep].workspace is not None:
            lines.append(f"the files of step {dep} are in the working folder")
    lines += [f"file {a.name} ({a.bytes:,} bytes)" for a in state.attachments]
    return lines


def _earlier(step: StepState, attempt: Attempt) -> str:
    past = [a for a in step.attempts if a.number < attempt.number]
    lines = [f"Attempt {a.number} ended as {a.outcome}: {a.reason}" for a in past]
    lines += [f"It tried: {'; '.join(a.report.tried)}" for a in past if a.report and a.report.tried]
    return "\n".join(lines)


def read_executor(text: str, finish_reason: str, attempt: Attempt) -> Acted | Reported | Unusable:
    """What an executor's turn asks for. Truncated code is never run."""
    turn = read_turn(text, finish_reason)
    if turn.truncated:
        again = attempt.truncated > 0 and not attempt.doubled
        return Unusable(
            "truncated",
            "Your turn was cut off and was not carried out. Write a shorter action.",
            double_max_tokens=again,
        )
    if turn.code is not None:
        note = "the report beside the code was ignored" if turn.report is not None else ""
        return Acted(turn.code, note)
    if turn.report is None:
        return Unusable(
            "silent",
            "Your turn held neither a fenced `python` block nor a fenced `report` block. "
            "Write one of them.",
        )
    try:
        parsed = parse(turn.report, Report)
    except StructuredError as error:
        return Unusable("bad_report", f"The report could not be read: {error.message}")
    if "truncated" in parsed.flags:
        return Unusable("truncated", "The report was cut off. Write it shorter.")
    return Reported(_bounded(parsed.value))


def _bounded(report: Report) -> Report:
    """The report within its limits: long texts are cut, long lists shortened."""
    evidence = [
        e.model_copy(update={"quote": e.quote[:MAX_QUOTE_CHARS]}) for e in report.evidence[:20]
    ]
    return report.model_copy(
        update={
            "result": report.result[:MAX_RESULT_CHARS],
            "values": report.values[:20],
            "evidence": evidence,
            "artifacts": [name[:200] for name in report.artifacts[:20]],
            "tried": [line[:200] for line in report.tried[:10]],
            "next_hint": report.next_hint[:500],
        }
    )
