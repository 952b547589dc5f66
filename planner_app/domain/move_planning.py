"""What follows while a plan is made, and while the planner reviews reports."""

from __future__ import annotations

from datetime import datetime

from planner_app.domain.answers import fitted
from planner_app.domain.catalogue import (
    AnswerDrafted,
    AttemptFinished,
    FactsUpdated,
    PlanAccepted,
    PlanRefused,
    ReviewDecided,
    RunPhase,
    StallCounted,
    StepChanged,
)
from planner_app.domain.events import EventDraft
from planner_app.domain.move_changes import ask, replanned, stopped, to_answer
from planner_app.domain.move_steps import MAX_ATTEMPTS, step_moves
from planner_app.domain.move_types import Move, Record, correction_of, planner_call
from planner_app.domain.plan import Answer, Facts, Plan, Question, Review, Step
from planner_app.domain.sizes import json_bytes
from planner_app.domain.state import RunState

MAX_PLAN_TRIES = 3
MAX_REVIEW_QUESTIONS = 2
MAX_CORRECTIONS = 2
MAX_VERIFIED = 60
"""Findings in the ledger."""
LEDGER_BYTES = 15_000


def planning(state: RunState, now: datetime) -> list[Move]:
    """A plan is asked for, judged, approved and taken up; running steps finish meanwhile."""
    if state.mode == "solo" and state.revision == 0 and state.proposed is None:
        return [Record(tuple(_accepted(state, solo_plan(state))))]
    if any(q.kind in {"clarify", "plan"} for q in state.questions.values()):
        return step_moves(state, now, starting=False)
    if state.proposed is not None and state.doubt is None:
        return [Record(tuple(_judged(state, state.proposed, now)))]
    if state.plan_tries >= MAX_PLAN_TRIES:
        return [Record(tuple(to_answer(state, "no valid plan after three tries", needs_done=True)))]
    running = step_moves(state, now, starting=False)
    if any(isinstance(move, Record) for move in running):
        return running
    return planner_call(state, "replan" if state.replans else "plan") + running


def solo_plan(state: RunState) -> Plan:
    """The one step of solo mode: the task itself."""
    limit = state.budget.actions
    actions = 50 if limit is None else max(1, min(50, limit))
    return Plan(steps=[Step(id="solo", objective=state.text, max_actions=actions, kind="write")])


def _judged(state: RunState, plan: Plan, now: datetime) -> list[EventDraft]:
    """What becomes of a plan that is valid as such."""
    if plan.questions and not state.asked_clarify and state.revision == 0:
        return [ask(state, "clarify", plan.questions, now)]
    if not plan.steps and plan.answer:
        dropped = stopped(state, "the planner answered at once")
        if state.has_schema:
            return [*dropped, RunPhase(phase="answering").draft()]
        number = state.answer_number + 1
        answer = fitted(Answer(text=plan.answer, confidence="high"))
        return [
            *dropped,
            AnswerDrafted(answer=answer, number=number).draft(actor="planner"),
            RunPhase(phase="checking").draft(),
        ]
    if not plan.steps:
        problems = ["the questions were asked already; write the plan now"]
        return [PlanRefused(problems=problems, number=state.plan_tries + 1).draft()]
    if state.approve == "plan" and not state.approved_plan:
        count = "one step" if len(plan.steps) == 1 else f"{len(plan.steps)} steps"
        question = Question(text=f"May this plan of {count} run?")
        return [ask(state, "plan", [question], now)]
    return _accepted(state, plan)


def _accepted(state: RunState, plan: Plan) -> list[EventDraft]:
    """The plan is taken up and what the old one left is dropped."""
    left = [s for s in state.live_steps() if s.status != "done"]
    ended = AttemptFinished(outcome="cancelled", reason="a new plan dropped the step")
    drafts = [
        ended.draft(step_id=step.step.id, attempt=len(step.attempts))
        for step in left
        if step.status == "running"
    ]
    skipped = [step.step.id for step in left]
    drafts.append(
        PlanAccepted(
            plan=plan.model_copy(update={"questions": []}),
            revision=state.revision + 1,
            by="user" if state.edited_plan else "planner",
            skipped=skipped,
        ).draft()
    )
    if state.stalls:
        drafts.append(StallCounted(stalls=0, reason="a new plan").draft())
    return [*drafts, RunPhase(phase="executing").draft()]


def reviewing(state: RunState, now: datetime) -> list[Move]:
    """The planner reads the reports and decides; running steps finish meanwhile."""
    if state.review is not None and state.doubt is None:
        return [Record(tuple(_decided(state, state.review, now)))]
    running = step_moves(state, now, starting=False)
    if any(isinstance(move, Record) for move in running):
        return running
    if any(q.kind == "review" for q in state.questions.values()):
        return running
    wanted = correction_of(state, "review")
    if wanted is not None and wanted.number > MAX_CORRECTIONS:
        review = Review(decision="continue", root_cause="the review could not be read")
        return [Record((ReviewDecided(review=review).draft(),))]
    return planner_call(state, "review") + running


def _ledger(facts: Facts, review: Review) -> Facts:
    """The ledger with what the review found; the oldest findings make room."""
    verified = (facts.verified + review.fact_updates)[-MAX_VERIFIED:]
    while True:
        ledger = facts.model_copy(update={"verified": verified})
        if not verified or json_bytes(ledger.model_dump(mode="json")) <= LEDGER_BYTES:
            return ledger
        verified = verified[1:]


def _decided(state: RunState, review: Review, now: datetime) -> list[EventDraft]:
    drafts: list[EventDraft] = []
    if review.fact_updates:
        drafts.append(FactsUpdated(facts=_ledger(state.facts, review)).draft())
    if review.decision == "replan":
        return drafts + replanned(
            state, review.root_cause or "the review asked for it", fresh=False
        )
    if review.decision == "answer":
        unfinished = any(s.status != "done" for s in state.live_steps())
        return drafts + to_answer(
            state,
            "the planner answered before every step was done" if unfinished else "",
            needs_done=False,
        )
    asks = review.decision == "ask_user" and state.reviews_asked <= MAX_REVIEW_QUESTIONS
    if asks and review.questions:
        return [*drafts, ask(state, "review", review.questions, now)]
    again = StepChanged(status="pending", reason="tried again")
    drafts += [
        again.draft(step_id=step.step.id)
        for step in state.live_steps()
        if step.status in {"failed", "blocked"} and len(step.attempts) < MAX_ATTEMPTS
    ]
    return [*drafts, RunPhase(phase="executing").draft()]
