"""What an answer must hold to go on to the check, and an answer made without a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from planner_app.domain.citations import cited_ids, unknown_ids, without_code
from planner_app.domain.plan import Answer, Claim, Report
from planner_app.domain.sizes import cut, json_bytes
from planner_app.domain.state import RunState

ANSWER_BYTES = 15_000
"""Of an answer within an event; the blob `answer` is whole."""
ANSWER_TEXT_BYTES = 8_000
"""Of its text, as a JSON string."""
REPORT_BYTES = 14_500
"""Of a report with its variables within an event."""
PREVIEW_BYTES = (400, 200, 100)
"""Of each variable's preview, in a report that is too long."""
CLAIM_BYTES = 400
"""Of a claim, and of its quote, in an answer that is too long."""


def answer_problems(state: RunState) -> list[str]:
    """Why the newest draft does not hold; empty when it does.

    Each claim needs a source id, each id must exist, in the text too, a quote must stand in its
    source, and an answer that rests on finished steps has at least one claim.
    """
    answer = state.answer
    if answer is None:
        return ["there is no answer"]
    problems = []
    if not answer.text.strip():
        problems.append("the answer's text is empty")
    known = state.sources
    for claim in answer.claims:
        short = claim.text[:120]
        if not claim.source_ids:
            problems.append(f"claim {short!r} has no source id")
        unknown = [n for n in claim.source_ids if n not in known]
        if unknown:
            problems.append(f"claim {short!r} cites {marks(unknown)}, which does not exist")
    if unknown := unknown_ids(answer.text, known):
        problems.append(f"the text cites {marks(unknown)}, which does not exist")
    for checked in state.claim_checks:
        index = int(checked["claim"])
        if not checked["found"] and index < len(answer.claims):
            short = cut(answer.claims[index].text, 120)
            why = checked.get("reason") or "it does not stand in its source"
            problems.append(f"the quote of claim {short!r}: {why}")
    if not answer.claims and known and any(s.status == "done" for s in state.steps.values()):
        problems.append("the answer has no claims; list each statement with its source ids")
    return problems


def marks(numbers: Iterable[int]) -> str:
    """Source numbers as an answer shows them."""
    return ", ".join(f"[{n}]" for n in numbers)


_BLOCK_MARKS = ("```", "~~~", "|")
"""What a line begins with behind which nothing may stand: a fence, a row of a table."""


def with_marks(answer: Answer, known: Collection[int]) -> Answer:
    """The answer with `[n]` in its text where only its claims name their (known) sources.

    Behind the claim where the text says it, else at the text's end; never inside code, a word or
    a number.
    """
    text = answer.text
    for claim in answer.claims:
        missing = [n for n in claim.source_ids if n in known and n not in cited_ids(text)]
        if not missing:
            continue
        said = re.escape(claim.text.strip().rstrip("."))
        found = re.search(rf"(?<!\w){said}(?!\w|[.,]\d)", without_code(text)) if said else None
        place = found.end() if found else len(text.rstrip())
        last_line = text[:place].rpartition("\n")[2].lstrip()
        gap = "\n\n" if not found and last_line.startswith(_BLOCK_MARKS) else " "
        text = f"{text[:place]}{gap}{''.join(f'[{n}]' for n in missing)}{text[place:]}"
    return answer.model_copy(update={"text": text})


def composed_answer(state: RunState) -> Answer | None:
    """The finished steps' results one after another; None: no step is finished."""
    done = [s for s in state.steps.values() if s.status == "done" and s.report is not None]
    if not done:
        return None
    lines, claims = [], []
    share = max(200, ANSWER_TEXT_BYTES // len(done) - 40)
    for step in done:
        report = step.report
        if report is None:
            continue
        cited = list(dict.fromkeys(e.source_id for e in report.evidence))
        cited = cited or ([step.source_id] if step.source_id is not None else [])
        shown = "".join(f" [{n}]" for n in cited)
        lines.append(f"{cut(report.result or step.step.objective, share)}{shown}")
        claims.append(Claim(text=report.result[:300], source_ids=cited))
    points = [
        f"{s.step.id}: {cut(s.step.objective, 200)} ({s.status})"
        for s in state.steps.values()
        if s.status != "done"
    ]
    return fitted(
        Answer(
            text="\n\n".join(lines),
            claims=[claim for claim in claims if claim.source_ids],
            artifacts=[name for s in done if s.report for name in s.report.artifacts],
            confidence="low",
            open_points=points[:20],
        )
    )


def fitted(answer: Answer) -> Answer:
    """The answer as its event can hold it: one that is too long is cut, the ends of lists first."""
    short = answer.model_copy(update={"text": cut(answer.text, ANSWER_TEXT_BYTES)})
    if json_bytes(short.model_dump(mode="json")) <= ANSWER_BYTES:
        return short
    if json_bytes(answer.data) > ANSWER_BYTES - ANSWER_TEXT_BYTES:
        short = short.model_copy(update={"data": None})
    claims = [
        claim.model_copy(
            update={
                "text": cut(claim.text, CLAIM_BYTES),
                "quote": cut(claim.quote, CLAIM_BYTES),
                "source_ids": claim.source_ids[:12],
            }
        )
        for claim in answer.claims
    ]
    short = short.model_copy(update={"claims": claims})
    for name in ("open_points", "artifacts", "claims"):
        kept = list(getattr(short, name))
        while kept and json_bytes(short.model_dump(mode="json")) > ANSWER_BYTES:
            kept = kept[: len(kept) * 3 // 4]
            short = short.model_copy(update={name: kept})
    return short


def fitted_report(
    report: Report, values: dict[str, dict[str, Any]]
) -> tuple[Report, dict[str, dict[str, Any]]]:
    """A report and what it hands on, as one event can hold them in any script.

    Previews are cut first, then the ends of lists; no variable is left out.
    """

    def size() -> int:
        return json_bytes([report.model_dump(mode="json"), values])

    for most in PREVIEW_BYTES:
        if size() <= REPORT_BYTES:
            break
        values = {
            name: value | {"preview": cut(str(value.get("preview", "")), most)}
            for name, value in values.items()
        }
    for name in ("artifacts", "tried", "evidence"):
        kept = list(getattr(report, name))
        while kept and size() > REPORT_BYTES:
            kept = kept[: len(kept) * 3 // 4]
            report = report.model_copy(update={name: kept})
    return report, values
