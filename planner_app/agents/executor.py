"""The executor: what it is told of its step and after each action, and how its turns are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from planner_app.domain.citations import cut_quote
from planner_app.domain.fences import MARK, fence_untrusted, unfenced
from planner_app.domain.plan import MAX_QUOTE_CHARS, MAX_RESULT_CHARS, Report
from planner_app.domain.sizes import cut, json_bytes
from planner_app.domain.state import Attempt, RunState, StepState
from planner_app.models.fences import read_turn
from planner_app.models.port import Message
from planner_app.models.structured import StructuredError, parse

MAX_NAMES = 20
"""Of values, and of artifacts, that a report may name."""
EVIDENCE_BYTES = 4_000
"""Of all quotes of a report; they are shared evenly where it is too little."""
RESULT_BYTES = 6_200
KEPT_MESSAGES = 7
"""The last four turns, which stay word for word when a conversation is made shorter: four replies
and what three of them brought. What the fourth brought is the new message."""
SUMMARY_LINES = 40
SUMMARY_CHARS = 300
"""Of each turn and each observation."""
SUMMARY = "earlier turns of this step in short"


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
    note: str = ""
    """What of it is left out."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A turn that cannot be carried out, and what the model is told."""

    kind: str
    """truncated, silent or bad_report."""
    message: str
    double_max_tokens: bool = False


def executor_turn(
    state: RunState,
    step: StepState,
    attempt: Attempt,
    around: Surroundings,
    *,
    examples: bool,
    before: Sequence[Message] = (),
) -> Turn:
    """The executor's next message: its step at first, later what its last turn brought.

    `before` is the conversation so far where it has grown too long: it starts anew with the step,
    a summary with the sources, what the person said, and the last turns.
    """
    conversation = f"executor/{step.step.id}/{attempt.number}"
    told = [note_text(note, around.read) for note in attempt.outbox]
    if state.conversations.get(conversation) and not before:
        text = "\n\n".join(told) or "Go on: act, or report."
        return Turn(conversation, (Message(role="user", content=text),), restart=False)
    system = prompt("executor", tools=around.tools(tuple(step.step.tools)))
    if examples:
        system = f"{system}\n\n{prompt('executor_example')}"
    first = Message(role="system", content=system)
    start = opening(state, step, attempt, around)
    if not before:
        text = "\n\n".join([start, *told])
        begun = (first, Message(role="user", content=text))
        return Turn(conversation, begun, restart=True, examples=examples)
    last = list(before[2:][-KEPT_MESSAGES:])
    if last and last[0].role == "user":
        last = last[1:]
    start = f"{start}\n\n{_summary(before[1 : len(before) - len(last)])}\n\n{source_list(state)}"
    heard = [note_text(n, around.read) for n in attempt.said if n not in attempt.outbox]
    start = "\n\n".join([start, *heard])
    text = "\n\n".join(told) or "Go on: act, or report."
    anew = (first, Message(role="user", content=start), *last, Message(role="user", content=text))
    return Turn(conversation, anew, restart=True, examples=examples)


def _summary(before: Sequence[Message]) -> str:
    """The first words of each turn and each observation, after those of an earlier summary."""
    lines = unfenced(before[0].content, SUMMARY).splitlines()
    for message in before[1:]:
        head = " ".join(MARK.sub(" ", message.content).split())[:SUMMARY_CHARS]
        lines.append(f"- {'you' if message.role == 'assistant' else 'result'}: {head}")
    return fence_untrusted("\n".join(lines[-SUMMARY_LINES:]), SUMMARY)


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
        inputs=section("Already there", _data(_inputs(state, step), "earlier steps and files")),
        earlier=section("An earlier attempt", _data(_earlier(step, attempt), "earlier attempts")),
        final=final,
    )


def _data(lines: list[str], label: str) -> str:
    """Lines that may hold anything that a page or a file said."""
    return fence_untrusted(bullets(lines), label) if lines else ""


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
        others = {n: v for n, v in state.steps[dep].values.items() if n not in step.step.inputs}
        missing = {n: v for n, v in others.items() if v.get("sha") is None}
        lines += [f"variable `{n}` from step {dep}" for n in others if n not in missing]
        lines += [f"no variable `{n}`: {v['preview']}"[:400] for n, v in missing.items()]
        if state.steps[dep].workspace is not None:
            lines.append(f"the files of step {dep} are in the working folder")
    lines += [f"file {line}" for line in file_lines(state)]
    return lines


def _earlier(step: StepState, attempt: Attempt) -> list[str]:
    past = [a for a in step.attempts if a.number < attempt.number]
    lines = [f"Attempt {a.number} ended as {a.outcome}: {a.reason}" for a in past]
    lines += [f"It tried: {'; '.join(a.report.tried)}" for a in past if a.report and a.report.tried]
    return lines


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
    report = parsed.value
    lists = {"values": report.values, "artifacts": report.artifacts}
    over = [
        f"of {len(names)} {what} the first {MAX_NAMES} count"
        for what, names in lists.items()
        if len(names) > MAX_NAMES
    ]
    return Reported(_bounded(report), "; ".join(over))


def _bounded(report: Report) -> Report:
    """The report within its limits: long texts are cut, long lists shortened.

    By bytes as well, since its events must hold it in any script.
    """
    quotes = [cut_quote(e.quote, MAX_QUOTE_CHARS) for e in report.evidence[:20]]
    share = EVIDENCE_BYTES // max(1, len(quotes))
    if sum(map(json_bytes, quotes)) > EVIDENCE_BYTES:
        quotes = [cut_quote(quote, len(cut(quote, share))) for quote in quotes]
    evidence = [
        e.model_copy(update={"quote": quote})
        for e, quote in zip(report.evidence, quotes, strict=False)
    ]
    return report.model_copy(
        update={
            "result": cut(report.result[:MAX_RESULT_CHARS], RESULT_BYTES),
            "values": [cut(name, 100) for name in report.values[:MAX_NAMES]],
            "evidence": evidence,
            "artifacts": [cut(name, 120) for name in report.artifacts[:MAX_NAMES]],
            "tried": [cut(line, 120) for line in report.tried[:10]],
            "next_hint": cut(report.next_hint, 600),
        }
    )
