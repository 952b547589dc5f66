"""The ways in which a run turns: to a question, to a new plan, to its answer."""

from __future__ import annotations

from datetime import datetime, timedelta

from planner_app.domain.budget import Shortage, raised
from planner_app.domain.catalogue import (
    AskedQuestion,
    AttemptFinished,
    BudgetUsedUp,
    QuestionAsked,
    QuestionKind,
    ReplanDecided,
    RunFinished,
    RunPhase,
    StepChanged,
)
from planner_app.domain.events import EventDraft
from planner_app.domain.plan import Question
from planner_app.domain.sizes import brief, cut
from planner_app.domain.state import RunState

MAX_REPLANS = 3
MAX_QUESTIONS = 8
"""In one batch."""
QUESTIONS_BYTES = 12_000
"""For the texts and defaults of a batch, shared evenly."""


def ask(
    state: RunState,
    kind: QuestionKind,
    questions: list[Question],
    now: datetime,
    step_id: str | None = None,
    attempt: int | None = None,
    about: str = "",
) -> EventDraft:
    """A question to the person; what has a default has a deadline, other permissions have none."""
    deadline = None
    if kind in {"clarify", "review", "ask_user", "budget"} and state.answer_seconds is not None:
        deadline = (now + timedelta(seconds=state.answer_seconds)).isoformat()
    asked = questions[:MAX_QUESTIONS]
    share = QUESTIONS_BYTES // (5 * max(1, len(asked)))
    return QuestionAsked(
        question_id=f"q{state.questions_asked + 1}",
        kind=kind,
        questions=[
            AskedQuestion(text=cut(q.text, 4 * share), default=cut(q.default, share)) for q in asked
        ],
        deadline=deadline,
        about=about,
    ).draft(step_id=step_id, attempt=attempt)


def over_budget(state: RunState, short: Shortage, now: datetime) -> EventDraft:
    """A limit is reached: the person is asked for more where they can be, else it is used up."""
    asks = not (state.approve == "never" or state.no_input or state.headless)
    if asks and raised(state, short.which):
        question = Question(
            text=f"The budget is used up ({short.detail}). Go on with as much again?"
        )
        return ask(state, "budget", [question], now, about=short.which)
    return BudgetUsedUp(which=short.which, detail=short.detail).draft()


def replanned(state: RunState, reason: str, *, fresh: bool) -> list[EventDraft]:
    """The plan is given up; after three times the run answers with what it has."""
    reason = brief(reason)
    if state.replans >= MAX_REPLANS:
        return to_answer(
            state, f"the plan was given up {MAX_REPLANS} times already; {reason}", needs_done=False
        )
    return [
        ReplanDecided(reason=reason, number=state.replans + 1, fresh=fresh).draft(),
        RunPhase(phase="planning", reason=reason).draft(),
    ]


def to_answer(state: RunState, shortfall: str, *, needs_done: bool) -> list[EventDraft]:
    """Running attempts end and the answer is due.

    `shortfall` says why the answer will be partial; empty: it need not be. With `needs_done` a
    run without one finished step has failed; else the planner answers from what it learned.
    """
    shortfall = brief(shortfall)
    drafts = stopped(state, shortfall or "answering")
    some_done = any(step.status == "done" for step in state.steps.values())
    if needs_done and not some_done:
        reason = shortfall or "nothing was found out"
        return [*drafts, RunFinished(status="failed", reason=reason).draft()]
    return [*drafts, RunPhase(phase="answering", reason=shortfall).draft()]


def stopped(state: RunState, reason: str) -> list[EventDraft]:
    """The ends of all attempts that still go on; their steps are dropped."""
    drafts: list[EventDraft] = []
    for step in state.live_steps():
        if step.status == "running":
            key, number = step.step.id, len(step.attempts)
            drafts += [
                AttemptFinished(outcome="cancelled", reason=brief(reason)).draft(
                    step_id=key, attempt=number
                ),
                StepChanged(status="skipped", reason=brief(reason)).draft(
                    step_id=key, attempt=number
                ),
            ]
    return drafts
