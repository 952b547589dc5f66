"""The part of the fold that follows questions: asked, replied to, and what their end changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from planner_app.domain.events import Event
from planner_app.domain.fold_steps import attempt_of, steered, with_attempt
from planner_app.domain.plan import Plan
from planner_app.domain.plan_edit import is_edit
from planner_app.domain.state import Note, OpenQuestion, Reply, RunState


def _question_asked(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    deadline = data["deadline"]
    question = OpenQuestion(
        id=data["question_id"],
        kind=data["kind"],
        questions=tuple((q["text"], q["default"]) for q in data["questions"]),
        deadline=datetime.fromisoformat(deadline) if deadline else None,
        step_id=event.step_id,
        attempt=event.attempt,
        about=data["about"],
    )
    state = state.model_copy(
        update={
            "questions": {**state.questions, question.id: question},
            "questions_asked": state.questions_asked + 1,
            "asked_clarify": state.asked_clarify or question.kind == "clarify",
            "review": None if question.kind == "review" else state.review,
        }
    )
    if event.step_id and event.attempt and question.kind in {"ask_user", "action"}:
        state = with_attempt(state, event, question=question.id)
    return state


def _replied(how: Reply, field: str) -> Callable[[RunState, Event, dict[str, Any]], RunState]:
    """A handler that notes a person's reply on the question it belongs to."""

    def handler(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
        wanted = data["question_id"] or next(
            (key for key, q in state.questions.items() if _takes(q, how)), None
        )
        question = state.questions.get(wanted or "")
        if question is None or not _takes(question, how):
            if how != "answered":
                return state
            # Nothing waits for it any more, but what the person wants to say still counts.
            return steered(state, event, f"(to a question that is closed) {data[field]}")
        changes: dict[str, Any] = {"reply": (how, data.get(field, ""))}
        if how != "answered":
            changes["scope"] = data.get("scope", "once")
        if how == "approved":
            changes["plan"] = Plan.model_validate(data["plan"]) if data["plan"] else None
        questions = {**state.questions, question.id: question.model_copy(update=changes)}
        return state.model_copy(update={"questions": questions})

    return handler


def _takes(question: OpenQuestion, how: Reply) -> bool:
    """Whether a question waits for this kind of reply: words are neither a yes nor a no."""
    if question.reply is not None:
        return False
    return how != "answered" or question.kind in {"clarify", "ask_user", "review"}


def _question_closed(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    question = state.questions.get(data["question_id"])
    if question is None:
        return state
    left = {key: q for key, q in state.questions.items() if key != question.id}
    state = state.model_copy(update={"questions": left})
    how, text = data["how"], data["text"]
    if how == "cancelled":
        return state
    if question.kind in {"clarify", "review"}:
        note = _words(how, text)
        return state.model_copy(
            update={
                "outbox": (*state.outbox, note),
                "said": (*state.said, note),
                "proposed": None,
                "review": None,
            }
        )
    if question.kind == "plan":
        return _plan_judged(state, question, how, text)
    state = _permitted(state, question, how)
    if question.step_id is None or question.attempt is None:
        return state
    return _told_attempt(state, event, question, how, text)


def _words(how: str, text: str) -> Note:
    """What a question's end tells an agent: the person's own words, or what stands without."""
    if how == "rejected":
        return Note(kind="answer", text=f"(they do not want to answer) {text}")
    return Note(kind="answer" if how == "answered" else "defaults", text=text)


def _plan_judged(state: RunState, question: OpenQuestion, how: str, text: str) -> RunState:
    if how != "approved":
        note = Note(kind="rejected", text=f"The person refused the plan: {text}")
        return state.model_copy(update={"proposed": None, "outbox": (*state.outbox, note)})
    edited = question.plan is not None and is_edit(question.plan, state.proposed)
    return state.model_copy(
        update={
            "approved_plan": True,
            "edited_plan": edited,
            "proposed": question.plan or state.proposed,
        }
    )


def _permitted(state: RunState, question: OpenQuestion, how: str) -> RunState:
    """What a permission allows or forbids: for the run, or for the action that asked."""
    what = "action" if question.kind == "action" else f"{question.kind} {question.about}"
    if question.scope == "run" and how in {"approved", "rejected"}:
        name = "allowed" if how == "approved" else "refused"
        return state.model_copy(update={name: (*getattr(state, name), what)})
    if how == "approved" and question.kind == "network":
        grant = (question.step_id or "", question.attempt or 0, what)
        return state.model_copy(update={"granted": (*state.granted, grant)})
    return state


def _told_attempt(
    state: RunState, event: Event, question: OpenQuestion, how: str, text: str
) -> RunState:
    """The conclusion of a question that an attempt waited for."""
    attempt = attempt_of(state, event)
    if attempt.outcome is not None or attempt.question != question.id:
        return state
    if question.kind == "ask_user":
        note = _words(how, text)
        told = {"outbox": (*attempt.outbox, note), "said": (*attempt.said, note)}
        return with_attempt(state, event, question=None, **told)
    if how == "approved":
        return with_attempt(state, event, question=None, approved_turn=attempt.code_turn)
    never = " They allow none in this run: report now." if question.scope == "run" else ""
    text = f"The person did not allow this action: {text}{never}"
    note = Note(kind="rejected", text=text)
    return with_attempt(
        state, event, question=None, next="ask", code=None, outbox=(*attempt.outbox, note)
    )


HANDLERS: dict[str, Callable[[RunState, Event, dict[str, Any]], RunState]] = {
    "question.asked": _question_asked,
    "question.closed": _question_closed,
    "user.answered": _replied("answered", "text"),
    "user.approved": _replied("approved", "text"),
    "user.rejected": _replied("rejected", "reason"),
}
