"""What simulated models write: plans, turns, reports, reviews, answers and verdicts, by chance."""

from __future__ import annotations

import random
from dataclasses import replace

from planner_app.domain.answers import fitted
from planner_app.domain.catalogue import (
    AnswerChecked,
    AnswerDrafted,
    ClaimsChecked,
    PlanProposed,
    PlanRefused,
    Purpose,
    ReplyDoubted,
    ReplyRefused,
    ReplySettled,
    ReviewDecided,
    StepReported,
    TurnRefused,
    TurnTaken,
)
from planner_app.domain.events import EventDraft
from planner_app.domain.moves import CallModel
from planner_app.domain.plan import (
    Answer,
    CheckVerdict,
    Claim,
    Evidence,
    Plan,
    Question,
    Report,
    Review,
    Step,
    VerifiedFact,
    plan_problems,
)
from planner_app.domain.state import Doubt, RunState
from tests.domain.nature import Nature, words


def said(call: CallModel, state: RunState, nature: Nature, rng: random.Random) -> list[EventDraft]:
    """What the die makes of a model's turn."""
    purpose = call.purpose
    if purpose == "act":
        draft = _acted(call, nature, rng)
    elif purpose in {"plan", "replan"}:
        draft = _planned(state, nature, rng)
    else:
        draft = _talked(call, state, nature, rng)
    where = {"move_id": call.id, "step_id": call.step_id, "attempt": call.attempt}
    drafts = [draft]
    if not draft.type.endswith(".refused") and rng.random() < nature.doubted:
        drafts.append(
            ReplyDoubted(
                kind=rng.choice(["commit", "translate"]),
                role=call.role,
                purpose=_about(call, state),
                conversation=call.conversation,
                turn=call.turn,
            ).draft()
        )
    if draft.type == "answer.drafted" and rng.random() < 0.5:
        number, found = draft.data["number"], rng.random() < nature.cited
        check = {"claim": 0, "source_id": 1, "found": found}
        drafts.append(ClaimsChecked(number=number, checks=[check]).draft())
    return [one.model_copy(update=where) for one in drafts]


def settled(
    call: CallModel, doubt: Doubt, state: RunState, nature: Nature, rng: random.Random
) -> list[EventDraft]:
    """What a further call makes of a reply in doubt: another in its place, or nothing."""
    assert doubt.kind == call.purpose
    again = replace(call, purpose=doubt.purpose)
    facts = [d for d in said(again, state, nature, rng) if d.type != "reply.doubted"]
    taken = not any(fact.type.endswith(".refused") for fact in facts) and rng.random() < 0.5
    where = {"move_id": call.id, "step_id": call.step_id, "attempt": call.attempt}
    over = ReplySettled(kind=doubt.kind, taken=taken).draft(**where)
    return [over, *(facts if taken else [])]


def _acted(call: CallModel, nature: Nature, rng: random.Random) -> EventDraft:
    chance = rng.random()
    if chance < nature.code:
        return TurnTaken(turn=call.turn).draft(blobs={"code": "c"})
    if chance < nature.code + nature.report:
        result = rng.choice(["", "found", "found [1]"])
        report = Report(
            verdict=rng.choice(nature.verdicts),
            result=words(nature, rng, result, 6_000),
            progress=rng.random() < nature.progress,
            evidence=[Evidence(source_id=1, quote=words(nature, rng, "", 900))]
            if rng.random() < 0.5
            else [],
            artifacts=["chart.png"] if rng.random() < 0.1 else [],
            next_hint=words(nature, rng, "", 3_000),
        )
        return StepReported(report=report, source_id=rng.choice([None, 1])).draft()
    kind = rng.choice(nature.refusals)
    double = kind == "truncated" and rng.random() < 0.5
    return TurnRefused(
        kind=kind, message=words(nature, rng, "no", 4_000), double_max_tokens=double
    ).draft()


def _planned(state: RunState, nature: Nature, rng: random.Random) -> EventDraft:
    plan = _plan(state, nature, rng)
    done = frozenset(k for k, s in state.steps.items() if s.status == "done")
    if problems := plan_problems(plan, done, frozenset(state.steps)):
        told = [problem[:300] for problem in problems[:20]]
        return PlanRefused(problems=told, number=state.plan_tries + 1).draft()
    return PlanProposed(plan=plan, revision=state.revision + 1).draft()


def _plan(state: RunState, nature: Nature, rng: random.Random) -> Plan:
    chance = rng.random()
    if chance < nature.plan_answers:
        return Plan(answer=words(nature, rng, "42", 9_000))
    if chance < nature.plan_answers + nature.plan_asks:
        return Plan(questions=questions(nature, rng, rng.choice([1, 3])))
    size = rng.choice(nature.sizes)
    ids = [f"r{state.revision}s{i}" for i in range(size)]
    older = [k for k, s in state.steps.items() if s.status == "done"]
    steps = [
        Step(
            id=key,
            objective=words(nature, rng, "do", 8_000 // size),
            max_actions=rng.choice(nature.actions),
            deps=[d for d in [*older, *ids[:i]] if rng.random() < 0.2],
        )
        for i, key in enumerate(ids)
    ]
    if rng.random() < nature.bad_plan:
        steps = _spoilt(steps, state, rng)
    return Plan(steps=steps)


def _spoilt(steps: list[Step], state: RunState, rng: random.Random) -> list[Step]:
    """The steps with one thing that no plan may hold."""
    first = steps[0]
    spoil = rng.choice(["cycle", "unknown", "twice", "old", "empty", "many", "objective"])
    if spoil == "empty":
        return []
    if spoil == "many":
        return [first.model_copy(update={"id": f"x{i}"}) for i in range(13)]
    if spoil == "twice":
        return [*steps, first]
    if spoil == "cycle":
        return [first.model_copy(update={"deps": [steps[-1].id]}), *steps[1:]]
    if spoil == "old" and state.steps:
        return [first.model_copy(update={"id": next(iter(state.steps))}), *steps[1:]]
    if spoil == "objective":
        return [first.model_copy(update={"objective": " "}), *steps[1:]]
    return [first.model_copy(update={"deps": ["nowhere"]}), *steps[1:]]


def questions(nature: Nature, rng: random.Random, number: int) -> list[Question]:
    return [
        Question(
            text=words(nature, rng, "which one?", 6_000 // number),
            default=rng.choice(["", "both"]),
        )
        for _ in range(number)
    ]


def _talked(call: CallModel, state: RunState, nature: Nature, rng: random.Random) -> EventDraft:
    """A review, an answer, a check, or a correction of one of them."""
    correction, purpose = state.correction, _about(call, state)
    if rng.random() < nature.unreadable:
        number = (correction.number if correction is not None else 0) + 1
        return ReplyRefused(purpose=purpose, problems=["bad"], number=number, bad="x").draft()
    if purpose == "review":
        return ReviewDecided(review=_review(nature, rng)).draft()
    number = state.answer_number
    if purpose == "check":
        ok = rng.random() < nature.check_ok
        problems = [] if ok else [words(nature, rng, "wrong", 500)] * rng.choice([0, 1, 25])
        return AnswerChecked(verdict=CheckVerdict(ok=ok, problems=problems), number=number).draft()
    good = rng.random() < nature.cited and 1 in state.sources
    ids = [1] if good else rng.choice([[], [1], [99]])
    claims = [Claim(text=words(nature, rng, "c", 600), source_ids=ids)] * rng.choice([1, 1, 30])
    answer = fitted(Answer(text=words(nature, rng, "so", 12_000), claims=claims))
    return AnswerDrafted(answer=answer, number=number + 1).draft()


def _about(call: CallModel, state: RunState) -> Purpose:
    """What a call is for; a correction is for what it puts right."""
    if call.purpose != "correct":
        return call.purpose
    assert state.correction is not None, "a correction needs something to correct"
    return state.correction.purpose


def _review(nature: Nature, rng: random.Random) -> Review:
    updates = [VerifiedFact(fact=words(nature, rng, "it holds", 600), source_ids=[1])]
    decision = rng.choice(nature.decisions)
    return Review(
        decision=decision,
        root_cause=words(nature, rng, rng.choice(["", "it was wrong"]), 4_000),
        fact_updates=updates * rng.choice([0, 1, 8]),
        questions=questions(nature, rng, rng.choice([1, 5])) if decision == "ask_user" else [],
    )
