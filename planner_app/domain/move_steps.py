"""What follows while steps are carried out: attempts begin, act, report, fail and are retried."""

from __future__ import annotations

from datetime import datetime

from planner_app.domain.answers import fitted
from planner_app.domain.catalogue import (
    AnswerDrafted,
    AttemptFinished,
    AttemptStarted,
    LoopFound,
    Outcome,
    RunPhase,
    StallCounted,
    StepChanged,
    StepStatus,
    TurnRefused,
)
from planner_app.domain.events import EventDraft
from planner_app.domain.loops import SILENT_TURNS, loop_verdict
from planner_app.domain.move_changes import ask, replanned
from planner_app.domain.move_types import CallModel, Move, Record, RunAction, further_call, move_id
from planner_app.domain.plan import Answer, Claim, Question, Report
from planner_app.domain.state import Attempt, RunState, StepState

MAX_ATTEMPTS = 2
MAX_STALLS = 3
MAX_ORPHANS = 4
"""So often an action may be begun again after its driver ended."""
REPORTS_TO_REVIEW = 4
UNHEARD = "the person added a message that nobody has read yet"


def executing(state: RunState, now: datetime) -> list[Move]:
    """The plan's steps go on; where they cannot, the run goes to review, planning or answering."""
    moves = step_moves(state, now, starting=True)
    if any(isinstance(move, Record) for move in moves):
        return moves
    if change := _left_executing(state):
        return [Record(tuple(change))]
    return moves


def _left_executing(state: RunState) -> list[EventDraft]:
    """Why executing ends here; empty: it goes on."""
    live = state.live_steps()
    if live and all(step.status == "done" for step in live):
        return _all_done(state, live)
    if state.stalls >= MAX_STALLS:
        return replanned(state, "stall: three setbacks in a row", fresh=True)
    if any(step.unreviewed for step in live):
        reasons = [f"{s.step.id} {s.status}: {s.reason}" for s in live if s.unreviewed]
        return [RunPhase(phase="reviewing", reason="; ".join(reasons)[:500]).draft()]
    if state.reports_since_review >= REPORTS_TO_REVIEW:
        return [RunPhase(phase="reviewing", reason="four reports since the last review").draft()]
    if any(step.status == "running" for step in live) or _ready(state):
        return []
    return replanned(state, "deadlock: no step can start and not all are done", fresh=False)


def _all_done(state: RunState, live: list[StepState]) -> list[EventDraft]:
    """A task of one step is answered by its report; anything else is put together.

    A message that nobody was told goes to the planner first.
    """
    if state.unheard:
        return [RunPhase(phase="reviewing", reason=UNHEARD).draft()]
    report = live[0].report
    alone = len(live) == 1 and state.revision == 1 and not state.has_schema
    alone = alone and state.answer is None
    if not alone or report is None or not report.result.strip():
        return [RunPhase(phase="answering").draft()]
    step = live[0]
    return [
        AnswerDrafted(
            answer=report_answer(report, step.source_id),
            number=state.answer_number + 1,
            by="executor",
        ).draft(actor="executor"),
        RunPhase(phase="answering", reason="").draft(),
    ]


def report_answer(report: Report, source_id: int | None) -> Answer:
    """A report as an answer: its result is one claim on its evidence, or on what was computed."""
    cited = list(dict.fromkeys(e.source_id for e in report.evidence))
    if not cited and source_id is not None:
        cited = [source_id]
    marks = "".join(f" [{n}]" for n in cited if f"[{n}]" not in report.result)
    quote = report.evidence[0].quote if report.evidence else ""
    return fitted(
        Answer(
            text=report.result + marks,
            claims=[Claim(text=report.result[:500], source_ids=cited, quote=quote)]
            if cited
            else [],
            artifacts=report.artifacts,
            confidence="medium",
        )
    )


def step_moves(state: RunState, now: datetime, *, starting: bool) -> list[Move]:
    """The moves of running steps, after those that begin where `starting` allows it."""
    for step in state.live_steps():
        if step.status == "running" and (facts := _decided(state, step, now)):
            return [Record(tuple(facts))]
    if starting and (begun := _begun(state)):
        return [Record(tuple(begun))]
    moves: list[Move] = []
    for step in state.live_steps():
        if step.status == "running":
            moves += _due(state, step)
    return moves


def concluded_reports(state: RunState) -> list[EventDraft]:
    """The end of an attempt that has reported; empty: none has."""
    for step in state.live_steps():
        attempt = step.attempts[-1] if step.status == "running" else None
        if attempt is not None and attempt.next == "reported" and attempt.report is not None:
            return _concluded_report(state, step, attempt, attempt.report)
    return []


def _begun(state: RunState) -> list[EventDraft]:
    """Attempts at ready steps, as many as may run side by side."""
    if _must_leave(state):
        return []
    running = sum(step.status == "running" for step in state.steps.values())
    drafts = []
    for step in _ready(state)[: max(0, state.max_parallel - running)]:
        number = len(step.attempts) + 1
        seed = 1 + sum(map(ord, f"{step.step.id}/{number}")) % 100_000
        started = AttemptStarted(objective=step.step.objective[:500], seed=seed)
        drafts += [
            started.draft(step_id=step.step.id, attempt=number),
            StepChanged(status="running").draft(step_id=step.step.id, attempt=number),
        ]
    return drafts


def _must_leave(state: RunState) -> bool:
    """Whether a review or a new plan is due, so that nothing new begins."""
    return (
        state.stalls >= MAX_STALLS
        or state.reports_since_review >= REPORTS_TO_REVIEW
        or any(step.unreviewed for step in state.live_steps())
    )


def _ready(state: RunState) -> list[StepState]:
    done = {key for key, step in state.steps.items() if step.status == "done"}
    return [
        step
        for step in state.live_steps()
        if step.status == "pending"
        and len(step.attempts) < MAX_ATTEMPTS
        and done.issuperset(step.step.deps)
    ]


def _decided(state: RunState, step: StepState, now: datetime) -> list[EventDraft]:
    """What follows by itself from what a running attempt did last."""
    attempt = step.attempts[-1]
    key = step.step.id
    if attempt.doubt is not None:
        return []
    if attempt.next == "reported" and attempt.report is not None:
        return _concluded_report(state, step, attempt, attempt.report)
    if attempt.next == "act" and _kills_its_driver(state, key, attempt):
        why = f"the process that ran its action ended {MAX_ORPHANS} times"
        return concluded(state, step, "failed", why)
    if attempt.next == "failed":
        return concluded(state, step, "failed", attempt.reason)
    verdict = loop_verdict(attempt.keys, attempt.nudged)
    if verdict is not None:
        found = LoopFound(kind=verdict.kind, count=verdict.count, fatal=verdict.fatal)
        drafts = [found.draft(step_id=key, attempt=attempt.number)]
        if verdict.fatal:
            reason = f"the same turn came {verdict.count} times"
            drafts += concluded(state, step, "loop", reason)
        return drafts
    if attempt.silent >= SILENT_TURNS:
        return concluded(state, step, "silent", "three turns without code or report")
    if limit := _at_limit(state, step, attempt):
        return limit
    if attempt.next == "act" and "action" in state.refused:
        return concluded(state, step, "blocked", "the person allows no action in this run")
    if attempt.next == "act" and attempt.question is None and _asks_before(state, attempt):
        question = Question(text=f"May this action of step {key} run?")
        return [ask(state, "action", [question], now, key, attempt.number)]
    return []


def _kills_its_driver(state: RunState, step_id: str, attempt: Attempt) -> bool:
    base = f"action/{step_id}/{attempt.number}/{attempt.code_turn}"
    return state.tries.get(base, 0) >= MAX_ORPHANS


def _at_limit(state: RunState, step: StepState, attempt: Attempt) -> list[EventDraft]:
    """An attempt that used its actions is told to report once, and then ended."""
    most = step.step.max_actions
    key = step.step.id
    if attempt.turns > 2 * most + 8:
        return concluded(state, step, "limit", f"no report after {attempt.turns} turns")
    if attempt.actions < most:
        return []
    if attempt.next == "act" and attempt.limit_told:
        return concluded(state, step, "limit", f"no report within {most} actions")
    if not attempt.limit_told:
        message = f"All {most} actions of this step are used. Write your report now."
        refused = TurnRefused(kind="limit", message=message)
        return [refused.draft(step_id=key, attempt=attempt.number)]
    return []


def _asks_before(state: RunState, attempt: Attempt) -> bool:
    return (
        state.approve == "actions"
        and "action" not in state.allowed
        and attempt.approved_turn != attempt.code_turn
    )


def _concluded_report(
    state: RunState, step: StepState, attempt: Attempt, report: Report
) -> list[EventDraft]:
    reason = (report.next_hint or report.result)[:300]
    if report.verdict == "done":
        key = step.step.id
        finished = AttemptFinished(outcome="done" if report.progress else "no_progress")
        drafts = [
            finished.draft(step_id=key, attempt=attempt.number),
            StepChanged(status="done").draft(step_id=key, attempt=attempt.number),
        ]
        if report.progress and state.stalls:
            drafts.append(StallCounted(stalls=state.stalls - 1, reason=f"{key} done").draft())
        elif not report.progress:
            drafts.append(
                StallCounted(stalls=state.stalls + 1, reason=f"{key}: no progress").draft()
            )
        return drafts
    return concluded(state, step, report.verdict, reason)


def concluded(state: RunState, step: StepState, outcome: Outcome, reason: str) -> list[EventDraft]:
    """An attempt ended short of done: it is tried again once, or called for review."""
    key, number = step.step.id, len(step.attempts)
    status: StepStatus
    if outcome == "blocked":
        status = "blocked"
    elif outcome == "surprise" or number >= MAX_ATTEMPTS:
        status = "failed"
    else:
        status = "pending"
    drafts = [
        AttemptFinished(outcome=outcome, reason=reason[:1000]).draft(step_id=key, attempt=number),
        StepChanged(status=status, reason=reason[:1000]).draft(step_id=key, attempt=number),
    ]
    if outcome not in {"blocked", "surprise", "cancelled"}:
        stalls = StallCounted(stalls=state.stalls + 1, reason=f"{key}: {outcome}")
        drafts.append(stalls.draft())
    return drafts


def _due(state: RunState, step: StepState) -> list[Move]:
    """The model turn or the action that a running attempt waits for."""
    attempt, key = step.attempts[-1], step.step.id
    if attempt.question is not None:
        return []
    mine = [m for m in state.open.values() if (m.step_id, m.attempt) == (key, attempt.number)]
    if mine:
        return []
    if attempt.doubt is not None:
        return [further_call(state, attempt.doubt, key, attempt.number)]
    if attempt.next == "act" and attempt.code is not None:
        base = f"action/{key}/{attempt.number}/{attempt.code_turn}"
        return [
            RunAction(
                id=move_id(state, base),
                step_id=key,
                attempt=attempt.number,
                turn=attempt.code_turn,
                code=attempt.code,
            )
        ]
    turn = attempt.turns + 1
    return [
        CallModel(
            id=move_id(state, f"act/{key}/{attempt.number}/{turn}"),
            role="executor",
            purpose="act",
            conversation=f"executor/{key}/{attempt.number}",
            turn=turn,
            step_id=key,
            attempt=attempt.number,
        )
    ]
