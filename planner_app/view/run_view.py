"""What a screen shows of one run at one moment; made by `reducer.reduce` from its events."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from planner_app.view.entries import Entry, OpenEntry
from planner_app.view.status import ENDED
from planner_app.view.vector import Vector


@dataclass(frozen=True)
class StepView:
    """A step of the plan and how it stands."""

    id: str
    objective: str
    deps: tuple[str, ...] = ()
    kind: str = "research"
    revision: int = 1
    """Plan revision that brought it."""
    status: str = "pending"
    reason: str = ""
    attempt: int = 0
    """Newest attempt; 0: none yet."""
    actions: int = 0
    """Actions begun in the newest attempt."""
    max_actions: int = 12
    doing: str = ""
    """What happens in it now; empty: nothing."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: str = ""
    """The report's own words."""

    def seconds(self, now: datetime) -> float | None:
        """How long it has run or ran; None before it starts."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())


@dataclass(frozen=True)
class PlanView:
    """One revision of the plan."""

    revision: int
    step_ids: tuple[str, ...]
    objectives: tuple[str, ...]
    done_when: tuple[str, ...] = ()
    answer_format: str = ""
    reason: str = ""
    """Why the plan before it was given up; empty for the first."""
    by: str = "planner"
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class SourceView:
    """A numbered source."""

    n: int
    kind: str
    title: str
    url: str | None = None
    weak: bool = False
    text_sha: str | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class ArtifactView:
    """A file that the run produced."""

    name: str
    title: str
    bytes: int
    mime: str
    sha: str


@dataclass(frozen=True, slots=True)
class QuestionView:
    """What a person is asked."""

    id: str
    kind: str
    """clarify, ask_user, plan, action, network, budget or review."""
    questions: tuple[tuple[str, str], ...]
    """(text, default) each."""
    seq: int
    index: int
    """Place of its entry in the timeline."""
    step_id: str | None = None
    attempt: int | None = None
    deadline: datetime | None = None

    @property
    def wants_approval(self) -> bool:
        """Whether it is answered by yes or no rather than by words."""
        return self.kind in ("plan", "action", "network", "budget")

    @property
    def text(self) -> str:
        """All that is asked, a line each."""
        return "\n".join(text for text, _default in self.questions)


@dataclass(frozen=True)
class ClaimView:
    """One statement of the answer."""

    text: str
    source_ids: tuple[int, ...] = ()
    quote: str = ""
    unsupported: bool = False
    """The checker found no quoted source that carries it."""
    quote_found: bool | None = None
    """Whether its quote stands in its source; None: it has none, or was not looked at."""
    quote_trouble: str = ""
    """Why its quote does not hold."""

    def trouble(self, known: Container[int]) -> str:
        """Why it could not be verified, among these sources; empty when nothing is amiss."""
        if not self.source_ids:
            return "no source"
        missing = [n for n in self.source_ids if n not in known]
        if missing:
            return f"{', '.join(f'[{n}]' for n in missing)} is no source of this run"
        if self.quote_found is False:
            return f"its quote: {self.quote_trouble or 'it does not stand in its source'}"
        return "the check found no support for it" if self.unsupported else ""


@dataclass(frozen=True)
class AnswerView:
    """The newest draft of the answer and what the checks said."""

    number: int
    text: str
    sha: str | None = None
    """Blob of the whole answer as JSON; `text` may be cut."""
    by: str = "planner"
    claims: tuple[ClaimView, ...] = ()
    open_points: tuple[str, ...] = ()
    confidence: str = "medium"
    place: int = 0
    """Of its entry in the timeline."""
    checked: Literal["not yet", "passed", "failed"] = "not yet"
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spent:
    """What the run has used."""

    usd: float = 0.0
    unpriced: int = 0
    tokens: int = 0
    calls: int = 0
    actions: int = 0


@dataclass(frozen=True)
class RunView:
    """A run as it looks after its event `seq`."""

    run_id: str = ""
    task_id: str = ""
    seq: int = 0
    title: str = ""
    """First line of the task."""
    task_text: str = ""
    task_sha: str | None = None
    example: str | None = None
    team: str = ""
    mode: str = "team"
    models: tuple[tuple[str, str], ...] = ()
    """(role, model name), planner first."""
    sandbox: str = "docker"
    net: str = "open"
    parent_run_id: str | None = None

    phase: str = "queued"
    paused: bool = False
    final: str | None = None
    reason: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    last_at: datetime | None = None
    active_seconds: float = 0.0
    spent: Spent = Spent()

    plans: tuple[PlanView, ...] = ()
    steps: dict[str, StepView] = field(default_factory=dict)
    """By id, in the order of their plans. Never changed in place."""
    timeline: Vector[Entry] = field(default_factory=Vector)
    open: tuple[OpenEntry, ...] = ()
    questions: tuple[QuestionView, ...] = ()
    """Open ones, oldest first."""
    sources: Vector[SourceView] = field(default_factory=Vector)
    artifacts: tuple[ArtifactView, ...] = ()
    given: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()
    answer: AnswerView | None = None
    said: tuple[tuple[int, int], ...] = ()
    """(event, place in the timeline) of each message that the person added."""
    replan_reason: str = ""
    """Of the newest re-plan, until its plan is proposed."""
    reports: tuple[tuple[str, int], ...] = ()
    """(step id, place in the timeline) of each step's newest report."""

    @property
    def status(self) -> str:
        """The one word that screens show; the same that the domain's fold gives."""
        if self.final:
            return self.final
        if self.paused:
            return "paused"
        if self._waits():
            return "waiting_user"
        return self.phase

    def _waits(self) -> bool:
        """Whether all that goes on waits for a person: an action may, for leave of its own."""
        asking = {(q.step_id, q.attempt) for q in self.questions if q.kind == "network"}
        return bool(self.questions) and all((o.step_id, o.attempt) in asking for o in self.open)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.status in ENDED

    @property
    def steps_done(self) -> int:
        """Done steps, of any revision."""
        return sum(step.status == "done" for step in self.steps.values())

    @property
    def steps_total(self) -> int:
        """Steps that count: all but the skipped ones."""
        return sum(step.status != "skipped" for step in self.steps.values())

    @property
    def works(self) -> bool:
        """Whether time that passes now is run time; waiting for a person is not."""
        return self.status not in ("queued", "paused", "waiting_user") and not self.final

    def elapsed(self, now: datetime) -> float:
        """Seconds the run has worked, up to `now` while it works."""
        if not self.works or self.last_at is None:
            return self.active_seconds
        return self.active_seconds + max(0.0, (now - self.last_at).total_seconds())

    @property
    def revision(self) -> int:
        """Of the newest accepted plan; 0: none yet."""
        return max((plan.revision for plan in self.plans if plan.accepted), default=0)

    @property
    def proposed(self) -> PlanView | None:
        """The plan that a person is asked about now; None: there is none."""
        asked = any(question.kind == "plan" for question in self.questions) and not self.ended
        return self.plans[-1] if asked and self.plans and not self.plans[-1].accepted else None

    def changes_by(self, plan: PlanView) -> list[PlanChange]:
        """What a plan changes of the newest accepted one before it."""
        before = (p for p in reversed(self.plans) if p.accepted and p.revision < plan.revision)
        return plan_diff(next(before, None), plan, self.steps)

    @property
    def source_numbers(self) -> frozenset[int]:
        """The numbers that an answer may cite."""
        return frozenset(source.n for source in self.sources)

    def source(self, n: int) -> SourceView | None:
        """The source with this number."""
        if 0 < n <= len(self.sources) and self.sources[n - 1].n == n:
            return self.sources[n - 1]
        return next((source for source in self.sources if source.n == n), None)


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What became of a step from one revision to the next."""

    sign: Literal["=", "-", "+"]
    step_id: str
    objective: str


def plan_diff(old: PlanView | None, new: PlanView, steps: dict[str, StepView]) -> list[PlanChange]:
    """The steps that a revision keeps (done ones), drops and adds."""
    changes: list[PlanChange] = []
    for step_id, objective in zip(old.step_ids, old.objectives, strict=True) if old else ():
        if step_id in new.step_ids:
            continue
        step = steps.get(step_id)
        kept = step is not None and step.status == "done"
        changes.append(PlanChange("=" if kept else "-", step_id, objective))
    old_ids = old.step_ids if old else ()
    for step_id, objective in zip(new.step_ids, new.objectives, strict=True):
        changes.append(PlanChange("=" if step_id in old_ids else "+", step_id, objective))
    return changes
