"""Every type of event, what its data says, and its version.

`docs/events.md` is generated from here. A shape changes only together with a higher `VERSIONS`
entry and an upcaster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from planner_app.domain.events import Event, EventData, EventDraft
from planner_app.domain.plan import (
    Answer,
    CheckVerdict,
    Facts,
    Plan,
    Report,
    Review,
)

Purpose = Literal[
    "plan", "replan", "review", "act", "answer", "check", "correct", "commit", "translate"
]
BETTERS = frozenset({"commit", "translate"})
"""Calls that may better a reply which stands already: they share its turn, and cost it nothing
when they fail."""
Role = Literal["planner", "executor", "checker"]
Phase = Literal["queued", "planning", "executing", "reviewing", "answering", "checking"]
FinalStatus = Literal["done", "partial", "failed", "cancelled"]
StepStatus = Literal["pending", "running", "done", "failed", "blocked", "skipped"]
Outcome = Literal[
    "done", "failed", "blocked", "surprise", "loop", "no_progress", "silent", "limit", "cancelled"
]
QuestionKind = Literal["clarify", "ask_user", "plan", "action", "network", "budget", "review"]


# --- the run -------------------------------------------------------------------------------------


class Attachment(EventData):
    """A file that came with the task. Its bytes are the event's blob of the same name."""

    name: str
    """Path inside the workspace, relative, with forward slashes."""
    sha256: str
    bytes: int


class BudgetLimits(EventData):
    """What a run may spend. None: no limit of that kind."""

    usd: float | None = 2.0
    tokens: int | None = None
    seconds: float | None = 1800.0
    """Time in which the run works; waiting for a person does not count."""
    calls: int | None = 60
    """Model calls."""
    actions: int | None = 100


class RunCreated(EventData):
    """A person submitted a task, or asked for a further run of one. Blobs: text, schema."""

    task_id: str
    text: str
    """The first 2,000 characters of the task; the blob `text` holds all of it."""
    team: str = "default"
    models: dict[str, str] = Field(default_factory=dict)
    """Role to model name, as settled when the task was submitted."""
    api_bases: dict[str, str] = Field(default_factory=dict)
    """Model to the address of the local server that was found serving it."""
    mode: Literal["team", "solo"] = "team"
    max_parallel: int = 3
    attachments: list[Attachment] = Field(default_factory=list)
    """As many as the event can hold; `run.attached` right behind it tells of the others."""
    budget: BudgetLimits = Field(default_factory=BudgetLimits)
    approve: Literal["never", "outside", "plan", "actions"] = "outside"
    answer_seconds: float | None = 900.0
    """How long a question waits for its answer before the default stands; None: for ever."""
    net: str = "open"
    """`open`, `seen`, `off`, or host names with commas between."""
    sandbox: Literal["docker", "unsafe-host"] = "docker"
    limits: dict[str, float] = Field(default_factory=dict)
    """What its sandboxes may use where the task says so itself, by the names of the settings."""
    tools: dict[str, str] = Field(default_factory=dict)
    """A person's own tool modules: name to sha256 of the source, which is a blob `tool:NAME`."""
    has_schema: bool = False
    no_input: bool = False
    """Questions take their defaults at once."""
    headless: bool = False
    """Submitted without a terminal: questions about the task itself take their defaults."""
    tags: list[str] = Field(default_factory=list)
    example: str | None = None
    """Name of the bundled example; its model replies are scripted."""
    folder: str | None = None
    """The working folder from which it was submitted; None: unknown."""
    parent_run_id: str | None = None
    parent_seq: int | None = None
    """A fork copies the parent's events up to this one; None: the run only knows its parent."""
    background: str = ""
    """For a follow-up: the earlier run's facts, answer and sources, as the planner reads them."""


class RunAttached(EventData):
    """Further files that came with the task. Blobs: each file by its name."""

    attachments: list[Attachment]


class RunClaimed(EventData):
    """A driver took the run: from here on it appends with this fence number."""

    worker_id: str
    fence: int
    version: str
    """Of the program."""
    prompts: dict[str, str] = Field(default_factory=dict)
    """Prompt name to sha256 of its text."""
    prices: dict[str, list[float] | None] = Field(default_factory=dict)
    """Model to USD per million tokens [in, out]; None: unknown."""
    profiles: dict[str, str] = Field(default_factory=dict)
    """Role to profile name."""
    models: dict[str, str] = Field(default_factory=dict)
    """Role to model name, where the task left it open; empty: as submitted."""


class RunPhase(EventData):
    """The run went on to another phase."""

    phase: Phase
    reason: str = ""


class RunFinished(EventData):
    """The run ended."""

    status: FinalStatus
    reason: str = ""
    """Why it is not `done`; empty when it is."""


class Orphaned(EventData):
    """A move that was started was not finished when its driver ended."""

    reason: str = "the process that performed it ended"


class NoteAdded(EventData):
    """Something a reader of the trace should know."""

    text: str


class BudgetUsedUp(EventData):
    """A limit is reached: from here only the reserve may be spent."""

    which: Literal["usd", "tokens", "seconds", "calls", "actions", "daily_usd"]
    detail: str = ""


# --- what people said ----------------------------------------------------------------------------


class UserCancelled(EventData):
    """The person ended the run."""

    reason: str = ""


class UserPaused(EventData):
    """The person stopped the run for now."""


class UserResumed(EventData):
    """The person let it go on."""


class UserInterrupted(EventData):
    """The person stopped the running action, not the task."""

    step: str | None = None
    """Only this step's action; None: every running one."""


class UserSteered(EventData):
    """The person added a message."""

    text: str


class UserAnswered(EventData):
    """The person answered a question."""

    text: str
    question_id: str | None = None
    """None: the oldest open one."""


class UserApproved(EventData):
    """The person allowed what was asked."""

    question_id: str | None = None
    scope: Literal["once", "run"] = "once"
    plan: Plan | None = None
    """The person's own edit of the proposed plan; None: as proposed."""


class UserRejected(EventData):
    """The person refused what was asked."""

    question_id: str | None = None
    scope: Literal["once", "run"] = "once"
    """`run`: never in this run, so it is not asked again."""
    reason: str = ""


class UserBudgeted(EventData):
    """The person set a new budget; absent limits stay."""

    limits: dict[str, float | None] = Field(default_factory=dict)


# --- model calls ---------------------------------------------------------------------------------


class ModelStarted(EventData):
    """A model is being called. Its request is the conversation plus `appended`."""

    role: Role
    purpose: Purpose
    conversation: str
    """`planner`, `planner/REVISION`, `executor/STEP/ATTEMPT`, `checker/N`, `correct/N`."""
    model: str
    profile: str = ""
    turn: int
    """1-based count of this role's calls in its conversation or, for planner and checker, run."""
    parent_request: str | None = None
    """Move whose request this one continues; None: `appended` is the whole conversation."""
    appended: list[str] = Field(default_factory=list)
    """sha256 of the messages that this request adds, in order; after a parent, its reply first."""
    said: list[int] = Field(default_factory=list)
    """The events of the person's messages that this request tells for the first time."""
    params: dict[str, Any] = Field(default_factory=dict)
    reserved_tokens: int = 0
    reserved_usd: float | None = None
    """Worst case, charged until the call ends; None: the price is unknown."""


class ModelUsage(EventData):
    """Tokens of one call and where the figures come from."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    """With the reasoning."""
    reasoning_tokens: int | None = None
    """None: not told."""
    cached_tokens: int | None = None
    source: Literal["provider", "estimated", "none"] = "none"


class ModelRetried(EventData):
    """An attempt at the call failed and is tried again."""

    number: int
    """1 for the first retry."""
    kind: str
    status: int | None = None
    """HTTP status; None: there was no answer, or it was none of HTTP's."""
    message: str
    wait_s: float
    superseded: bool = False
    """Text was shown already; it does not count."""
    usage: ModelUsage = Field(default_factory=ModelUsage)
    """What the failed try is billed for all the same."""
    usd: float | None = 0.0


class ModelFinished(EventData):
    """A model answered. Blobs: text, reasoning?, message (as it stands in the conversation)."""

    role: Role
    purpose: Purpose
    conversation: str
    model: str
    turn: int
    message: str
    """sha256 of the reply as a message of the conversation."""
    head: str = ""
    """The first 300 characters of the text."""
    finish_reason: str = "stop"
    usage: ModelUsage = Field(default_factory=ModelUsage)
    usd: float | None = None
    """Price of the call; None: unknown."""
    price_source: str = "unknown"
    ms: float = 0.0
    first_token_ms: float | None = None
    dropped_params: list[str] = Field(default_factory=list)
    thinking: dict[str, Any] = Field(default_factory=dict)
    """Thought switches and language share, or {"measurable": false}."""


class ModelOrphaned(EventData):
    """A model call was stopped under way, or the process that made it ended."""

    reason: str = "the process that performed it ended"
    usage: ModelUsage | None = None
    """What it is taken to have used, an estimate; None: nobody saw how far it came, so all that
    was reserved for it is charged."""
    usd: float | None = 0.0
    """What is charged for that; None: the price is unknown."""


class ModelFailed(EventData):
    """A model call failed for good."""

    role: Role
    purpose: Purpose
    conversation: str
    model: str
    turn: int
    kind: str
    status: int | None = None
    """HTTP status; None: there was no answer, or it was none of HTTP's."""
    message: str
    usage: ModelUsage = Field(default_factory=ModelUsage)
    usd: float | None = 0.0
    next_model: str | None = None
    """Model that takes the role over from here on; None: there is none."""
    again: bool = False
    """Its reply was of no use, as one that cannot be read: the model is asked once more."""
    window: int | None = None
    """Tokens that the model's context is taken for from here on, since it was too small for the
    request; None: as before."""


# --- plans, reviews, questions -------------------------------------------------------------------


class PlanProposed(EventData):
    """The planner wrote a valid plan."""

    plan: Plan
    revision: int


class PlanRefused(EventData):
    """The planner's text held no valid plan; the problems go back to it."""

    problems: list[str]
    number: int
    """1-based count in this round of planning."""


class PlanAccepted(EventData):
    """The plan that runs from here on."""

    plan: Plan
    revision: int
    by: Literal["planner", "user"] = "planner"
    skipped: list[str] = Field(default_factory=list)
    """Unfinished steps of the earlier plan."""


class ReplanDecided(EventData):
    """The plan is given up and a new one is asked for."""

    reason: str
    number: int
    """1-based count of re-plans."""
    fresh: bool = False
    """Whether the planner starts a fresh chat from the ledger."""


class ReviewDecided(EventData):
    """The planner looked at the reports and decided."""

    review: Review


class ReplyRefused(EventData):
    """A review, an answer or a verdict could not be read; a short chat is to correct it."""

    purpose: Literal["review", "answer", "check"]
    problems: list[str]
    number: int
    """1-based count of unreadable texts in a row."""
    bad: str
    """sha256 of the text."""


class ReplyDoubted(EventData):
    """One further call may better a reply. What follows from the reply stands already, and stands
    for good when the call brings nothing better."""

    kind: Literal["commit", "translate"]
    """`commit`: its thoughts changed their approach too often; `translate`: it is not in the
    language of the task."""
    role: Role
    purpose: Purpose
    """Of the reply."""
    conversation: str
    """In which the reply stands."""
    turn: int
    """Of the reply."""
    reason: str = ""
    """What was measured."""


class ReplySettled(EventData):
    """Which reply stands, now that the further call is over or was not made."""

    kind: Literal["commit", "translate"]
    taken: bool
    """True: the further call's; False: the first one."""
    reason: str = ""
    """Why the first one stands."""


class FactsUpdated(EventData):
    """The ledger as it stands now."""

    facts: Facts


class AskedQuestion(EventData):
    """One question and what stands without an answer."""

    text: str
    default: str = ""


class QuestionAsked(EventData):
    """A person is asked."""

    question_id: str
    kind: QuestionKind
    questions: list[AskedQuestion]
    deadline: str | None = None
    """ISO time after which the defaults stand; None: waits for ever."""
    about: str = ""
    """What a permission is for: the limit of a budget, a host; empty: the text says it."""


class QuestionClosed(EventData):
    """A question is no longer open."""

    question_id: str
    how: Literal["answered", "approved", "rejected", "expired", "cancelled"]
    text: str = ""
    """The answer, the defaults, or the reason."""
    by: Literal["user", "default"] = "user"


# --- steps and attempts --------------------------------------------------------------------------


class AttemptStarted(EventData):
    """A try at a step begins."""

    objective: str = ""
    seed: int = 0
    """Of PYTHONHASHSEED, random and numpy in its sandbox."""


class AttemptFinished(EventData):
    """A try at a step ended."""

    outcome: Outcome
    reason: str = ""


class StepChanged(EventData):
    """A step went to another state."""

    status: StepStatus
    reason: str = ""


class StepReported(EventData):
    """The executor's report. Blobs: `value:NAME` per variable handed on."""

    report: Report
    values: dict[str, Any] = Field(default_factory=dict)
    """Name to {kind: json|pickle|failed, preview, bytes, type}; the bytes are blobs."""
    source_id: int | None = None
    """The source that stands for what the attempt's actions computed; None: nothing ran."""


class EvidenceChecked(EventData):
    """Whether the report's quotes stand in their sources."""

    checks: list[dict[str, Any]] = Field(default_factory=list)
    """{source_id, quote, found, page?, offset?, reason?} per piece of evidence."""
    unsupported: int = 0


class StallCounted(EventData):
    """How far the run is from giving its plan up."""

    stalls: int
    reason: str = ""


class LoopFound(EventData):
    """The executor repeats itself."""

    kind: Literal["same", "same_error", "cycle", "silent"]
    count: int
    fatal: bool
    """False: it is told once and may go on."""


class TurnTaken(EventData):
    """The executor's turn holds code to run. Blobs: code."""

    turn: int
    note: str = ""
    """What of the turn was passed over, such as a report beside the code."""


class TurnRefused(EventData):
    """An executor turn that was not carried out, and what it is told."""

    kind: Literal["truncated", "silent", "bad_report", "limit", "evidence"]
    message: str
    double_max_tokens: bool = False
    """From the next turn on the reply may be twice as long."""


# --- the sandbox ---------------------------------------------------------------------------------


class SessionStarted(EventData):
    """A sandbox is ready for an attempt."""

    kind: Literal["docker", "unsafe-host"]
    generation: int = 1
    ms: float = 0.0
    bound: list[str] = Field(default_factory=list)
    """Variables handed over from earlier steps."""
    files: list[str] = Field(default_factory=list)


class SessionRebuilt(EventData):
    """A sandbox was brought back by running the recorded actions again."""

    actions: int
    ms: float
    differences: list[str] = Field(default_factory=list)


class SessionLost(EventData):
    """A sandbox ended, and with it its variables."""

    why: str
    tell: bool = False
    """Whether the model is told, because nothing brings its variables back."""


class ActionStarted(EventData):
    """Code runs. Blobs: code."""

    turn: int
    code_head: str
    """The first 300 characters."""
    timeout_s: float


class ActionFinished(EventData):
    """Code ran. Blobs: observation, stdout?, stderr?, value?, traceback?, display:N?."""

    turn: int
    status: Literal["ok", "error", "interrupted", "timeout", "exit", "ended", "died"]
    ms: float = 0.0
    head: str = ""
    """The first 300 characters of what came back, without the marks around it."""
    value_type: str | None = None
    error_name: str | None = None
    error_message: str = ""
    stdout_bytes: int = 0
    dropped_bytes: int = 0
    state_lost: bool = False
    oom: bool = False
    files: list[str] = Field(default_factory=list)
    displays: list[str] = Field(default_factory=list)
    """Mime type per display, in order."""
    code_key: str = ""
    """Hash of the code's normalised syntax tree."""
    observation_key: str = ""
    """Hash of the observation with digits, times and addresses masked."""


class ToolStarted(EventData):
    """An action called a tool. Blobs: args when they are over 4 KiB."""

    name: str
    args: dict[str, Any] = Field(default_factory=dict)
    nth: int
    """1-based count of this name with these arguments within the action."""


class ToolFinished(EventData):
    """The tool returned. Blobs: result."""

    name: str
    summary: str = ""
    source_ids: list[int] = Field(default_factory=list)
    ms: float = 0.0


class ToolFailed(EventData):
    """The tool did not return a result."""

    name: str
    kind: str
    message: str
    ms: float = 0.0


class SourceAdded(EventData):
    """Something a claim may cite. Blobs: content, text."""

    n: int
    kind: Literal["hit", "page", "attachment", "action", "user"]
    title: str
    url: str | None = None
    sha256: str = ""
    mime: str = ""
    weak: bool = False
    """A search hit alone: a title and a snippet."""


class ArtifactSaved(EventData):
    """A file that the run produced. Blobs: content."""

    name: str
    title: str = ""
    bytes: int
    mime: str
    sha256: str


# --- the end -------------------------------------------------------------------------------------


class AnswerDrafted(EventData):
    """An answer, before it is checked. Blobs: answer (the whole of it as JSON)."""

    answer: Answer
    """Its text is cut to 8,000 characters here; the blob `answer` is whole."""
    number: int
    """1-based count of drafts."""
    by: Literal["planner", "executor", "engine"] = "planner"


class ClaimsChecked(EventData):
    """Whether the quotes of the newest draft's claims stand in their sources."""

    number: int
    """Of the draft."""
    checks: list[dict[str, Any]] = Field(default_factory=list)
    """{claim: 0-based index, source_id, found, page?, offset?, reason?} per quote."""


class AnswerRefused(EventData):
    """The draft does not hold; the problems go back to its writer."""

    problems: list[str]
    number: int


class AnswerChecked(EventData):
    """The checker's verdict on the newest draft."""

    verdict: CheckVerdict
    number: int


TYPES: dict[str, type[EventData]] = {
    "run.created": RunCreated,
    "run.attached": RunAttached,
    "run.claimed": RunClaimed,
    "run.phase": RunPhase,
    "run.finished": RunFinished,
    "note.added": NoteAdded,
    "budget.used_up": BudgetUsedUp,
    "user.cancelled": UserCancelled,
    "user.paused": UserPaused,
    "user.resumed": UserResumed,
    "user.interrupted": UserInterrupted,
    "user.steered": UserSteered,
    "user.answered": UserAnswered,
    "user.approved": UserApproved,
    "user.rejected": UserRejected,
    "user.budgeted": UserBudgeted,
    "model.started": ModelStarted,
    "model.retried": ModelRetried,
    "model.finished": ModelFinished,
    "model.failed": ModelFailed,
    "model.orphaned": ModelOrphaned,
    "plan.proposed": PlanProposed,
    "plan.refused": PlanRefused,
    "plan.accepted": PlanAccepted,
    "replan.decided": ReplanDecided,
    "review.decided": ReviewDecided,
    "reply.refused": ReplyRefused,
    "reply.doubted": ReplyDoubted,
    "reply.settled": ReplySettled,
    "facts.updated": FactsUpdated,
    "question.asked": QuestionAsked,
    "question.closed": QuestionClosed,
    "attempt.started": AttemptStarted,
    "attempt.finished": AttemptFinished,
    "step.changed": StepChanged,
    "step.reported": StepReported,
    "evidence.checked": EvidenceChecked,
    "stall.counted": StallCounted,
    "loop.found": LoopFound,
    "turn.taken": TurnTaken,
    "turn.refused": TurnRefused,
    "session.started": SessionStarted,
    "session.rebuilt": SessionRebuilt,
    "session.lost": SessionLost,
    "action.started": ActionStarted,
    "action.finished": ActionFinished,
    "tool.started": ToolStarted,
    "tool.finished": ToolFinished,
    "tool.failed": ToolFailed,
    "source.added": SourceAdded,
    "artifact.saved": ArtifactSaved,
    "answer.drafted": AnswerDrafted,
    "answer.claims_checked": ClaimsChecked,
    "answer.refused": AnswerRefused,
    "answer.checked": AnswerChecked,
}
TYPES |= {f"{kind}.orphaned": Orphaned for kind in ("action", "tool")}

VERSIONS: dict[str, int] = dict.fromkeys(TYPES, 1)
UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""(type, version) to a pure function from that version's data to the next one's."""

_NAMES = {data: name for name, data in TYPES.items() if data is not Orphaned}


def type_name(data: type[EventData]) -> str:
    """The dotted name of a kind of data. Raises KeyError for one that is not in the catalogue."""
    return _NAMES[data]


def orphaned(
    kind: Literal["model", "action", "tool"], move_id: str, reason: str, usd: float | None = 0.0
) -> EventDraft:
    """The fact that a started move will not finish. `usd` is what was reserved for a model's."""
    lost = ModelOrphaned(reason=reason, usd=usd) if kind == "model" else Orphaned(reason=reason)
    data = lost.model_dump(mode="json")
    return EventDraft(type=f"{kind}.orphaned", move_id=move_id, data=data)


def upcast(event: Event) -> Event:
    """The event in its newest shape."""
    newest = VERSIONS.get(event.type, event.v)
    if event.v >= newest:
        return event
    data, v = event.data, event.v
    while v < newest:
        data, v = UPCASTERS[event.type, v](data), v + 1
    return event.model_copy(update={"data": data, "v": v})
