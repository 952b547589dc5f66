"""Decides whether a reply gets one further call, and which of the two replies stands.

Two policies, each behind a setting: thoughts that changed their approach too often are asked to
commit to one, and a plan, report or answer in another language than the task's is translated.
What follows from the first reply is recorded before the call and stands unless the call brings
something better, so a crash, a failure or an empty budget loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from planner_app.agents.bettering import Written, commit_turn, prose, translate_turn, translated
from planner_app.agents.turn import Surroundings, Turn
from planner_app.domain.catalogue import (
    BETTERS,
    PlanProposed,
    Purpose,
    ReplyDoubted,
    ReplySettled,
    StepReported,
)
from planner_app.domain.events import MAX_DATA_BYTES, EventDraft
from planner_app.domain.move_types import CallModel, where
from planner_app.domain.plan import MAX_RESULT_CHARS, Answer, Plan, Report, plan_problems
from planner_app.domain.sizes import brief, json_bytes
from planner_app.domain.state import Doubt
from planner_app.engine.outcomes import Outcomes
from planner_app.engine.run_log import RunLog
from planner_app.models.language import ENFORCED_SHARE, language_share, target_language
from planner_app.models.port import ModelReply
from planner_app.settings import ThinkingSettings

_WORTH_COMMITTING = frozenset(
    {"plan.proposed", "review.decided", "turn.taken", "answer.drafted", "answer.checked"}
)
"""A report is not among them: its approach is over."""
_WRITTEN: dict[str, tuple[type[Plan] | type[Report] | type[Answer], str]] = {
    "plan.proposed": (Plan, "plan"),
    "step.reported": (Report, "report"),
    "answer.drafted": (Answer, "answer"),
}


class FurtherCalls:
    """Reads every reply of a run; of most it only says what follows from them."""

    def __init__(
        self, log: RunLog, outcomes: Outcomes, around: Surroundings, wanted: ThinkingSettings
    ) -> None:
        self._log = log
        self._outcomes = outcomes
        self._around = around
        self._wanted = wanted
        self._target = target_language(around.task)

    def doubt(self, move: CallModel) -> Doubt | None:
        """What a further call is about; None: it is over, or the move is no such call."""
        if move.purpose not in BETTERS:
            return None
        state = self._log.state
        if move.step_id is None or move.attempt is None:
            doubt = state.doubt
        else:
            doubt = state.steps[move.step_id].attempts[move.attempt - 1].doubt
        return doubt if doubt is not None and doubt.kind == move.purpose else None

    def turn(self, move: CallModel, doubt: Doubt) -> Turn:
        """What the further call says."""
        if doubt.kind == "commit":
            return commit_turn(doubt.conversation)
        standing = self._standing(move, doubt.purpose)
        return translate_turn(move.conversation, standing or Answer(text=""), self._around)

    async def read(
        self, move: CallModel, reply: ModelReply, text_sha: str, thinking: dict[str, Any]
    ) -> list[EventDraft]:
        """The facts that follow from a reply, and whether one further call may better it."""
        if move.purpose in BETTERS:
            doubt = self.doubt(move)
            return [] if doubt is None else await self._bettered(move, doubt, reply, text_sha)
        purpose = move.purpose
        if purpose == "correct" and self._log.state.correction is not None:
            purpose = self._log.state.correction.purpose
        facts = await self._outcomes.read(move, reply, text_sha)
        return [*facts, *self._doubts(move, purpose, facts, thinking)]

    async def unusable(self, move: CallModel, why: str) -> list[EventDraft]:
        """The facts that follow where a reply had to be cut off."""
        return await self._outcomes.unusable(move, why)

    def kept(self, move: CallModel, why: str) -> list[EventDraft]:
        """The facts that a further call brought nothing better: the first reply stands."""
        doubt = self.doubt(move)
        if doubt is None:
            return []
        settled = ReplySettled(kind=doubt.kind, taken=False, reason=brief(why))
        standing = self._standing(move, doubt.purpose) if doubt.kind == "commit" else None
        return [_placed(settled.draft(), move), *self._foreign(move, doubt.purpose, standing)]

    async def _bettered(
        self, move: CallModel, doubt: Doubt, reply: ModelReply, text_sha: str
    ) -> list[EventDraft]:
        """The second reply in place of the first, or the first one as it stands."""
        settled = _placed(ReplySettled(kind=doubt.kind, taken=True).draft(), move)
        if doubt.kind == "commit":
            again = replace(move, purpose=doubt.purpose)
            facts = await self._outcomes.read(again, reply, text_sha)
            if any(fact.type.endswith(".refused") for fact in facts):
                return self.kept(move, "the second reply could not be used")
            return [settled, *facts, *self._foreign(move, doubt.purpose, _written(facts))]
        standing = self._standing(move, doubt.purpose)
        if standing is None:
            return self.kept(move, "there is nothing to translate")
        better, why = translated(standing, "" if reply.unclosed_reasoning else reply.text)
        said, why = (None, why) if better is None else await self._restated(move, better)
        return self.kept(move, why) if said is None else [settled, *said]

    # --- whether -------------------------------------------------------------------------------

    def _doubts(
        self,
        move: CallModel,
        purpose: Purpose,
        facts: Sequence[EventDraft],
        thinking: dict[str, Any],
    ) -> list[EventDraft]:
        """At most one doubt about a reply: first its approach, then its language."""
        wanders = self._wanted.retry_underthinking and thinking.get("underthinking")
        usable = any(fact.type in _WORTH_COMMITTING for fact in facts)
        if wanders and usable and move.purpose != "correct":
            why = (
                f"{thinking['switches']} changes of approach, {thinking['per_1k']} per 1,000 "
                f"tokens, {thinking['mean_tokens']:.0f} tokens each on average"
            )
            return [_doubted(move, "commit", purpose, why)]
        return self._foreign(move, purpose, _written(facts))

    def _foreign(
        self, move: CallModel, purpose: Purpose, written: Written | None
    ) -> list[EventDraft]:
        """The doubt about what is not in the language of the task; empty: it is, or too short."""
        if not self._wanted.retry_language or self._target is None or written is None:
            return []
        share = language_share("\n".join(prose(written)), self._target, self._around.task)
        if share is None or share >= ENFORCED_SHARE:
            return []
        why = f"{share:.0%} of its words are in the script of the task"
        return [_doubted(move, "translate", purpose, why)]

    # --- what stands ---------------------------------------------------------------------------

    def _standing(self, move: CallModel, purpose: Purpose) -> Written | None:
        """The plan, report or answer that is recorded and in doubt."""
        state = self._log.state
        if purpose in {"plan", "replan"}:
            return state.proposed
        if purpose == "act" and move.step_id is not None and move.attempt is not None:
            attempt = state.steps[move.step_id].attempts[move.attempt - 1]
            return attempt.report if attempt.next == "reported" else None
        if purpose == "answer" and state.answer_sha is not None:
            return Answer.model_validate_json(self._log.read(state.answer_sha))
        return None

    async def _restated(
        self, move: CallModel, better: Written
    ) -> tuple[list[EventDraft] | None, str]:
        """The facts that put a translation in the original's place, or why they cannot."""
        state = self._log.state
        if isinstance(better, Plan):
            done = frozenset(key for key, step in state.steps.items() if step.status == "done")
            if problems := plan_problems(better, done, frozenset(state.steps)):
                return None, f"the translation is no valid plan: {problems[0]}"
            revised = PlanProposed(plan=better, revision=state.revision + 1)
            return [_placed(revised.draft(), move)], ""
        if isinstance(better, Answer):
            return [_placed(fact, move) for fact in await self._outcomes.drafted(better)], ""
        again = self._reported_again(move, better)
        if again is None:
            return None, "the translation is too long for a report"
        return [_placed(again, move)], ""

    def _reported_again(self, move: CallModel, report: Report) -> EventDraft | None:
        """The same report in other words: what its attempt left stays with it. None: too long."""
        if len(report.result) > MAX_RESULT_CHARS:
            return None
        step = self._log.state.steps[move.step_id or ""]
        shas = {f"value:{name}": value.get("sha") for name, value in step.values.items()}
        blobs = {name: sha for name, sha in shas.items() if sha is not None}
        if step.workspace is not None:
            blobs["workspace"] = step.workspace
        values = {
            name: {key: what for key, what in value.items() if key != "sha"}
            for name, value in step.values.items()
        }
        again = StepReported(report=report, values=values, source_id=step.source_id)
        fits = json_bytes(again.model_dump(mode="json")) <= MAX_DATA_BYTES
        return again.draft(blobs=blobs) if fits else None


def _written(facts: Sequence[EventDraft]) -> Written | None:
    """The plan, report or answer that a reply brought about."""
    for fact in facts:
        if fact.type in _WRITTEN:
            kind, name = _WRITTEN[fact.type]
            return kind.model_validate(fact.data[name])
    return None


def _doubted(move: CallModel, kind: Any, purpose: Purpose, why: str) -> EventDraft:
    doubted = ReplyDoubted(
        kind=kind,
        role=move.role,
        purpose=purpose,
        conversation=move.conversation,
        turn=move.turn,
        reason=why,
    )
    return _placed(doubted.draft(), move)


def _placed(draft: EventDraft, move: CallModel) -> EventDraft:
    """The fact as one of the move."""
    return draft.model_copy(update={**where(move)})
