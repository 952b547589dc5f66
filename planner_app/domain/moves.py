"""What a run does next: the whole state machine of planner, executor and checker.

`next_moves` is pure. It returns either one `Record`, the facts that follow from the state by
themselves, or the moves that something outside has to perform, with the time at which to look
again. Whoever calls it appends the facts and asks anew; a move that is under way is not
returned again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from planner_app.domain import move_answers, move_changes, move_planning, move_steps
from planner_app.domain.budget import shortage, time_ends
from planner_app.domain.catalogue import (
    BudgetUsedUp,
    QuestionClosed,
    RunFinished,
    RunPhase,
)
from planner_app.domain.events import EventDraft
from planner_app.domain.move_types import CallModel, Move, Record, RunAction, WakeAt
from planner_app.domain.state import OpenQuestion, RunState

__all__ = ["CallModel", "Move", "Record", "RunAction", "WakeAt", "next_moves"]


def next_moves(state: RunState, now: datetime) -> list[Move]:
    """The facts to record or the moves to perform, and when to look again.

    `now` is UTC. An empty list means: ended, paused, or waiting for what is under way.
    """
    if state.final is not None:
        return []
    if state.cancel is not None:
        return _record([RunFinished(status="cancelled", reason=state.cancel).draft()])
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
    if state.fatal:
        return _record(move_changes.to_answer(state, state.fatal, needs_done=True))
    if state.used_up is not None:
        return _record(move_changes.to_answer(state, state.shortfall, needs_done=True))
    if short := shortage(state, now, "act"):
        return _record([BudgetUsedUp(which=short.which, detail=short.detail).draft()])
    if state.phase == "planning":
        return move_planning.planning(state, now)
    if state.phase == "reviewing":
        return move_planning.reviewing(state, now)
    return move_steps.executing(state, now)


def _record(drafts: list[EventDraft]) -> list[Move]:
    return [Record(tuple(drafts))]


def _closed_questions(state: RunState, now: datetime) -> list[EventDraft]:
    """Questions that were replied to, that nobody can answer, or whose time is over."""
    drafts = []
    for question in state.questions.values():
        if question.reply is not None:
            how, text = question.reply
            closed = QuestionClosed(question_id=question.id, how=how, text=text)
        elif _takes_default(state, question, now):
            closed = _by_default(question)
        else:
            continue
        drafts.append(closed.draft(step_id=question.step_id, attempt=question.attempt))
    return drafts


def _takes_default(state: RunState, question: OpenQuestion, now: datetime) -> bool:
    if state.no_input or (state.headless and question.kind in {"clarify", "network"}):
        return True
    return question.deadline is not None and now >= question.deadline


def _by_default(question: OpenQuestion) -> QuestionClosed:
    """What stands when nobody answers: the defaults; what needs permission is refused."""
    if question.kind in {"plan", "action", "network", "budget"}:
        reason = "nobody could be asked"
        return QuestionClosed(question_id=question.id, how="rejected", text=reason, by="default")
    lines = [f"{text} -> {default or 'use your judgement'}" for text, default in question.questions]
    text = "Nobody answered; the defaults stand:\n" + "\n".join(lines)
    return QuestionClosed(question_id=question.id, how="expired", text=text, by="default")


def _wakes(state: RunState) -> list[Move]:
    """When something happens by itself: a question's deadline, or the end of the run's time."""
    times = [q.deadline for q in state.questions.values() if q.deadline is not None]
    waiting = state.status == "waiting_user"
    if not waiting and state.used_up is None and (ends := time_ends(state)) is not None:
        times.append(ends + timedelta(milliseconds=1))
    return [WakeAt(min(times))] if times else []
