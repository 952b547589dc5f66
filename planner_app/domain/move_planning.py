"""What follows while a plan is made, and while the planner reviews reports."""

from __future__ import annotations

from datetime import datetime

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
from planner_app.domain.move_changes import ask, replanned, to_answer
from planner_app.domain.move_steps import MAX_ATTEMPTS, step_moves
from planner_app.domain.move_types import Move, Record, planner_call
from planner_app.domain.plan import Answer, Plan, Question, Review, Step
from planner_app.domain.state import RunState

MAX_PLAN_TRIES = 3
MAX_REVIEW_QUESTIONS = 2
MAX_CORRECTIONS = 2


def planning(state: RunState, now: datetime) -> list[Move]:
    """A plan is asked for, judged, approved and taken up; running steps finish meanwhile."""
    if state.mode == "solo" and state.revision == 0 and state.proposed is None:
        return [Record(tuple(_accepted(state, solo_plan(state))))]
    if any(q.kind in {"clarify", "plan"} for q in state.questions.values()):
        return step_moves(state, now, starting=False)
    if state.proposed is not None:
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
        number = state.answer_number + 1
        answer = Answer(text=plan.answer, confidence="high")
        return [
            AnswerDrafted(answer=answer, number=number).draft(actor="planner"),
            RunPhase(phase="checking").draft(),
        ]
    if not plan.steps:
        problems = ["the questions were asked already; write the plan now"]
        return [PlanRefused(problems=problems, number=state.plan_tries + 1).draft()]
    if state.approve == "plan" and not state.approved_plan:
        question = Question(text=f"May this plan of {len(plan.steps)} steps run?")
        return [ask(state, "plan", [question], now)]
    return _accepted(state, plan)


def _accepted(state: RunState, plan: Plan) -> list[EventDraft]:
    """The plan is taken up and what the old one left is dropped."""
    left = [s for s in state.live_steps() if s.status != "done"]
    drafts: list[EventDraft] = []
    for step in left:
        if step.status == "running":
            drafts.append(
                AttemptFinished(outcome="cancelled", reason="a new plan dropped the step").draft(
                    step_id=step.step.id, attempt=len(step.attempts)
                )
            )
    skipped = [step.step.id for step in left]
    by_user = state.approved_plan and state.approve == "plan"
    drafts.append(
        PlanAccepted(
            plan=plan.model_copy(update={"questions": []}),
            revision=state.revision + 1,
            by="user" if by_user else "planner",
            skipped=skipped,
        ).draft()
    )
    if state.stalls:
        drafts.append(StallCounted(stalls=0, reason="a new plan").draft())
    return [*drafts, RunPhase(phase="executing").draft()]


def reviewing(state: RunState, now: datetime) -> list[Move]:
    """The planner reads the reports and decides; running steps finish meanwhile."""
    if state.review is not None:
        return [Record(tuple(_decided(state, state.review, now)))]
    running = step_moves(state, now, starting=False)
    if any(isinstance(move, Record) for move in running):
        return running
    if any(q.kind == "review" for q in state.questions.values()):
        return running
    if state.correction is not None and state.correction.number > MAX_CORRECTIONS:
        review = Review(decision="continue", root_cause="the review could not be read")
        return [Record((ReviewDecided(review=review).draft(),))]
    return planner_call(state, "review") + running


def _decided(state: RunState, review: Review, now: datetime) -> list[EventDraft]:
    drafts: list[EventDraft] = []
    if review.fact_updates:
        verified = (state.facts.verified + review.fact_updates)[-60:]
        facts = state.facts.model_copy(update={"verified": verified})
        drafts.append(FactsUpdated(facts=facts).draft())
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
    for step in state.live_steps():
        if step.status in {"failed", "blocked"} and len(step.attempts) < MAX_ATTEMPTS:
            drafts.append(
                StepChanged(status="pending", reason="tried again").draft(step_id=step.step.id)
            )
    return [*drafts, RunPhase(phase="executing").draft()]
