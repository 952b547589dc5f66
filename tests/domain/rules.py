"""What must hold in every run at every event, and a count of what really happened."""

from __future__ import annotations

import re
from collections import Counter

from planner_app.domain.catalogue import TYPES
from planner_app.domain.events import MAX_DATA_BYTES, Event
from planner_app.domain.sizes import json_bytes
from planner_app.domain.state import RunState

RESERVED = frozenset({"plan", "replan", "review", "act"})
"""Calls that must leave room for an answer and a check."""
CENT = 1e-9


class Rules:
    """Watches a run, fails at the first event that breaks a rule, and counts what it saw."""

    def __init__(self, seen: Counter[str]) -> None:
        self.seen = seen
        self._started: set[str] = set()

    def __call__(self, before: RunState | None, event: Event, after: RunState) -> None:
        assert before is None or before.final is None, f"{event.type} after the end"
        match event.type:
            case "attempt.started":
                _attempt_started(before or after, event, after)
            case "model.started" | "action.started":
                self._move_started(before or after, event, after)
            case "run.finished":
                _finished(before or after, after)
            case "replan.decided":
                assert after.replans <= 3, "at most three re-plans"
            case "plan.accepted":
                assert len(after.steps) >= len(after.plan.steps if after.plan else [])
        self._count(before, event, after)

    def _move_started(self, before: RunState, event: Event, after: RunState) -> None:
        assert event.move_id is not None
        assert event.move_id not in self._started, f"{event.move_id} was performed twice"
        self._started.add(event.move_id)
        assert not before.paused, "nothing starts while paused"
        assert before.cancel is None
        budget, spent = after.budget, after.spent
        if event.type == "action.started":
            assert budget.actions is None or spent.actions <= budget.actions
            return
        under_way = [m for m in after.open.values() if m.kind == "model"]
        kept = 2 if event.data["purpose"] in RESERVED else 0
        if budget.calls is not None:
            assert spent.calls + len(under_way) + kept <= budget.calls
        if budget.tokens is not None:
            assert spent.tokens + sum(m.tokens for m in under_way) <= budget.tokens
        if budget.usd is not None and event.data["reserved_usd"]:
            assert spent.usd + sum(m.usd or 0.0 for m in under_way) <= budget.usd + CENT

    def _count(self, before: RunState | None, event: Event, after: RunState) -> None:
        data, seen = event.data, self.seen
        seen[event.type] += 1
        match event.type:
            case "run.finished":
                seen[f"final {data['status']}: {_head(data['reason'])}"] += 1
                if data["status"] == "done":
                    seen[f"done by {after.answer_by}"] += 1
            case "run.phase":
                old = before.phase if before else "-"
                seen[f"{old} -> {data['phase']}: {_head(data['reason'])}"] += 1
            case "replan.decided" | "budget.used_up":
                seen[f"{event.type} {_head(data.get('reason') or data['which'])}"] += 1
            case "attempt.finished":
                seen[f"outcome {data['outcome']} of attempt {event.attempt}"] += 1
            case "loop.found":
                seen[f"loop {data['kind']} fatal={data['fatal']}"] += 1
            case "turn.refused":
                seen[f"refused {data['kind']} double={data['double_max_tokens']}"] += 1
            case "question.asked":
                seen[f"asked {data['kind']}"] += 1
            case "question.closed":
                question = before.questions.get(data["question_id"]) if before else None
                kind = question.kind if question else "?"
                edited = " edited" if question is not None and question.plan is not None else ""
                seen[f"closed {kind} {data['how']} by {data['by']}{edited}"] += 1
            case "model.started":
                seen[f"call {data['purpose']} in {after.phase}"] += 1
            case "review.decided":
                seen[f"review {data['review']['decision']}"] += 1


def _head(reason: str) -> str:
    """The fixed words of a reason: without names, numbers and what a model said."""
    text = re.split(r"[:;\n漢é\"\x00]", reason)[0]
    return re.sub(r"r\d+s\d+|own\d+|solo|x\d+|[\d.$]+", "#", text)[:60]


def _attempt_started(before: RunState, event: Event, after: RunState) -> None:
    step = before.steps[event.step_id or ""]
    assert before.phase == "executing", "attempts begin while executing only"
    assert step.status == "pending"
    assert event.attempt == len(step.attempts) + 1 <= 2, "at most two attempts"
    undone = [d for d in step.step.deps if before.steps[d].status != "done"]
    assert not undone, f"{event.step_id} began before {undone}"
    going = [
        key
        for key, s in after.steps.items()
        if s.attempts and s.attempts[-1].outcome is None and s.status != "skipped"
    ]
    assert len(going) <= before.max_parallel, f"{going} at once"
    assert not before.paused
    assert before.cancel is None


def _finished(before: RunState, after: RunState) -> None:
    live = after.live_steps()
    assert not after.open
    assert not after.questions
    if after.final == "done":
        assert all(step.status == "done" for step in live), "done needs every live step"
        assert before.verdict is not None, "done needs a check"
        assert before.verdict.ok, "done needs a check that passed"
        assert after.reason == ""
    else:
        assert after.reason.strip(), f"{after.final} says why"
    if after.final in {"done", "partial"}:
        assert after.answer is not None, f"{after.final} has an answer"
        assert after.answer.text.strip()
    if after.final == "failed":
        assert not any(step.status == "done" for step in after.steps.values())
    assert (after.final == "cancelled") == (before.cancel is not None)
    assert all(s.status != "running" for s in live), "no step goes on after the end"


class Unchanged:
    """Watches that no event changes the state it is applied to."""

    def __init__(self, then: Rules) -> None:
        self._then = then
        self._dump = ""

    def __call__(self, before: RunState | None, event: Event, after: RunState) -> None:
        assert before is None or before.model_dump_json() == self._dump, event.type
        self._dump = after.model_dump_json()
        self._then(before, event, after)


def check_event(event: Event) -> None:
    """The event has a type of the catalogue, its data is of that type and small enough."""
    kind = TYPES[event.type]
    assert kind.model_validate(event.data).model_dump(mode="json") == event.data
    assert json_bytes(event.data) <= MAX_DATA_BYTES
