"""The part of the fold that follows conversations, questions, reviews and answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from planner_app.domain.events import Event
from planner_app.domain.fold_steps import attempt_of, with_attempt, without_open
from planner_app.domain.plan import Answer, CheckVerdict, Plan, Review
from planner_app.domain.state import (
    Correction,
    Note,
    OpenMove,
    OpenQuestion,
    Reply,
    RunState,
    Spent,
)

FATAL_KINDS = frozenset(
    {"auth", "not_found", "bad_request", "unscripted", "refused", "dns", "tls", "key_missing"}
)
"""Failures of a model that a second attempt cannot mend."""
TOLD = frozenset({"plan", "replan", "review", "answer"})
"""Calls whose request tells the planner what happened since the last one."""


def _model_started(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    told = len(state.outbox)
    if data["purpose"] == "act":
        told = len(attempt_of(state, event).outbox)
    move = OpenMove(
        kind="model",
        started_at=event.at,
        step_id=event.step_id,
        attempt=event.attempt,
        role=data["role"],
        purpose=data["purpose"],
        conversation=data["conversation"],
        appended=tuple(data["appended"]),
        restart=data["parent_request"] is None,
        told=told,
        reports=_ended(state) if data["purpose"] in TOLD else {},
        tokens=data["reserved_tokens"],
        usd=data["reserved_usd"],
    )
    changes: dict[str, Any] = {"open": {**state.open, event.move_id or "": move}}
    if data["purpose"] == "review":
        changes["reports_since_review"] = 0
        changes["steps"] = {
            key: step.model_copy(update={"unreviewed": False}) if step.unreviewed else step
            for key, step in state.steps.items()
        }
    return state.model_copy(update=changes)


def _model_finished(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    move = state.open.get(event.move_id or "")
    state = _charged(state, event, data)
    if move is None:
        return state
    conversation = data["conversation"]
    # What a request adds to its parent begins with the parent's reply, which stands there already.
    before = () if move.restart else state.conversations.get(conversation, ())[:-1]
    usage = data["usage"]
    state = state.model_copy(
        update={
            "conversations": {
                **state.conversations,
                conversation: (*before, *move.appended, data["message"]),
            },
            "requests": {**state.requests, conversation: event.move_id or ""},
            "context_tokens": {
                **state.context_tokens,
                conversation: usage["prompt_tokens"] + usage["completion_tokens"],
            },
            "overlong": tuple(name for name in state.overlong if name != conversation),
        }
    )
    if data["purpose"] == "act":
        attempt = attempt_of(state, event)
        state = with_attempt(
            state, event, turns=attempt.turns + 1, outbox=attempt.outbox[move.told :]
        )
    elif data["purpose"] in TOLD:
        state = state.model_copy(
            update={"outbox": state.outbox[move.told :], "planner_told": move.reports}
        )
    return without_open(state, event)


def _ended(state: RunState) -> dict[str, int]:
    """Step id to the number of its ended attempts."""
    return {
        key: sum(a.outcome is not None for a in step.attempts) for key, step in state.steps.items()
    }


def _model_failed(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    if event.move_id in state.open:  # else it was refused before it was made, and cost nothing
        state = without_open(_charged(state, event, data), event)
    if (again := _asked_again(state, event, data)) is not None:
        return again
    text = f"{data['role']} model {data['model']}: {data['message']}"
    if data["purpose"] == "act":
        attempt = attempt_of(state, event)
        state = with_attempt(state, event, turns=attempt.turns + 1, next="failed", reason=text)
        fatal = data["kind"] in FATAL_KINDS
    else:
        fatal = True
    if not fatal:
        return state
    down = state.down if data["role"] in state.down else (*state.down, data["role"])
    return state.model_copy(update={"fatal": text, "down": down})


def _asked_again(state: RunState, event: Event, data: dict[str, Any]) -> RunState | None:
    """The state in which another model, or a shorter conversation, is tried; None: neither is."""
    role, conversation = data["role"], data["conversation"]
    if data["next_model"] is not None:
        state = state.model_copy(update={"models": {**state.models, role: data["next_model"]}})
    elif data["kind"] == "context_overflow" and conversation not in state.overlong:
        state = state.model_copy(update={"overlong": (*state.overlong, conversation)})
    else:
        return None
    if data["purpose"] == "act":
        attempt = attempt_of(state, event)
        state = with_attempt(state, event, turns=attempt.turns + 1)
    return state


def _charged(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    """The state with a call's tokens and price on the account, and its turn counted."""
    usage, usd, role = data["usage"], data["usd"], data["role"]
    spent = state.spent
    by_role, by_model, by_step = dict(spent.by_role), dict(spent.by_model), dict(spent.by_step)
    if event.step_id is not None:
        by_step[event.step_id] = by_step.get(event.step_id, 0.0) + (usd or 0.0)
    by_role[role] = by_role.get(role, 0.0) + (usd or 0.0)
    by_model[data["model"]] = by_model.get(data["model"], 0.0) + (usd or 0.0)
    charged = Spent(
        usd=spent.usd + (usd or 0.0),
        unpriced_calls=spent.unpriced_calls + (1 if usd is None else 0),
        tokens=spent.tokens + usage["prompt_tokens"] + usage["completion_tokens"],
        calls=spent.calls + 1,
        actions=spent.actions,
        by_role=by_role,
        by_model=by_model,
        by_step=by_step,
    )
    turns = state.role_turns
    if role != "executor":
        turns = {**turns, role: turns.get(role, 0) + 1}
    return state.model_copy(update={"spent": charged, "role_turns": turns})


def _model_retried(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    """A failed try may be billed; it is no call of its own."""
    usage, usd = data["usage"], data["usd"]
    spent = state.spent
    charged = spent.model_copy(
        update={
            "tokens": spent.tokens + usage["prompt_tokens"] + usage["completion_tokens"],
            "usd": spent.usd + (usd or 0.0),
            "unpriced_calls": spent.unpriced_calls + (1 if usd is None else 0),
        }
    )
    return state.model_copy(update={"spent": charged})


def _model_orphaned(state: RunState, event: Event, _data: dict[str, Any]) -> RunState:
    """What an unfinished call cost is unknown, so its whole reservation is charged as tokens."""
    move = state.open.get(event.move_id or "")
    base = (event.move_id or "").rsplit("/", 1)[0]
    spent = state.spent.model_copy(
        update={
            "calls": state.spent.calls + 1,
            "tokens": state.spent.tokens + (move.tokens if move else 0),
            "usd": state.spent.usd + ((move.usd or 0.0) if move else 0.0),
            "unpriced_calls": state.spent.unpriced_calls
            + (1 if move is not None and move.usd is None else 0),
        }
    )
    tries = {**state.tries, base: state.tries.get(base, 0) + 1}
    return without_open(state.model_copy(update={"spent": spent, "tries": tries}), event)


def _review_decided(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    review = Review.model_validate(data["review"])
    asked = state.reviews_asked + (1 if review.decision == "ask_user" else 0)
    return state.model_copy(update={"review": review, "correction": None, "reviews_asked": asked})


def _reply_refused(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    correction = Correction(
        purpose=data["purpose"],
        number=data["number"],
        bad=data["bad"],
        problems=tuple(data["problems"]),
    )
    return state.model_copy(update={"correction": correction})


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

    def handler(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
        wanted = data["question_id"] or next(
            (key for key, q in state.questions.items() if _takes(q, how)), None
        )
        question = state.questions.get(wanted or "")
        if question is None or not _takes(question, how):
            return state
        changes: dict[str, Any] = {"reply": (how, data.get(field, ""))}
        if how == "approved":
            changes["scope"] = data["scope"]
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
    approved = how == "approved"
    if question.kind in {"clarify", "review"}:
        note = Note(kind="answer", text=text)
        return state.model_copy(
            update={"outbox": (*state.outbox, note), "proposed": None, "review": None}
        )
    if question.kind == "plan":
        if approved:
            return state.model_copy(
                update={"approved_plan": True, "proposed": question.plan or state.proposed}
            )
        note = Note(kind="rejected", text=f"The person refused the plan: {text}")
        return state.model_copy(update={"proposed": None, "outbox": (*state.outbox, note)})
    if approved and question.scope == "run":
        what = "action" if question.kind == "action" else f"{question.kind} {question.about}"
        state = state.model_copy(update={"allowed": (*state.allowed, what)})
    if question.step_id is None or question.attempt is None:
        return state
    return _told_attempt(state, event, question, how, text)


def _told_attempt(
    state: RunState, event: Event, question: OpenQuestion, how: str, text: str
) -> RunState:
    """The conclusion of a question that an attempt waited for."""
    attempt = attempt_of(state, event)
    if attempt.outcome is not None or attempt.question != question.id:
        return state
    if question.kind == "ask_user":
        note = Note(kind="answer", text=text)
        return with_attempt(state, event, question=None, outbox=(*attempt.outbox, note))
    if how == "approved":
        return with_attempt(state, event, question=None, approved_turn=attempt.code_turn)
    note = Note(kind="rejected", text=f"The person did not allow this action: {text}")
    return with_attempt(
        state, event, question=None, next="ask", code=None, outbox=(*attempt.outbox, note)
    )


def _answer_drafted(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    return state.model_copy(
        update={
            "answer": Answer.model_validate(data["answer"]),
            "answer_sha": event.blobs.get("answer"),
            "answer_by": data["by"],
            "answer_number": data["number"],
            "answer_judged": False,
            "claim_checks": (),
            "verdict": None,
            "correction": None,
        }
    )


def _claims_checked(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    return state.model_copy(update={"claim_checks": tuple(data["checks"])})


def _answer_refused(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    note = Note(kind="problems", text="\n".join(data["problems"]))
    return state.model_copy(
        update={
            "answer_refusals": data["number"],
            "answer_judged": True,
            "outbox": (*state.outbox, note),
        }
    )


def _answer_checked(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    verdict = CheckVerdict.model_validate(data["verdict"])
    fails = state.check_fails + (0 if verdict.ok else 1)
    return state.model_copy(update={"verdict": verdict, "check_fails": fails, "correction": None})


HANDLERS: dict[str, Callable[[RunState, Event, dict[str, Any]], RunState]] = {
    "model.started": _model_started,
    "model.finished": _model_finished,
    "model.failed": _model_failed,
    "model.retried": _model_retried,
    "model.orphaned": _model_orphaned,
    "review.decided": _review_decided,
    "reply.refused": _reply_refused,
    "question.asked": _question_asked,
    "question.closed": _question_closed,
    "user.answered": _replied("answered", "text"),
    "user.approved": _replied("approved", "text"),
    "user.rejected": _replied("rejected", "reason"),
    "answer.drafted": _answer_drafted,
    "answer.claims_checked": _claims_checked,
    "answer.refused": _answer_refused,
    "answer.checked": _answer_checked,
}
