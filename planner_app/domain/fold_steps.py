"""The part of the fold that follows steps, attempts, actions and their sandboxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planner_app.domain.events import Event
from planner_app.domain.plan import Report
from planner_app.domain.state import Attempt, Note, OpenMove, RunState, StepState, TurnKey


def tell(step: StepState, note: Note) -> StepState:
    """The step with one more word of the person for its newest attempt's next turn."""
    newest = step.attempts[-1]
    told = newest.model_copy(
        update={"outbox": (*newest.outbox, note), "said": (*newest.said, note)}
    )
    return step.model_copy(update={"attempts": (*step.attempts[:-1], told)})


def steered(state: RunState, event: Event, text: str) -> RunState:
    """The state in which all who are at work, and those who come after, get the message."""
    note = Note(kind="steer", text=text, seq=event.seq)
    steps = {
        key: tell(step, note) if step.status == "running" else step
        for key, step in state.steps.items()
    }
    return state.model_copy(
        update={
            "outbox": (*state.outbox, note),
            "said": (*state.said, note),
            "unheard": (*state.unheard, event.seq),
            "steps": steps,
        }
    )


def attempt_of(state: RunState, event: Event) -> Attempt:
    """The attempt that an event is about. Raises KeyError for an event about none."""
    if event.step_id is None or event.attempt is None:
        raise KeyError(f"{event.type} {event.seq} names no attempt")
    return state.steps[event.step_id].attempts[event.attempt - 1]


def with_attempt(state: RunState, event: Event, **changes: Any) -> RunState:
    """The state with the event's attempt changed."""
    attempt = attempt_of(state, event)
    step = state.steps[event.step_id or ""]
    attempts = list(step.attempts)
    attempts[attempt.number - 1] = attempt.model_copy(update=changes)
    return with_step(state, event, attempts=tuple(attempts))


def with_step(state: RunState, event: Event, **changes: Any) -> RunState:
    """The state with the event's step changed."""
    key = event.step_id or ""
    step = state.steps[key].model_copy(update=changes)
    return state.model_copy(update={"steps": {**state.steps, key: step}})


def without_open(state: RunState, event: Event) -> RunState:
    """The state in which the event's move is no longer under way."""
    left = {key: move for key, move in state.open.items() if key != event.move_id}
    return state.model_copy(update={"open": left})


def _attempt_started(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    step = state.steps[event.step_id or ""]
    said = tuple(note for note in state.said if note.kind == "steer")
    attempt = Attempt(
        number=event.attempt or 1, seed=data["seed"], started_at=event.at, outbox=said, said=said
    )
    return with_step(state, event, attempts=(*step.attempts, attempt))


def _attempt_finished(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    state = with_attempt(
        state,
        event,
        outcome=data["outcome"],
        reason=data["reason"],
        ended_at=event.at,
        live=False,
        outbox=(),
        question=None,
        doubt=None,
    )
    return state.model_copy(
        update={
            "reported": state.reported + 1,
            "reports_since_review": state.reports_since_review + 1,
        }
    )


def _step_changed(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    status = data["status"]
    step = state.steps[event.step_id or ""]
    calls_for_review = status in {"blocked", "failed"}
    return with_step(
        state,
        event,
        status=status,
        reason=data["reason"],
        unreviewed=calls_for_review or (step.unreviewed and status == "running"),
    )


def _step_reported(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    report = Report.model_validate(data["report"])
    state = with_attempt(state, event, report=report, next="reported", silent=0)
    values = {
        name: value | {"sha": event.blobs.get(f"value:{name}")}
        for name, value in data["values"].items()
    }
    return with_step(
        state,
        event,
        report=report,
        values=values,
        workspace=event.blobs.get("workspace"),
        source_id=data["source_id"],
    )


def _turn_taken(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    return with_attempt(
        state,
        event,
        next="act",
        code=event.blobs["code"],
        code_turn=data["turn"],
        silent=0,
        truncated=0,
    )


def _turn_refused(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    attempt = attempt_of(state, event)
    kind = data["kind"]
    note = Note(kind="refused", text=data["message"])
    return with_attempt(
        state,
        event,
        next="ask",
        code=None,
        outbox=(*attempt.outbox, note),
        silent=attempt.silent + (1 if kind in {"silent", "bad_report"} else 0),
        truncated=attempt.truncated + (1 if kind == "truncated" else 0),
        doubled=attempt.doubled or data["double_max_tokens"],
        limit_told=attempt.limit_told or kind == "limit",
        evidence_told=attempt.evidence_told or kind == "evidence",
    )


def _loop_found(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    attempt = attempt_of(state, event)
    if data["fatal"]:
        return state
    note = Note(
        kind="nudge",
        text=f"The same code gave the same error {data['count']} times. Do something else.",
    )
    return with_attempt(state, event, nudged=True, outbox=(*attempt.outbox, note))


def _session_started(state: RunState, event: Event, _data: dict[str, Any]) -> RunState:
    return with_attempt(state, event, live=True)


def _session_lost(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    outbox = attempt_of(state, event).outbox
    if data["tell"]:
        text = f"The sandbox was lost ({data['why']}): variables and files made so far are gone."
        outbox = (*outbox, Note(kind="nudge", text=text))
    return with_attempt(state, event, live=False, outbox=outbox)


def _action_started(state: RunState, event: Event, _data: dict[str, Any]) -> RunState:
    move = OpenMove(
        kind="action", started_at=event.at, step_id=event.step_id, attempt=event.attempt
    )
    spent = state.spent.model_copy(update={"actions": state.spent.actions + 1})
    return state.model_copy(
        update={"open": {**state.open, event.move_id or "": move}, "spent": spent}
    )


def _action_finished(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    attempt = attempt_of(state, event)
    key = TurnKey(
        code=data["code_key"],
        observation=data["observation_key"],
        error=data["status"] == "error",
    )
    note = Note(kind="observation", text=data["head"], sha=event.blobs.get("observation"))
    state = with_attempt(
        state,
        event,
        next="ask",
        code=None,
        actions=attempt.actions + 1,
        keys=(*attempt.keys, key),
        outbox=(*attempt.outbox, note),
        live=not data["state_lost"],
    )
    return without_open(_without_grants(state, event), event)


def _without_grants(state: RunState, event: Event, about: str = "") -> RunState:
    """What was allowed once ends with the action that asked, and a call's leave with the call."""
    mine = (event.step_id, event.attempt)
    left = tuple(g for g in state.granted if g[:2] != mine or not g[2].startswith(about))
    return state.model_copy(update={"granted": left}) if left != state.granted else state


def _action_orphaned(state: RunState, event: Event, _data: dict[str, Any]) -> RunState:
    base = (event.move_id or "").rsplit("/", 1)[0]
    tries = {**state.tries, base: state.tries.get(base, 0) + 1}
    spent = state.spent.model_copy(update={"actions": state.spent.actions - 1})
    state = state.model_copy(update={"tries": tries, "spent": spent})
    return without_open(state, event)


def _tool_started(state: RunState, event: Event, _data: dict[str, Any]) -> RunState:
    move = OpenMove(kind="tool", started_at=event.at, step_id=event.step_id, attempt=event.attempt)
    return state.model_copy(update={"open": {**state.open, event.move_id or "": move}})


def _tool_ended(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    return without_open(_without_grants(state, event, f"network call {data['name']} ("), event)


def _tool_orphaned(state: RunState, event: Event, _data: dict[str, Any]) -> RunState:
    return without_open(state, event)


HANDLERS: dict[str, Callable[[RunState, Event, dict[str, Any]], RunState]] = {
    "attempt.started": _attempt_started,
    "attempt.finished": _attempt_finished,
    "step.changed": _step_changed,
    "step.reported": _step_reported,
    "turn.taken": _turn_taken,
    "turn.refused": _turn_refused,
    "loop.found": _loop_found,
    "session.started": _session_started,
    "session.lost": _session_lost,
    "action.started": _action_started,
    "action.finished": _action_finished,
    "action.orphaned": _action_orphaned,
    "tool.started": _tool_started,
    "tool.finished": _tool_ended,
    "tool.failed": _tool_ended,
    "tool.orphaned": _tool_orphaned,
}
