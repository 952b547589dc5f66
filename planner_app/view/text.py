"""A run as plain text: for `show`, `show --events`, `watch`, `tasks` and the progress of `run`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from planner_app.domain.citations import cited_ids, unknown_ids
from planner_app.view import fields, figures
from planner_app.view.clean import clean, clip, one_line, pad
from planner_app.view.describe import GLYPHS, lone_entry, what
from planner_app.view.entries import Blobs
from planner_app.view.inbox import TaskRow, inbox_order
from planner_app.view.reduce_work import goes_on
from planner_app.view.run_view import AnswerView, QuestionView, RunView
from planner_app.view.status import run_look, step_look

if TYPE_CHECKING:
    from planner_app.domain.events import Event

WIDTH = 100


# --- one event ---------------------------------------------------------------------------------


def event_line(event: Event, width: int = 120, tz: tzinfo | None = UTC) -> str:
    """The event on one line: number, time, type, step and attempt, and what it says."""
    place = _lane(event)
    head = f"{event.seq:>5}  {figures.clock(event.at, tz)}  {event.type:<17} {place:<7}"
    return f"{head} {what(event, max(10, width - len(head) - 1))}".rstrip()


def _lane(event: Event) -> str:
    if event.step_id is None:
        return ""
    step = clip(event.step_id, 5)
    return f"{step}/{event.attempt}" if event.attempt else step


_PROGRESS = frozenset(
    {
        "plan.refused",
        "reply.refused",
        "reply.doubted",
        "reply.settled",
        "replan.decided",
        "review.decided",
        "attempt.started",
        "attempt.finished",
        "action.started",
        "action.finished",
        "tool.finished",
        "tool.failed",
        "step.reported",
        "question.asked",
        "question.closed",
        "artifact.saved",
        "answer.refused",
        "answer.checked",
        "model.retried",
        "model.failed",
        "budget.used_up",
        "loop.found",
        "turn.refused",
        "session.lost",
        "session.rebuilt",
        "note.added",
    }
)


def progress_line(event: Event, width: int = WIDTH) -> str | None:
    """What a person who watches wants to hear of this event; None: nothing.

    May hold more than one line (the accepted plan does).
    """
    data = event.data
    if event.type == "plan.accepted":
        return _plan_lines(data, width)
    if event.type == "attempt.finished" and fields.text(data, "outcome") in ("done", "cancelled"):
        return None
    if event.type == "model.failed":  # why stands in the run's end, unless it goes on all the same
        said = f"{GLYPHS['bad']} {fields.text(data, 'role')} model: "
        if not (after := goes_on(data)):
            return said + fields.text(data, "kind")
        why = one_line(fields.text(data, "message"))
        return said + clip(why, max(20, width - len(said) - len(after))) + after
    if event.type not in _PROGRESS:
        return None
    entry = lone_entry(event)
    if entry is None:
        return None
    glyph = "▸" if event.type in ("attempt.started", "action.started") else GLYPHS[entry.state]
    indent = "  " * entry.depth
    place = f"{clip(event.step_id, 8)} " if event.step_id and entry.kind != "step" else ""
    said = f"{indent}{glyph} {place}"
    if event.type.endswith((".finished", ".failed")) and event.type != "attempt.finished":
        text = what(event, width)
    else:
        text = f"{entry.title}: {entry.head}" if entry.head else entry.title
    return said + clip(text, max(20, width - len(said)))


def _plan_lines(data: fields.Data, width: int) -> str | None:
    plan = fields.table(data, "plan")
    steps = fields.tables(plan, "steps")
    if not steps:
        return None
    revision = fields.whole(data, "revision")
    title = "plan" if revision <= 1 else f"plan {revision}"
    title = f"your {title}" if fields.text(data, "by") == "user" else title
    rows = [f"· {title}: {figures.number_of(len(steps), 'step')}"]
    for step in steps:
        deps = ", ".join(one_line(dep) for dep in fields.texts(step, "deps"))
        after = f" (after {deps})" if deps else ""
        said = f"{one_line(fields.text(step, 'id'))}  {one_line(fields.text(step, 'objective'))}"
        rows.append("  " + clip(said, max(20, width - len(after) - 2)) + after)
    return "\n".join(rows)


# --- a run -------------------------------------------------------------------------------------


def show_lines(
    view: RunView, blobs: Blobs, now: datetime | None = None, width: int = WIDTH
) -> list[str]:
    """The run as `planner show` prints it: header, task, plan, answer, sources, files.

    `now` is for runs that still go on; without it time stands at their last event.
    """
    sections = [
        header_lines(view, now),
        _task_lines(view, blobs),
        plan_lines(view, now, width),
        _question_lines(view),
        answer_lines(view, blobs),
        _artifact_lines(view),
    ]
    lines: list[str] = []
    for section in sections:
        if section:
            lines += ["", *section] if lines else section
    return lines


def header_lines(view: RunView, now: datetime | None = None) -> list[str]:
    """Title, status, models, cost and time."""
    look = run_look(view.status)
    at = now or view.last_at or datetime.now(UTC)
    status = f"{look.glyph} {look.word}"
    if view.reason:
        status += f": {view.reason}"
    spent = view.spent
    used = [
        figures.seconds(view.elapsed(at)),
        figures.cost(spent.usd, spent.unpriced),
        f"{figures.count(spent.tokens)} tokens",
        figures.number_of(spent.calls, "model call"),
        figures.number_of(spent.actions, "action"),
    ]
    lines = [view.title or view.run_id, status, f"{view.run_id}   {' · '.join(used)}"]
    team = ", ".join(f"{role} {model}" for role, model in view.models)
    if view.example:
        lines.append(f"example {one_line(view.example)}: its model replies are scripted")
    elif team:
        lines.append(f"team {view.team}: {team}")
    if view.sandbox != "docker":
        lines.append("actions ran in a local process, not isolated")
    if view.parent_run_id:
        lines.append(f"goes on from {one_line(view.parent_run_id)}")
    return lines


def _task_lines(view: RunView, blobs: Blobs) -> list[str]:
    text = clean(_blob_text(view.task_sha, view.task_text, blobs)).strip()
    if text == view.title:
        return []
    return ["Task", *("  " + line for line in text.split("\n"))]


def plan_lines(view: RunView, now: datetime | None = None, width: int = WIDTH) -> list[str]:
    """The steps with status and durations; what each re-plan dropped and added."""
    if not view.steps:
        return _revision_lines(view, width)
    at = now or view.last_at or datetime.now(UTC)
    title = "Plan" if view.revision <= 1 else f"Plan, revision {view.revision}"
    if any(plan.revision == view.revision and plan.by == "user" for plan in view.plans):
        title += ", as you edited it"
    lines = [title]
    for step in view.steps.values():
        look = step_look(step.status)
        took = step.seconds(at)
        tail = figures.seconds(took) if took is not None else ""
        if step.attempt > 1:
            tail = f"attempt {step.attempt}  {tail}"
        if step.deps:
            tail = f"after {', '.join(step.deps)}  {tail}".rstrip()
        room = max(20, width - 16 - len(tail))
        lines.append(
            f"  {look.glyph} {look.word:<8} {clip(f'{step.id}  {step.objective}', room)}"
            + (f"  ({tail})" if tail else "")
        )
        if step.reason and step.status in ("failed", "blocked"):
            lines.append(f"             {clip(step.reason, width - 13)}")
    return lines + _revision_lines(view, width)


def _revision_lines(view: RunView, width: int) -> list[str]:
    lines = []
    told = [(plan, f"revision {plan.revision}") for plan in view.plans if plan.accepted][1:]
    if view.proposed is not None:
        told.append((view.proposed, "proposed" if view.steps else "Proposed plan"))
    for plan, title in told:
        because = f", because {plan.reason}" if plan.reason else ""
        lines.append("  " * bool(view.steps) + clip(title + because, width - 2))
        for change in view.changes_by(plan):
            said = clip(f"{change.step_id}  {change.objective}", width - 6)
            lines.append(f"    {change.sign} {said}")
    return lines


def _question_lines(view: RunView) -> list[str]:
    if not view.questions or view.ended:
        return []
    lines = ["Needs you"]
    for question in view.questions:
        for text, default in question.questions:
            lines.append("  ? " + one_line(text))
            if default:
                lines.append(f"    without an answer: {one_line(default)}{until(question)}")
    return lines


def until(question: QuestionView, tz: tzinfo | None = UTC) -> str:
    """From when on the default stands, as a few words; empty: there is no such time."""
    if question.deadline is None:
        return ""
    return f" (from {figures.clock(question.deadline, tz)} on)"


def answer_lines(view: RunView, blobs: Blobs) -> list[str]:
    """The answer, its claims with their sources, and what could not be verified."""
    answer = view.answer
    if answer is None:
        return []
    checked = {"passed": "checked", "failed": "the check failed", "not yet": "not checked"}
    lines = [f"Answer ({checked[answer.checked]}, confidence {one_line(answer.confidence)})"]
    text = answer_text(answer, blobs)
    lines += ["  " + line for line in clean(text).strip().split("\n")]
    cited = cited_numbers(view, text)
    if answer.claims:
        lines += ["", "Claims"]
        for claim in answer.claims:
            trouble = claim.trouble(view.source_numbers)
            said = f"{claim.text}{''.join(f' [{n}]' for n in claim.source_ids)}"
            lines.append(f"  ! {said}  (not verified: {trouble})" if trouble else f"  · {said}")
    unverified = [f"  ! {line}" for line in unverified_lines(view, text, claims=False)]
    unverified += [f"  · {point}" for point in answer.open_points]
    if unverified:
        lines += ["", "Could not be verified, or is open", *unverified]
    if cited:
        lines += ["", "Sources", *source_lines(view, cited)]
    return lines


def cited_numbers(view: RunView, text: str) -> list[int]:
    """The source numbers that the answer's text and its claims name, those of none too."""
    claims = view.answer.claims if view.answer else ()
    named = {n for claim in claims for n in claim.source_ids}
    known = view.source_numbers
    return sorted({*named, *unknown_ids(text, known), *known.intersection(cited_ids(text))})


def unverified_lines(view: RunView, text: str, *, claims: bool = True) -> list[str]:
    """What of the answer could not be verified, a line each: claims, markers, the check's words."""
    answer = view.answer
    if answer is None:
        return []
    troubles = [(claim.text, claim.trouble(view.source_numbers)) for claim in answer.claims]
    troubles = [(text, trouble) for text, trouble in troubles if trouble]
    lines = [f"{text} ({trouble})" for text, trouble in troubles] if claims else []
    lines += [f"[{n}] is no source of this run" for n in unknown_ids(text, view.source_numbers)]
    return lines + [problem for problem in answer.problems if problem not in dict(troubles)]


def source_lines(view: RunView, numbers: Sequence[int]) -> list[str]:
    """`[n] title, kind, address` for these sources."""
    lines = []
    for n in sorted(numbers):
        source = view.source(n)
        if source is None:
            lines.append(f"  [{n}] not a source of this run")
            continue
        weak = ", search hit only" if source.weak else ""
        where = f"\n      {source.url}" if source.url else ""
        lines += f"  [{n}] {source.title} ({source.kind}{weak}){where}".split("\n")
    return lines


def answer_text(answer: AnswerView, blobs: Blobs) -> str:
    """The whole text of an answer, from its blob where it has one."""
    if answer.sha is None:
        return answer.text
    try:
        whole = json.loads(blobs(answer.sha))
    except ValueError:
        return answer.text
    text = whole.get("text") if isinstance(whole, dict) else None
    return text if isinstance(text, str) else answer.text


def _artifact_lines(view: RunView) -> list[str]:
    if not view.artifacts:
        return []
    lines = ["Files"]
    for artifact in view.artifacts:
        title = f"  {artifact.title}" if artifact.title else ""
        lines.append(f"  {artifact.name}  {figures.size(artifact.bytes)}{title}")
    return lines


def _blob_text(sha: str | None, head: str, blobs: Blobs) -> str:
    return blobs(sha).decode("utf-8", "replace") if sha else head


# --- lists of runs -----------------------------------------------------------------------------


def task_rows(rows: Iterable[TaskRow], now: datetime, width: int = WIDTH) -> list[str]:
    """One line per run in the inbox's order: status, age, steps, cost, id, title."""
    lines = []
    for row in inbox_order(rows):
        head = (
            f"{row.look.glyph} {row.look.word:<10} {figures.age(row.created_at, now):>10}  "
            f"{row.steps:>5}  {row.cost:>9}  {row.run_id:<12}  "
        )
        lines.append((head + clip(row.title, max(20, width - len(head)))).rstrip())
    return lines


def found_line(run_id: str, title: str, snippet: str, width: int = WIDTH) -> str:
    """A search result on two lines: the run, then where the words stand."""
    return f"{pad(run_id, 12)}  {clip(title, width - 14)}\n{' ' * 14}{clip(snippet, width - 14)}"
