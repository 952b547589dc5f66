"""From events to the state of a run. It copies facts and decides nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from planner_app.domain import fold_questions, fold_steps, fold_talk
from planner_app.domain.catalogue import Attachment, BudgetLimits, RunCreated, upcast
from planner_app.domain.errors import HistoryError
from planner_app.domain.events import Event
from planner_app.domain.plan import Facts, Plan
from planner_app.domain.state import ArtifactRef, Note, RunState, SourceRef, StepState

_Handler = Callable[[RunState, Event, dict[str, Any]], RunState]


def fold(events: Iterable[Event], state: RunState | None = None) -> RunState:
    """The state after these events, going on from `state` when it is given.

    Raises HistoryError when the first event of a run is not `run.created`, or one is missing.
    """
    for event in events:
        state = apply(state, event)
    if state is None:
        raise HistoryError("the run has no events", "its history is incomplete")
    return state


def apply(state: RunState | None, event: Event) -> RunState:
    """The state after one more event; the given one is not changed.

    Raises HistoryError when the event is not the next one of its run.
    """
    event = upcast(event)
    if state is None:
        return _created(event)
    if event.seq != state.last_seq + 1 or event.run_id != state.run_id:
        raise HistoryError(
            f"run {state.run_id}: event {event.seq} of {event.run_id} follows {state.last_seq}",
            "its history is incomplete",
        )
    active = state.active_seconds
    if state.works and event.type != "run.claimed":
        active += max(0.0, (event.at - state.last_at).total_seconds())
    handler = _HANDLERS.get(event.type)
    after = handler(state, event, event.data) if handler else state
    return after.model_copy(
        update={"last_seq": event.seq, "last_at": event.at, "active_seconds": active}
    )


def _created(event: Event) -> RunState:
    if event.type != "run.created" or event.seq != 1:
        raise HistoryError(
            f"run {event.run_id} begins with {event.type} {event.seq}, not run.created",
            "its history is incomplete",
        )
    data = RunCreated.model_validate(event.data)
    same = set(RunCreated.model_fields) & set(RunState.model_fields)
    return RunState(
        run_id=event.run_id,
        text_sha=event.blobs.get("text"),
        schema_sha=event.blobs.get("schema"),
        created_at=event.at,
        last_at=event.at,
        last_seq=1,
        **{name: getattr(data, name) for name in same},
    )


def _run_attached(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    more = tuple(Attachment.model_validate(item) for item in data["attachments"])
    return state.model_copy(update={"attachments": (*state.attachments, *more)})


def _run_claimed(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    return state.model_copy(
        update={
            "fence": data["fence"],
            "started_at": state.started_at or event.at,
            "models": data["models"] or state.models,
        }
    )


def _run_phase(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    changes: dict[str, Any] = {
        "phase": data["phase"],
        "phase_reason": data["reason"],
        "correction": None,
        "doubt": None,
    }
    if data["phase"] in {"executing", "reviewing"}:
        changes["review"] = None
    if data["phase"] == "answering" and data["reason"]:
        changes["shortfall"] = state.shortfall or data["reason"]
    return state.model_copy(update=changes)


def _run_finished(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    return state.model_copy(
        update={
            "final": data["status"],
            "reason": data["reason"],
            "ended_at": event.at,
            "open": {},
            "questions": {},
        }
    )


_USED_UP = "the budget is used up: "


def _budget_used_up(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    text = f"{_USED_UP}{data['detail'] or data['which']}"
    return state.model_copy(update={"used_up": data["which"], "shortfall": state.shortfall or text})


def _user_cancelled(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    return state.model_copy(update={"cancel": data["reason"] or "cancelled by the person"})


def _user_paused(state: RunState, _event: Event, _data: dict[str, Any]) -> RunState:
    return state.model_copy(update={"paused": True})


def _user_resumed(state: RunState, _event: Event, _data: dict[str, Any]) -> RunState:
    return state.model_copy(update={"paused": False})


def _user_steered(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    return fold_steps.steered(state, event, data["text"])


def _user_budgeted(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    """A limit that this program does not know is passed over: the log stays readable."""
    limits = state.budget.model_dump()
    for name in limits.keys() & data["limits"].keys():
        value = data["limits"][name]
        known = value is not None and math.isfinite(value)
        whole = known and name in {"tokens", "calls", "actions"}
        limits[name] = int(value) if whole else (value if known else None)
    shortfall = "" if state.shortfall.startswith(_USED_UP) else state.shortfall
    # Whoever sets the budget has answered what was asked about it.
    questions = {
        key: q.model_copy(update={"reply": ("answered", "the person set the budget")})
        if q.kind == "budget" and q.reply is None
        else q
        for key, q in state.questions.items()
    }
    return state.model_copy(
        update={
            "budget": BudgetLimits.model_validate(limits),
            "used_up": None,
            "shortfall": shortfall,
            "questions": questions,
        }
    )


def _plan_proposed(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    plan = Plan.model_validate(data["plan"])
    return state.model_copy(update={"proposed": plan, "approved_plan": False, "edited_plan": False})


def _plan_refused(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    note = Note(kind="problems", text="\n".join(data["problems"]))
    return state.model_copy(
        update={"plan_tries": data["number"], "outbox": (*state.outbox, note), "proposed": None}
    )


def _plan_accepted(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    plan = Plan.model_validate(data["plan"])
    steps = dict(state.steps)
    for key in data["skipped"]:
        steps[key] = steps[key].model_copy(update={"status": "skipped", "unreviewed": False})
    for step in plan.steps:
        steps[step.id] = StepState(step=step, revision=data["revision"])
    return state.model_copy(
        update={
            "plan": plan,
            "revision": data["revision"],
            "steps": steps,
            "facts": plan.facts,
            "proposed": None,
            "plan_tries": 0,
            "reports_since_review": 0,
            "review": None,
        }
    )


def _replan_decided(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    note = Note(kind="problems", text=f"A new plan is needed: {data['reason']}")
    kept = tuple(n for n in state.outbox if n.seq) if data["fresh"] else state.outbox
    return state.model_copy(
        update={
            "replans": data["number"],
            "plan_tries": 0,
            "planner_chat": state.planner_chat + (1 if data["fresh"] else 0),
            "planner_told": {} if data["fresh"] else state.planner_told,
            "outbox": (*kept, note),
            "review": None,
            "proposed": None,
        }
    )


def _facts_updated(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    return state.model_copy(update={"facts": Facts.model_validate(data["facts"])})


def _stall_counted(state: RunState, _event: Event, data: dict[str, Any]) -> RunState:
    return state.model_copy(update={"stalls": data["stalls"]})


def _source_added(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    source = SourceRef(
        n=data["n"],
        kind=data["kind"],
        title=data["title"],
        url=data["url"],
        sha256=data["sha256"],
        text=event.blobs.get("text"),
        weak=data["weak"],
    )
    return state.model_copy(update={"sources": {**state.sources, source.n: source}})


def _artifact_saved(state: RunState, event: Event, data: dict[str, Any]) -> RunState:
    artifact = ArtifactRef(**data, step_id=event.step_id)
    return state.model_copy(update={"artifacts": {**state.artifacts, artifact.name: artifact}})


_HANDLERS: dict[str, _Handler] = {
    "run.attached": _run_attached,
    "run.claimed": _run_claimed,
    "run.phase": _run_phase,
    "run.finished": _run_finished,
    "budget.used_up": _budget_used_up,
    "user.cancelled": _user_cancelled,
    "user.paused": _user_paused,
    "user.resumed": _user_resumed,
    "user.steered": _user_steered,
    "user.budgeted": _user_budgeted,
    "plan.proposed": _plan_proposed,
    "plan.refused": _plan_refused,
    "plan.accepted": _plan_accepted,
    "replan.decided": _replan_decided,
    "facts.updated": _facts_updated,
    "stall.counted": _stall_counted,
    "source.added": _source_added,
    "artifact.saved": _artifact_saved,
    **fold_talk.HANDLERS,
    **fold_questions.HANDLERS,
    **fold_steps.HANDLERS,
}
