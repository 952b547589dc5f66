"""What a run does next: the whole state machine of planner, executor and checker.

`next_moves` is pure. It returns either one `Record`, the facts that follow from the state by
themselves, or the moves that something outside has to perform, with the time at which to look
again. Whoever calls it appends the facts and asks anew; a move that is under way is not
returned again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

from planner_app.domain import move_answers, move_changes, move_planning, move_steps
from planner_app.domain.budget import (
    Shortage,
    Which,
    action_shortage,
    raised,
    shortage,
    time_ends,
    time_shortage,
)
from planner_app.domain.catalogue import (
    BETTERS,
    BudgetUsedUp,
    QuestionClosed,
    RunFinished,
    RunPhase,
    UserBudgeted,
)
from planner_app.domain.events import EventDraft
from planner_app.domain.move_types import CallModel, Move, Record, RunAction, WakeAt
from planner_app.domain.plan_edit import problems_in_run
from planner_app.domain.sizes import brief, cut
from planner_app.domain.state import OpenQuestion, Reply, RunState

__all__ = ["CallModel", "Move", "Record", "RunAction", "WakeAt", "next_moves"]


def next_moves(state: RunState, now: datetime) -> list[Move]:
    """The facts to record or the moves to perform, and when to look again.

    `now` is UTC. An empty list means: ended, paused, or waiting for what is under way.
    """
    if state.final is not None:
        return []
    if state.cancel is not None:
        ended = RunFinished(status="cancelled", reason=brief(state.cancel)).draft()
        return _record([*move_changes.stopped(state, "the run was cancelled"), ended])
    if closed := _closed_questions(state, now):
        return _record(closed)
    if state.paused:
        return []
    if state.phase == "queued":
        return _record([RunPhase(phase="planning").draft()]) if state.fence is not None else []
    moves = _phase_moves(state, now)
    if len(moves) == 1 and isinstance(moves[0], Record):
        return moves
    return moves + _wakes(state)


def _phase_moves(state: RunState, now: datetime) -> list[Move]:
    if state.phase == "answering":
        return move_answers.answering(state, now)
    if state.phase == "checking":
        return move_answers.checking(state, now)
    if state.fatal or state.used_up is not None:
        if reported := move_steps.concluded_reports(state):
            return _record(reported)
        why = state.fatal or state.shortfall
        return _record(move_changes.to_answer(state, why, needs_done=True))
    if state.phase == "planning":
        moves = move_planning.planning(state, now)
    elif state.phase == "reviewing":
        moves = move_planning.reviewing(state, now)
    else:
        moves = move_steps.executing(state, now)
    return _payable(state, moves, now)


def _payable(state: RunState, moves: list[Move], now: datetime) -> list[Move]:
    """The moves that the budgets allow, in order, with the reserve kept back.

    What follows from facts costs nothing and comes first, so a report that is paid for counts.
    A budget is used up when its shortage leaves nothing to do and nothing is under way: a call
    that ends may free what was reserved for it. Only time is up at once.
    """
    if any(isinstance(move, Record) for move in moves):
        return moves
    if any(question.kind == "budget" for question in state.questions.values()):
        return []
    short: Shortage | None = time_shortage(state, now)
    if short is not None:
        return _record([move_changes.over_budget(state, short, now)])
    kept: list[Move] = []
    for move in moves:
        if isinstance(move, CallModel) and move.purpose in BETTERS:
            kept.append(move)  # where nothing pays for it, it is not made, and the run goes on
            continue
        if isinstance(move, CallModel):
            calls = sum(isinstance(m, CallModel) for m in kept)
            lacking = shortage(state, now, move.purpose, ahead=calls)
        else:
            actions = sum(isinstance(m, RunAction) for m in kept)
            lacking = action_shortage(state, ahead=actions)
        if lacking is None:
            kept.append(move)
        else:
            short = short or lacking
    if short is not None and not kept and not state.open:
        return _record([move_changes.over_budget(state, short, now)])
    return kept


def _record(drafts: list[EventDraft]) -> list[Move]:
    return [Record(tuple(drafts))]


def _closed_questions(state: RunState, now: datetime) -> list[EventDraft]:
    """Questions that were replied to, that are void, that nobody can answer, or that expired."""
    drafts: list[EventDraft] = []
    for question in state.questions.values():
        if question.reply is not None:
            closed = _replied(state, question, *question.reply)
        elif _nobody_waits(state, question):
            text = "nothing waits for the answer any more"
            closed = QuestionClosed(
                question_id=question.id, how="cancelled", text=text, by="default"
            )
        elif _takes_default(state, question, now):
            closed = _by_default(question)
        else:
            continue
        drafts.append(closed.draft(step_id=question.step_id, attempt=question.attempt))
        if question.kind == "plan" and closed.by == "default" and closed.how == "rejected":
            why = "nobody could be asked to approve the plan"
            drafts += move_changes.to_answer(state, why, needs_done=True)
        if question.kind == "budget" and closed.how not in {"cancelled", "answered"}:
            drafts.append(_budget_settled(state, question, closed))
    return drafts


def _budget_settled(state: RunState, question: OpenQuestion, closed: QuestionClosed) -> EventDraft:
    """More of what was asked for, or the limit as it stands."""
    which = next(w for w in get_args(Which) if w == question.about)
    if closed.how == "approved":
        return UserBudgeted(limits=raised(state, which)).draft(actor="user")
    return BudgetUsedUp(which=which, detail=f"{which}, and no more was allowed").draft()


def _replied(state: RunState, question: OpenQuestion, how: Reply, text: str) -> QuestionClosed:
    """The person's word; whoever approves a question about the task takes its defaults.

    An edited plan that cannot run is no approval: the question is asked again, and the edit stays
    in the log.
    """
    if question.plan is not None and (problems := problems_in_run(state, question.plan)):
        why = cut(f"the edited plan cannot run: {'; '.join(problems)}", 4_000)
        return QuestionClosed(question_id=question.id, how="cancelled", text=why)
    if how == "approved" and question.kind in {"clarify", "review", "ask_user"} and not text:
        text = f"The person agrees to the defaults:\n{_defaults(question)}"
    return QuestionClosed(question_id=question.id, how=how, text=cut(text, 15_000))


def _nobody_waits(state: RunState, question: OpenQuestion) -> bool:
    """Whether what asked the question is over."""
    if question.kind in {"clarify", "plan"}:
        return state.phase != "planning"
    if question.kind == "review":
        return state.phase != "reviewing"
    if question.kind == "budget":
        return state.phase in {"answering", "checking"} or state.used_up is not None
    step = state.steps.get(question.step_id or "")
    if step is None:
        return False
    if question.attempt is None:
        return step.status != "running"
    return step.attempts[question.attempt - 1].outcome is not None


def _takes_default(state: RunState, question: OpenQuestion, now: datetime) -> bool:
    if question.kind == "action" and "action" in state.refused:
        return True
    if state.no_input or (state.headless and question.kind in {"clarify", "network"}):
        return True
    return question.deadline is not None and now >= question.deadline


def _by_default(question: OpenQuestion) -> QuestionClosed:
    """What stands when nobody answers: the defaults; what needs permission is refused."""
    if question.kind in {"plan", "action", "network", "budget"}:
        reason = "nobody could be asked"
        return QuestionClosed(question_id=question.id, how="rejected", text=reason, by="default")
    text = f"Nobody answered; the defaults stand:\n{_defaults(question)}"
    return QuestionClosed(question_id=question.id, how="expired", text=text, by="default")


def _defaults(question: OpenQuestion) -> str:
    return "\n".join(
        f"{text} -> {default or 'use your judgement'}" for text, default in question.questions
    )


def _wakes(state: RunState) -> list[Move]:
    """When something happens by itself: a question's deadline, or the end of the run's time."""
    times = [q.deadline for q in state.questions.values() if q.deadline is not None]
    timed = state.phase not in {"answering", "checking"} and state.used_up is None
    if timed and (ends := time_ends(state)) is not None:
        times.append(ends + timedelta(milliseconds=1))
    return [WakeAt(min(times))] if times else []
