"""What a model's reply brings about: a plan, code to run, a report with its evidence, an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from planner_app.agents.checker import read_reply
from planner_app.agents.executor import Acted, Reported, read_executor
from planner_app.agents.planner import read_plan
from planner_app.agents.turn import Surroundings
from planner_app.broker.port import NewSource
from planner_app.broker.session_tools import in_workspace
from planner_app.domain.answers import fitted, fitted_report, marks, with_marks
from planner_app.domain.catalogue import (
    AnswerChecked,
    AnswerDrafted,
    ClaimsChecked,
    EvidenceChecked,
    NoteAdded,
    PlanProposed,
    PlanRefused,
    ReplyRefused,
    ReviewDecided,
    StepReported,
    TurnRefused,
    TurnTaken,
)
from planner_app.domain.citations import MAX_QUOTE, find_quote, is_too_short
from planner_app.domain.errors import HistoryError, PlannerError
from planner_app.domain.events import EventDraft
from planner_app.domain.move_types import CallModel, where
from planner_app.domain.plan import Answer, CheckVerdict, Claim, Evidence, Report, Review
from planner_app.domain.sizes import cut
from planner_app.domain.state import Attempt, RunState
from planner_app.engine.handover import (
    keep_artifacts,
    keep_values,
    keep_workspace,
    left_files,
)
from planner_app.engine.run_log import RunLog
from planner_app.engine.sessions import Sessions
from planner_app.engine.tool_calls import Lane, source_draft
from planner_app.models.data_schema import fit_data
from planner_app.models.port import ModelReply
from planner_app.sandbox.session import SessionClosed

NOWHERE = "it does not stand in its source"
MAX_ELSEWHERE_CHARS = 2_000_000
"""Of other sources' text in which a quote is looked for that does not stand where it should."""


@dataclass(frozen=True, slots=True)
class _Left:
    """What an attempt leaves, with its report."""

    facts: list[EventDraft]
    report: Report
    values: dict[str, Any] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)


class Outcomes:
    """Turns replies into facts."""

    def __init__(self, log: RunLog, sessions: Sessions, around: Surroundings) -> None:
        self._log = log
        self._sessions = sessions
        self._around = around

    async def read(self, move: CallModel, reply: ModelReply, text_sha: str) -> list[EventDraft]:
        """The facts that follow from a reply; `text_sha` is the blob with its text."""
        state = self._log.state
        if move.purpose == "act":
            drafts = await self._executor(move, reply)
        elif move.purpose in {"plan", "replan"}:
            drafts = self._plan(state, reply)
        else:
            drafts = await self._talk(move, state, reply, text_sha)
        placed = {**where(move), "actor": move.role}
        return [
            d if d.type in {"source.added", "artifact.saved"} else d.model_copy(update=placed)
            for d in drafts
        ]

    async def unusable(self, move: CallModel, why: str) -> list[EventDraft]:
        """The facts that follow where a reply of the planner or checker had to be cut off: as
        from one that cannot be read, and it is asked anew as often."""
        state = self._log.state
        if move.purpose in {"plan", "replan"}:
            facts = [PlanRefused(problems=[cut(why, 500)], number=state.plan_tries + 1).draft()]
        else:
            bad = await self._log.put_text(f"({why})")
            facts = [self._refused(move, state, [why], bad)]
        return [fact.model_copy(update={**where(move), "actor": move.role}) for fact in facts]

    # --- planner and checker -------------------------------------------------------------------

    def _refused(
        self, move: CallModel, state: RunState, problems: Sequence[str], bad: str
    ) -> EventDraft:
        """The fact that a text, of which `bad` is the blob, is to be put right."""
        purpose: Any = move.purpose
        if purpose == "correct" and state.correction is not None:
            purpose = state.correction.purpose
        number = (state.correction.number if state.correction else 0) + 1
        short = [cut(problem, 500) for problem in problems[:10]]
        return ReplyRefused(purpose=purpose, problems=short, number=number, bad=bad).draft()

    def _plan(self, state: RunState, reply: ModelReply) -> list[EventDraft]:
        plan, problems = read_plan(state, _whole(reply))
        if plan is not None:
            return [PlanProposed(plan=plan, revision=state.revision + 1).draft()]
        short = [cut(problem, 500) for problem in problems[:20]]
        return [PlanRefused(problems=short, number=state.plan_tries + 1).draft()]

    async def _talk(
        self, move: CallModel, state: RunState, reply: ModelReply, text_sha: str
    ) -> list[EventDraft]:
        """A review, an answer, a check, or a correction of one of them."""
        purpose: Any = move.purpose
        if purpose == "correct" and state.correction is not None:
            purpose = state.correction.purpose
        value, problems = read_reply(purpose, _whole(reply))
        if isinstance(value, Answer) and self._around.schema:
            schema = json.loads(self._around.schema)
            data, problems = await asyncio.to_thread(fit_data, value.data, schema)
            value = value.model_copy(update={"data": data})
        if problems or value is None:
            return [self._refused(move, state, problems, text_sha)]
        if isinstance(value, Review):
            return [ReviewDecided(review=_bounded_review(value)).draft()]
        if isinstance(value, CheckVerdict):
            verdict = CheckVerdict(
                ok=value.ok and not value.unsupported,  # each claim must be carried
                problems=[cut(p, 500) for p in value.problems[:12]],
                unsupported=[cut(c, 500) for c in value.unsupported[:12]],
            )
            return [AnswerChecked(verdict=verdict, number=state.answer_number).draft()]
        return await self.drafted(value)

    async def drafted(self, answer: Answer) -> list[EventDraft]:
        """The facts that an answer is there, and where its quotes stand."""
        answer = with_marks(answer, self._log.state.sources)
        whole = answer.model_dump_json().encode("utf-8", "replace")
        sha = (await self._log.put(whole))[0]
        number = self._log.state.answer_number + 1
        short = fitted(answer)
        facts = [AnswerDrafted(answer=short, number=number).draft(blobs={"answer": sha})]
        claims = answer.claims[: len(short.claims)]
        if checks := await asyncio.to_thread(self._claim_checks, claims):
            facts.append(ClaimsChecked(number=number, checks=checks).draft())
        return facts

    def _claim_checks(self, claims: list[Claim]) -> list[dict[str, Any]]:
        """Where each claim's quote stands, whole: in any of the sources that it cites."""
        checks = []
        for index, claim in enumerate(claims):
            if not claim.quote.strip() or not claim.source_ids:
                continue
            found = [
                self._check(Evidence(source_id=n, quote=claim.quote)) for n in claim.source_ids
            ]
            best = next((check for check in found if check["found"]), found[0])
            if best.get("reason") == NOWHERE:
                others = self._elsewhere(claim.quote, set(claim.source_ids))
                best["reason"] += f"; it stands in {marks(others)}" if others else ""
            checks.append({"claim": index} | {k: v for k, v in best.items() if k != "quote"})
        return checks

    # --- executor ------------------------------------------------------------------------------

    async def _executor(self, move: CallModel, reply: ModelReply) -> list[EventDraft]:
        state = self._log.state
        step = state.steps[move.step_id or ""]
        attempt = step.attempts[(move.attempt or 1) - 1]
        read = read_executor(reply.text, reply.finish_reason, attempt)
        if isinstance(read, Acted):
            code = await self._log.put_text(read.code)
            return [TurnTaken(turn=move.turn, note=read.note).draft(blobs={"code": code})]
        if isinstance(read, Reported):
            note = [NoteAdded(text=read.note).draft()] if read.note else []
            return [*note, *await self._report(move, attempt, read.report)]
        refused = TurnRefused(
            kind=read.kind,
            message=read.message[:1500],
            double_max_tokens=read.double_max_tokens,
        )
        return [refused.draft()]

    async def _report(self, move: CallModel, attempt: Attempt, report: Report) -> list[EventDraft]:
        checks = await asyncio.to_thread(lambda: [self._check(e) for e in report.evidence])
        bad = [check for check in checks if not check["found"]]
        checked = EvidenceChecked(checks=checks, unsupported=len(bad)).draft()
        if bad and not attempt.evidence_told and report.verdict == "done":
            # By place and not in their words: a quote is web text.
            lines = [
                f"piece {place} of `evidence`, source [{c['source_id']}]: {c['reason']}"
                for place, c in enumerate(checks, start=1)
                if not c["found"]
            ]
            message = "Evidence does not hold:\n" + "\n".join(lines) + "\nCorrect your report."
            return [checked, TurnRefused(kind="evidence", message=message[:1500]).draft()]
        kept = [p for p, c in zip(report.evidence, checks, strict=True) if c["found"]]
        report = report.model_copy(update={"evidence": kept, "step_id": move.step_id or ""})
        about = [checked] if checks else []
        if attempt.actions == 0:
            return [self._reported(report, {}, {}, None), *about]
        return [*await self._with_session(move, attempt, report), *about]

    def _check(self, piece: Evidence) -> dict[str, Any]:
        """Whether a quote stands in its source."""
        check: dict[str, Any] = {"source_id": piece.source_id, "quote": piece.quote, "found": False}
        if piece.source_id not in self._log.state.sources:
            return check | {"reason": "there is no such source"}
        if not piece.quote.strip():
            return check | {"found": True, "reason": "no quote to look up"}
        if is_too_short(piece.quote):
            return check | {"reason": "the quote is too short to show anything"}
        if len(piece.quote) > MAX_QUOTE:
            return check | {"reason": f"the quote has over {MAX_QUOTE:,} characters"}
        match = find_quote(self._around.source_text(piece.source_id), piece.quote)
        if match is None:
            return check | {"reason": NOWHERE}
        return check | {"found": True, "page": match.page, "offset": match.offset}

    def _elsewhere(self, quote: str, cited: set[int]) -> list[int]:
        """The first source in which a quote stands that the cited ones do not hold."""
        left = MAX_ELSEWHERE_CHARS
        for n in self._log.state.sources:
            if n not in cited and left > 0:
                text = self._around.source_text(n)
                left -= len(text)
                if find_quote(text[:MAX_ELSEWHERE_CHARS], quote) is not None:
                    return [n]
        return []

    async def _with_session(
        self, move: CallModel, attempt: Attempt, report: Report
    ) -> list[EventDraft]:
        """The report with what its attempt leaves: variables, files, artifacts, a source."""
        try:
            try:
                left = await self._left(move, attempt, report)
            except SessionClosed:  # it went while it was read: once more, from one brought back
                left = await self._left(move, attempt, report)
        except HistoryError:
            raise  # it may pass, and is no fault of the sandbox
        except PlannerError as error:
            lost = NoteAdded(text=f"the sandbox was lost at the report: {error}"[:500]).draft()
            left = _Left([lost], report)
        if report.verdict != "done":
            return [*left.facts, self._reported(left.report, left.values, left.blobs, None)]
        n, source = await self._computed(move, attempt, left.report, left.values)
        return [*left.facts, *source, self._reported(left.report, left.values, left.blobs, n)]

    async def _left(self, move: CallModel, attempt: Attempt, report: Report) -> _Left:
        """Keep what an attempt leaves. Raises SandboxError, EngineMissing."""
        key = move.step_id or ""
        session, _ = await self._sessions.get(key, attempt.number)
        values, blobs = await keep_values(self._log, session, report.values)
        named = [in_workspace(name) for name in report.artifacts]
        facts, failed = await keep_artifacts(self._log, session, named, key)
        named = [name for name in named if name not in failed]
        files = await session.list_files()
        notes = []
        if report.verdict == "done":
            more, rest = left_files(self._log, files, key, named)
            saved, unkept = await keep_artifacts(self._log, session, more, key)
            facts += saved
            failed |= unkept
            notes.append(rest)
        workspace, why = await keep_workspace(self._log, session, files, key)
        if workspace is not None:
            blobs["workspace"] = workspace
        if failed:
            notes.append(f"not kept as artifacts: {'; '.join(failed.values())}")
        facts += [NoteAdded(text=note[:500]).draft() for note in (*notes, why) if note]
        return _Left(facts, report.model_copy(update={"artifacts": named}), values, blobs)

    def _reported(
        self, report: Report, values: dict[str, Any], blobs: dict[str, str], n: int | None
    ) -> EventDraft:
        report, values = fitted_report(report, values)
        return StepReported(report=report, values=values, source_id=n).draft(blobs=blobs)

    async def _computed(
        self, move: CallModel, attempt: Attempt, report: Report, values: dict[str, Any]
    ) -> tuple[int, list[EventDraft]]:
        """The source that stands for what the attempt's actions computed."""
        log, key = self._log, move.step_id or ""
        parts = [
            log.read(event.blobs[part])
            for event in await log.history.load_attempt(log.run_id, key, attempt.number)
            for part in ("code", "observation")
            if event.type in {"action.started", "action.finished"} and part in event.blobs
        ]
        parts += [f"{name} = {value['preview']}" for name, value in values.items()]
        parts.append(f"result: {report.result}")
        text = "\n\n".join(parts)
        source = NewSource(
            kind="action",
            title=f"computed in step {key}",
            url=None,
            content=text.encode("utf-8", "replace"),
            text=text,
            mime="text/plain",
            at=log.state.last_at,
            weak=False,
        )
        n, _ = log.number("action", f"action:{key}/{attempt.number}", "")
        return n, [await source_draft(log, n, source, Lane(key, attempt.number))]


def _whole(reply: ModelReply) -> str:
    """The text to read an object from; a reply that ended inside its reasoning has none."""
    return "" if reply.unclosed_reasoning else reply.text


def _bounded_review(review: Review) -> Review:
    return review.model_copy(
        update={
            "root_cause": cut(review.root_cause, 1500),
            "fact_updates": [
                f.model_copy(update={"fact": cut(f.fact, 400), "source_ids": f.source_ids[:10]})
                for f in review.fact_updates[:20]
            ],
            "questions": [
                q.model_copy(update={"text": cut(q.text, 600), "default": cut(q.default, 300)})
                for q in review.questions[:5]
            ],
        }
    )
