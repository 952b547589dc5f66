"""What a run is at one moment: the fold of its events so far."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from planner_app.domain.catalogue import (
    Attachment,
    BudgetLimits,
    FinalStatus,
    Outcome,
    Phase,
    Purpose,
    QuestionKind,
    Role,
    StepStatus,
)
from planner_app.domain.plan import Answer, CheckVerdict, Facts, Plan, Report, Review, Step
from planner_app.domain.spent import Spent
from planner_app.domain.summary import RunSummary

Status = Literal[
    "queued",
    "planning",
    "executing",
    "reviewing",
    "answering",
    "checking",
    "waiting_user",
    "paused",
    "done",
    "partial",
    "failed",
    "cancelled",
]


Reply = Literal["answered", "approved", "rejected"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Note(_Frozen):
    """Something a model is told at its next turn."""

    kind: Literal[
        "observation", "refused", "nudge", "steer", "answer", "defaults", "rejected", "problems"
    ]
    text: str = ""
    sha: str | None = None
    """Blob with the text, where it is long; None: `text` is all."""
    seq: int = 0
    """Of the event that holds the person's message it carries; 0: it carries none."""


class TurnKey(_Frozen):
    """What loop detection compares of one executed turn."""

    code: str
    observation: str
    error: bool


class Doubt(_Frozen):
    """A reply that one further call may better before the run goes on from it."""

    kind: Literal["commit", "translate"]
    role: Role
    purpose: Purpose
    """Of the reply."""
    conversation: str
    turn: int


class Attempt(_Frozen):
    """One try at a step, in its own sandbox."""

    number: int
    seed: int = 0
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    """None: still going."""
    reason: str = ""
    turns: int = 0
    """Model turns that ended, well or not."""
    actions: int = 0
    next: Literal["ask", "act", "reported", "failed", "waiting"] = "ask"
    """What is due: a model turn, the code of the last one, or a decision on what came."""
    code: str | None = None
    """sha256 of the code to run; None: nothing waits."""
    code_turn: int = 0
    outbox: tuple[Note, ...] = ()
    said: tuple[Note, ...] = ()
    """What the person told this attempt, kept for when its conversation is made shorter."""
    keys: tuple[TurnKey, ...] = ()
    silent: int = 0
    """Turns in a row with neither code nor report."""
    truncated: int = 0
    doubled: bool = False
    nudged: bool = False
    limit_told: bool = False
    evidence_told: bool = False
    approved_turn: int = 0
    """Newest turn whose action a person allowed."""
    question: str | None = None
    """Open question that this attempt waits for."""
    report: Report | None = None
    doubt: Doubt | None = None
    live: bool = False
    """Whether a sandbox with this attempt's variables was last seen alive."""


class StepState(_Frozen):
    """A step of the plan and what became of it."""

    step: Step
    revision: int
    status: StepStatus = "pending"
    reason: str = ""
    attempts: tuple[Attempt, ...] = ()
    report: Report | None = None
    """Of the newest attempt that reported."""
    values: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Variables handed on: name to {kind, preview, bytes, type, sha}."""
    workspace: str | None = None
    """sha256 of the workspace as a tar; None: no files were left."""
    source_id: int | None = None
    unreviewed: bool = False
    """Whether what happened calls for a review that has not begun."""
    asked: bool = False
    """Whether it goes on waiting for a person."""


class SourceRef(_Frozen):
    """A numbered source."""

    n: int
    kind: str
    title: str
    url: str | None = None
    sha256: str = ""
    text: str | None = None
    """sha256 of its readable text; None: the content is the text."""
    weak: bool = False


class ArtifactRef(_Frozen):
    """A file that the run produced."""

    name: str
    title: str
    bytes: int
    mime: str
    sha256: str
    step_id: str | None = None


class OpenQuestion(_Frozen):
    """What a person is asked, until it is closed."""

    id: str
    kind: QuestionKind
    questions: tuple[tuple[str, str], ...]
    """(text, default) each."""
    deadline: datetime | None = None
    step_id: str | None = None
    attempt: int | None = None
    reply: tuple[Reply, str] | None = None
    """What the person said, before the run drew its conclusion."""
    scope: Literal["once", "run"] = "once"
    plan: Plan | None = None
    """The person's own edit, with a plan's approval."""
    about: str = ""
    """What a permission is for."""


class OpenMove(_Frozen):
    """A move that was started and has not ended."""

    kind: Literal["model", "action", "tool"]
    started_at: datetime
    step_id: str | None = None
    attempt: int | None = None
    role: Role | None = None
    model: str = ""
    """Name of the model that was asked."""
    purpose: Purpose | None = None
    conversation: str | None = None
    appended: tuple[str, ...] = ()
    restart: bool = False
    """Whether `appended` is the whole conversation and not an addition to it."""
    told: int = 0
    """How many notes of the outbox the request carries."""
    reports: dict[str, int] = Field(default_factory=dict)
    """Step id to the number of its ended attempts, as the planner's request could tell them."""
    tokens: int = 0
    usd: float | None = None


class Correction(_Frozen):
    """An unreadable text that a short chat is to put right."""

    purpose: Literal["review", "answer", "check"]
    number: int
    bad: str
    problems: tuple[str, ...]


class RunState(_Frozen):
    """The whole of a run."""

    run_id: str
    task_id: str
    text: str
    """The first 2,000 characters of the task."""
    text_sha: str | None = None
    schema_sha: str | None = None
    team: str = "default"
    models: dict[str, str] = Field(default_factory=dict)
    api_bases: dict[str, str] = Field(default_factory=dict)
    """Model to the address of the local server that was found serving it."""
    mode: Literal["team", "solo"] = "team"
    max_parallel: int = 3
    attachments: tuple[Attachment, ...] = ()
    budget: BudgetLimits = Field(default_factory=BudgetLimits)
    approve: Literal["never", "outside", "plan", "actions"] = "outside"
    answer_seconds: float | None = 900.0
    net: str = "open"
    sandbox: Literal["docker", "unsafe-host"] = "docker"
    limits: dict[str, float] = Field(default_factory=dict)
    tools: dict[str, str] = Field(default_factory=dict)
    has_schema: bool = False
    no_input: bool = False
    headless: bool = False
    example: str | None = None
    parent_run_id: str | None = None
    background: str = ""

    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    last_seq: int = 0
    last_at: datetime
    active_seconds: float = 0.0
    fence: int | None = None

    phase: Phase = "queued"
    phase_reason: str = ""
    """Why the run went on to this phase; empty: as planned."""
    paused: bool = False
    cancel: str | None = None
    """Why the person cancelled; None: did not."""
    final: FinalStatus | None = None
    reason: str = ""
    """Why it ended other than done."""
    shortfall: str = ""
    """Why the answer will be partial, as soon as that is sure."""
    fatal: str = ""
    """A model that the run cannot do without has failed for good."""
    down: tuple[Role, ...] = ()
    """Roles whose model has failed for good."""
    gone: dict[Role, tuple[str, ...]] = Field(default_factory=dict)
    """Models that have failed for good and were replaced, by role."""
    used_up: str | None = None
    """Which budget is spent; None: none."""

    plan: Plan | None = None
    revision: int = 0
    proposed: Plan | None = None
    approved_plan: bool = False
    edited_plan: bool = False
    """Whether the approved plan is the person's own edit."""
    plan_tries: int = 0
    replans: int = 0
    planner_chat: int = 1
    asked_clarify: bool = False
    reviews_asked: int = 0
    stalls: int = 0
    reports_since_review: int = 0
    review: Review | None = None
    """A decision that has not been carried out."""
    facts: Facts = Field(default_factory=Facts)
    steps: dict[str, StepState] = Field(default_factory=dict)
    outbox: tuple[Note, ...] = ()
    """For the planner."""
    said: tuple[Note, ...] = ()
    """What the person told the run: their messages, and their answers to the planner."""
    unheard: tuple[int, ...] = ()
    """The events of the person's messages that no agent has been told."""
    reported: int = 0
    """Reports in all; with `planner_told` it says which the planner has not read."""
    planner_told: dict[str, int] = Field(default_factory=dict)
    """Step id to the number of its attempts whose outcome the planner has been told."""

    questions: dict[str, OpenQuestion] = Field(default_factory=dict)
    questions_asked: int = 0
    allowed: tuple[str, ...] = ()
    """What a person allowed for the whole run: `action`, or `network HOST`."""
    refused: tuple[str, ...] = ()
    """What a person refused for the whole run, named alike."""
    granted: tuple[tuple[str, int, str], ...] = ()
    """(step, attempt, what) that a person allowed to the action that asked for it."""
    sources: dict[int, SourceRef] = Field(default_factory=dict)
    artifacts: dict[str, ArtifactRef] = Field(default_factory=dict)

    answer: Answer | None = None
    answer_sha: str | None = None
    answer_by: Literal["planner", "executor", "engine"] = "planner"
    answer_number: int = 0
    answer_judged: bool = False
    """Whether the newest draft was looked at for claims without a source."""
    claim_checks: tuple[dict[str, Any], ...] = ()
    """What became of the newest draft's quotes, as `answer.claims_checked` says."""
    answer_refusals: int = 0
    verdict: CheckVerdict | None = None
    check_fails: int = 0
    correction: Correction | None = None
    doubt: Doubt | None = None
    """Of the planner's or checker's newest reply; an attempt has its own."""

    conversations: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Conversation to the sha256 of its messages in order."""
    requests: dict[str, str] = Field(default_factory=dict)
    """Conversation to the newest move whose request it holds."""
    windows: dict[str, int] = Field(default_factory=dict)
    """Model to the tokens that its context takes, where it was found to take less than thought."""
    context_tokens: dict[str, int] = Field(default_factory=dict)
    """Conversation to the tokens of its newest request, by whoever counted that call."""
    role_turns: dict[str, int] = Field(default_factory=dict)
    tries: dict[str, int] = Field(default_factory=dict)
    """Move without its try to how often it was orphaned."""
    open: dict[str, OpenMove] = Field(default_factory=dict)
    spent: Spent = Field(default_factory=Spent)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def status(self) -> Status:
        """The one word that screens show."""
        if self.final:
            return self.final
        if self.paused:
            return "paused"
        if self._waits():
            return "waiting_user"
        return self.phase

    def _waits(self) -> bool:
        """Whether all that goes on waits for a person: an action may, for leave of its own."""
        if not self.questions:
            return False
        asking = {(q.step_id, q.attempt) for q in self.questions.values() if q.kind == "network"}
        return all((move.step_id, move.attempt) in asking for move in self.open.values())

    @property
    def works(self) -> bool:
        """Whether time that passes now is run time; waiting for a person is not."""
        return self.status not in {"queued", "paused", "waiting_user"} and self.final is None

    def done_steps(self) -> frozenset[str]:
        """The ids of the steps that are done, of any revision."""
        return frozenset(key for key, step in self.steps.items() if step.status == "done")

    def live_steps(self) -> list[StepState]:
        """The steps that count: of any revision, but not skipped."""
        return [s for s in self.steps.values() if s.status != "skipped"]

    def summary(self) -> RunSummary:
        """What lists show."""
        live = self.live_steps()
        deadlines = [q.deadline for q in self.questions.values() if q.deadline]
        needs = next(iter(self.questions.values())).questions[0][0] if self.questions else ""
        title = next((line.strip() for line in self.text.splitlines() if line.strip()), "")
        return RunSummary(
            status=self.status,
            phase=self.phase,
            title=title[:120],
            example=self.example,
            steps_done=sum(s.status == "done" for s in live),
            steps_total=len(live),
            usd=self.spent.usd,
            unpriced_calls=self.spent.unpriced_calls,
            tokens=self.spent.tokens,
            calls=self.spent.calls,
            actions=self.spent.actions,
            started_at=self.started_at.isoformat() if self.started_at else None,
            ended_at=self.ended_at.isoformat() if self.ended_at else None,
            active_seconds=self.active_seconds,
            wake_at=min(deadlines).isoformat() if deadlines else None,
            needs=needs[:200],
            answer_head=self.answer.text[:300] if self.answer and self.final else "",
            reason=self.reason,
        )
