"""What follows once steps are over: the answer is written, judged, checked, and the run ends."""

from __future__ import annotations

from datetime import datetime

from planner_app.domain.answers import answer_problems, composed_answer
from planner_app.domain.budget import shortage
from planner_app.domain.catalogue import AnswerDrafted, AnswerRefused, RunFinished, RunPhase
from planner_app.domain.events import EventDraft
from planner_app.domain.move_changes import replanned
from planner_app.domain.move_steps import UNHEARD
from planner_app.domain.move_types import Move, Record, correction_of, planner_call
from planner_app.domain.sizes import brief, cut
from planner_app.domain.state import RunState

MAX_REFUSALS = 1
"""So often an answer goes back for its sources."""
MAX_CHECK_FAILS = 2
MAX_CORRECTIONS = 2
UNSOURCED = "some claims could not be verified"


def answering(state: RunState, now: datetime) -> list[Move]:
    """The planner writes the answer; claims without a source go back to it."""
    if state.open:
        return []  # what its own call has reserved must not count against it
    if state.doubt is not None:
        return planner_call(state, "answer")
    if state.answer is not None and not state.answer_judged:
        if unheard := _turned_back(state, now):
            return [Record(tuple(unheard))]
        problems = answer_problems(state)
        again = "planner" not in state.down and not shortage(state, now, "answer")
        if problems and again and state.answer_refusals < MAX_REFUSALS:
            return [Record((_refused(state, problems),))]
        reason = UNSOURCED if problems else ""
        return [Record((RunPhase(phase="checking", reason=reason).draft(),))]
    wanted = correction_of(state, "answer")
    unreadable = wanted is not None and wanted.number > MAX_CORRECTIONS
    if "planner" in state.down or unreadable or shortage(state, now, "answer"):
        return [Record(tuple(_composed(state)))]
    return planner_call(state, "answer")


def _turned_back(state: RunState, now: datetime) -> list[EventDraft]:
    """A message that came too late for the draft is read before anything else goes out.

    Empty: there is none, or nothing pays for more.
    """
    if not state.unheard or state.answer is None or state.used_up is not None:
        return []
    if "planner" in state.down or shortage(state, now, "review"):
        return []
    superseded = AnswerRefused(problems=[UNHEARD], number=state.answer_refusals).draft()
    if not state.live_steps():
        return [superseded, *replanned(state, UNHEARD, fresh=False)]
    return [superseded, RunPhase(phase="reviewing", reason=UNHEARD).draft()]


def _refused(state: RunState, problems: list[str]) -> EventDraft:
    told = [cut(problem, 400) for problem in problems[:20]]
    return AnswerRefused(problems=told, number=state.answer_refusals + 1).draft()


def _composed(state: RunState) -> list[EventDraft]:
    """An answer from the finished reports, without a model."""
    if state.answer is not None:
        return [_finished(state, "a better answer could not be written")]
    cause = state.fatal if "planner" in state.down else "the planner could not write the answer"
    why = "; ".join(brief(one) for one in dict.fromkeys((state.shortfall, cause)) if one)
    answer = composed_answer(state)
    if answer is None:
        return [RunFinished(status="failed", reason=why).draft()]
    return [
        AnswerDrafted(answer=answer, number=state.answer_number + 1, by="engine").draft(),
        RunFinished(status="partial", reason=f"{why}; put together from the reports").draft(),
    ]


def checking(state: RunState, now: datetime) -> list[Move]:
    """The checker reads the answer; what fails goes back once more, what passes ends the run."""
    if state.open:
        return []
    if unheard := _turned_back(state, now):
        return [Record(tuple(unheard))]
    if state.doubt is not None:
        return planner_call(state, "check")
    if state.verdict is not None:
        return [Record(tuple(_after_check(state, now)))]
    if "checker" in state.down:
        return [Record((_finished(state, f"the answer was not checked: {state.fatal}"),))]
    wanted = correction_of(state, "check")
    if wanted is not None and wanted.number > MAX_CORRECTIONS:
        return [Record((_finished(state, "the check could not be read"),))]
    if short := shortage(state, now, "check"):
        why = f"the answer was not checked: {short.detail}"
        return [Record((_finished(state, why),))]
    return planner_call(state, "check")


def _after_check(state: RunState, now: datetime) -> list[EventDraft]:
    verdict = state.verdict
    if verdict is None or verdict.ok:
        return [_finished(state, "")]
    problems = [*verdict.problems, *(f"unsupported: {claim}" for claim in verdict.unsupported)]
    problems = problems or ["the check did not pass"]
    again = "planner" not in state.down and not shortage(state, now, "answer")
    if again and state.check_fails < MAX_CHECK_FAILS:
        return [_refused(state, problems), RunPhase(phase="answering").draft()]
    return [_finished(state, f"the check found: {'; '.join(problems)[:500]}")]


def _finished(state: RunState, shortfall: str) -> EventDraft:
    """The end with an answer: done only when every live step is, and nothing is amiss."""
    why = [reason for reason in (state.shortfall, shortfall) if reason]
    if not why and any(step.status != "done" for step in state.live_steps()):
        why.append("not every step was done")
    if not why and answer_problems(state):
        why.append(UNSOURCED)
    if not why and state.unheard:
        why.append("a message of the person came too late to be read")
    reason = "; ".join(brief(one) for one in why)
    return RunFinished(status="partial" if why else "done", reason=reason).draft()
