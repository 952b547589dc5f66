"""The checker and the corrections: the case it is given, and the chat about unreadable text."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from planner_app.agents.forms import form_in_words
from planner_app.agents.prompts import prompt
from planner_app.agents.turn import Surroundings, Turn, bullets, note_text, section
from planner_app.domain.citations import find_quote
from planner_app.domain.fences import fence_untrusted
from planner_app.domain.plan import Answer, CheckVerdict, Claim, Review
from planner_app.domain.state import Correction, RunState
from planner_app.models.port import Message
from planner_app.models.structured import StructuredError, parse

BAD_CHARS = 4_000
EXCERPT_CHARS = 600


def checker_turn(state: RunState, conversation: str, around: Surroundings) -> Turn:
    """A fresh chat with the question, the answer and what it cites; never the reasoning."""
    answer = state.answer or Answer(text="")
    done_when = list(state.plan.done_when) if state.plan else []
    if state.plan and state.plan.answer_format:
        done_when.append(f"the answer has the form: {state.plan.answer_format}")
    said = [note_text(note, around.read) for note in state.said]
    text = prompt(
        "checker_case",
        task=around.task,
        said=section("What the person said since", "\n\n".join(said)),
        done_when=bullets(done_when, "(nothing beyond the question)"),
        answer=fence_untrusted(_whole(answer), "the answer to check"),
        claims="\n\n".join(_cited(state, c, around) for c in answer.claims) or "(no claims)",
    )
    messages = (
        Message(role="system", content=prompt("checker")),
        Message(role="user", content=text),
    )
    return Turn(conversation, messages, restart=True)


def _whole(answer: Answer) -> str:
    parts = [answer.text]
    if answer.data is not None:
        parts.append(f"data: {answer.model_dump_json(include={'data'})[:4000]}")
    if answer.open_points:
        parts.append("Open points:\n" + bullets(answer.open_points))
    return "\n\n".join(parts)


def _cited(state: RunState, claim: Claim, around: Surroundings) -> str:
    lines = ["Claim:", fence_untrusted(claim.text, "the claim")]
    for n in claim.source_ids:
        source = state.sources.get(n)
        if source is None:
            lines.append(f"[{n}] does not exist")
            continue
        stored = around.source_text(n)
        found = find_quote(stored, claim.quote) if claim.quote else None
        if found is not None:
            label = f"source [{n}] ({source.kind}): a quote that stands there"
            passage = found.quote
        else:
            label = f"source [{n}] ({source.kind}): its beginning"
            passage = stored[:EXCERPT_CHARS]
        lines.append(fence_untrusted(f"{source.title}\n\n{passage}", label))
    lines += _evidence(state, claim)
    return "\n".join(lines)


def _evidence(state: RunState, claim: Claim) -> list[str]:
    """Passages that the reports quoted from the sources that the claim cites."""
    return [
        fence_untrusted(piece.quote, f"[{piece.source_id}], quoted in a report")
        for step in state.steps.values()
        if step.report is not None
        for piece in step.report.evidence
        if piece.source_id in claim.source_ids and piece.quote and piece.quote != claim.quote
    ][:5]


def correction_turn(correction: Correction, conversation: str, around: Surroundings) -> Turn:
    """A new short chat: the form, what is wrong, and the unreadable text cut to 4,000."""
    bad = around.read(correction.bad)[:BAD_CHARS]
    text = prompt(
        "correction",
        form=form_in_words(correction.purpose, around.schema),
        problems=bullets(list(correction.problems)),
        bad=fence_untrusted(bad, "the text to correct"),
    )
    return Turn(conversation, (Message(role="user", content=text),), restart=True)


def read_reply(
    purpose: Literal["review", "answer", "check"], text: str
) -> tuple[Review | Answer | CheckVerdict | None, list[str]]:
    """The object that a review, an answer or a check holds, or what is wrong with it."""
    schemas: dict[str, type[BaseModel]] = {
        "review": Review,
        "answer": Answer,
        "check": CheckVerdict,
    }
    try:
        parsed = parse(text, schemas[purpose])
    except StructuredError as error:
        return None, [f"{error.kind}: {error.message}", *error.problems]
    if "truncated" in parsed.flags:
        return None, ["the text was cut off before its end; write it shorter"]
    value = parsed.value
    if isinstance(value, Review | Answer | CheckVerdict):
        return value, []
    return None, ["not the expected form"]
