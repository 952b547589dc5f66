"""The part of the fold that follows model calls, and the reviews and answers they bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planner_app.domain.catalogue import BETTERS
from planner_app.domain.errors import UNAVAILABLE
from planner_app.domain.events import Event
from planner_app.domain.fold_steps import attempt_of, with_attempt, without_open
from planner_app.domain.plan import Answer, CheckVerdict, Review
from planner_app.domain.state import Correction, Doubt, Note, OpenMove, RunState

FATAL_KINDS = UNAVAILABLE | {"bad_request", "unscripted", "unrecorded"}
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
        model=data["model"],
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
    state = state.model_copy(
        update={
            "conversations": {
                **state.conversations,
                conversation: (*before, *move.appended, data["message"]),
            },
            "requests": {**state.requests, conversation: event.move_id or ""},
            "context_tokens": {
                **state.context_tokens,
                conversation: data["usage"]["prompt_tokens"],
            },
        }
    )
    if data["purpose"] == "act":
        attempt = attempt_of(state, event)
        state = _heard(state, attempt.outbox[: move.told])
        state = with_attempt(
            state, event, turns=attempt.turns + 1, outbox=attempt.outbox[move.told :]
        )
    elif data["purpose"] in TOLD:
        state = _heard(state, state.outbox[: move.told])
        state = state.model_copy(
            update={"outbox": state.outbox[move.told :], "planner_told": move.reports}
        )
    return without_open(state, event)


def _heard(state: RunState, told: tuple[Note, ...]) -> RunState:
    """The state in which an agent was told these notes."""
    seqs = {note.seq for note in told}
    return state.model_copy(update={"unheard": tuple(s for s in state.unheard if s not in seqs)})


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
    if data["purpose"] in BETTERS or data.get("again"):
        return state
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
    role, window = data["role"], data.get("window")
    if data["next_model"] is not None:
        gone = (*state.gone.get(role, ()), data["model"])
        state = state.model_copy(
            update={
                "models": {**state.models, role: data["next_model"]},
                "gone": {**state.gone, role: gone},
            }
        )
    elif window is not None:
        state = state.model_copy(update={"windows": {**state.windows, data["model"]: window}})
    else:
        return None
    if data["purpose"] == "act":
        attempt = attempt_of(state, event)
        state = with_attempt(state, event, turns=attempt.turns + 1)
    return state


def _charged(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    """The state with a call's tokens and price on the accounts, and its turn counted."""
    role = data["role"]
    state = _paid(state, event, data["usd"], _tokens(data), calls=1)
    turns = state.role_turns
    if role != "executor" and data["purpose"] not in BETTERS:
        turns = {**turns, role: turns.get(role, 0) + 1}
    return state.model_copy(update={"role_turns": turns})


def _paid(state: RunState, event: Event, usd: float | None, tokens: int, calls: int) -> RunState:
    """The state with so much more spent, on the account of the model that was asked."""
    move = state.open.get(event.move_id or "")
    role = (move.role if move else None) or event.data.get("role", "")
    model = (move.model if move else "") or event.data.get("model", "")
    step = move.step_id if move else event.step_id
    spent = state.spent.charged(usd, tokens, role, model, step, calls)
    return state.model_copy(update={"spent": spent})


def _tokens(data: dict[str, Any]) -> int:
    return int(data["usage"]["prompt_tokens"] + data["usage"]["completion_tokens"])


def _model_retried(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    """A failed try may be billed; it is no call of its own."""
    return _paid(state, event, data["usd"], _tokens(data), calls=0)


def _model_orphaned(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    """What a call that was stopped is taken to have cost; where nobody saw it, all that was
    reserved. One that was never sent is no call."""
    move = state.open.get(event.move_id or "")
    base = (event.move_id or "").rsplit("/", 1)[0]
    if move is not None:
        usd, tokens, sent = move.usd, move.tokens, True
        if data.get("usage") is not None:
            usd, tokens = data["usd"], _tokens(data)
            sent = data["usage"]["source"] != "none"
        state = _paid(state, event, usd, tokens, calls=int(sent))
    tries = {**state.tries, base: state.tries.get(base, 0) + 1}
    return without_open(state.model_copy(update={"tries": tries}), event)


def _review_decided(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    review = Review.model_validate(data["review"])
    # A review that a further call bettered was never carried out.
    before = 1 if state.review is not None and state.review.decision == "ask_user" else 0
    asked = state.reviews_asked - before + (1 if review.decision == "ask_user" else 0)
    return state.model_copy(update={"review": review, "correction": None, "reviews_asked": asked})


def _reply_refused(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    correction = Correction(
        purpose=data["purpose"],
        number=data["number"],
        bad=data["bad"],
        problems=tuple(data["problems"]),
    )
    return state.model_copy(update={"correction": correction})


def _reply_doubted(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    doubt = Doubt(
        kind=data["kind"],
        role=data["role"],
        purpose=data["purpose"],
        conversation=data["conversation"],
        turn=data["turn"],
    )
    return _with_doubt(state, event, doubt)


def _reply_settled(state: RunState, event: Event, _data: dict[str, Any]) -> RunState:
    return _with_doubt(state, event, None)


def _with_doubt(state: RunState, event: Event, doubt: Doubt | None) -> RunState:
    if event.step_id is not None:
        return with_attempt(state, event, doubt=doubt)
    return state.model_copy(update={"doubt": doubt})


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
    before = 1 if state.verdict is not None and not state.verdict.ok else 0
    fails = state.check_fails - before + (0 if verdict.ok else 1)
    return state.model_copy(update={"verdict": verdict, "check_fails": fails, "correction": None})


HANDLERS: dict[str, Callable[[RunState, Event, dict[str, Any]], RunState]] = {
    "model.started": _model_started,
    "model.finished": _model_finished,
    "model.failed": _model_failed,
    "model.retried": _model_retried,
    "model.orphaned": _model_orphaned,
    "review.decided": _review_decided,
    "reply.refused": _reply_refused,
    "reply.doubted": _reply_doubted,
    "reply.settled": _reply_settled,
    "answer.drafted": _answer_drafted,
    "answer.claims_checked": _claims_checked,
    "answer.refused": _answer_refused,
    "answer.checked": _answer_checked,
}
