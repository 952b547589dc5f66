"""How the run itself, people's words, sources, files and answers change a run's view."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from planner_app.view import fields, figures
from planner_app.view.clean import clean, clip, one_line
from planner_app.view.entries import Body, State
from planner_app.view.replacing import replace
from planner_app.view.run_view import (
    AnswerView,
    ArtifactView,
    ClaimView,
    QuestionView,
    RunView,
    SourceView,
)
from planner_app.view.timeline import add, entry_of, put

if TYPE_CHECKING:
    from planner_app.domain.events import Event

HEAD = 160
MAX_FILE_NOTES = 20
_ROLES = ("planner", "executor", "checker")


def created(view: RunView, event: Event) -> RunView:
    """The task, as it was submitted."""
    data = event.data
    text = fields.text(data, "text")
    first = next((line for line in text.splitlines() if line.strip()), "")
    models = fields.table(data, "models")
    ordered = [role for role in _ROLES if role in models]
    ordered += [role for role in models if role not in _ROLES]
    entry = entry_of(
        event,
        "task",
        "task",
        head=clip(first, HEAD),
        bodies=(Body("task", event.blobs.get("text"), text),),
        notes=_attached(data),
    )
    view = replace(
        view,
        run_id=event.run_id,
        task_id=fields.text(data, "task_id"),
        title=clip(first, 120),
        task_text=text,
        task_sha=event.blobs.get("text"),
        example=fields.text(data, "example") or None,
        team=one_line(fields.text(data, "team")),
        mode=fields.text(data, "mode") or "team",
        models=tuple((one_line(role), one_line(str(models[role]))) for role in ordered),
        sandbox=fields.text(data, "sandbox") or "docker",
        net=one_line(fields.text(data, "net")),
        parent_run_id=fields.text(data, "parent_run_id") or None,
        created_at=event.at,
    )
    return add(view, replace(entry, actor="user"))


def files_attached(view: RunView, event: Event) -> RunView:
    """More files than the task's own event holds."""
    count = len(fields.tables(event.data, "attachments"))
    head = f"{figures.number_of(count, 'further file')} attached"
    entry = entry_of(event, "task", head, notes=_attached(event.data))
    return add(view, replace(entry, actor="user"))


def _attached(data: Mapping[str, Any]) -> tuple[str, ...]:
    files = fields.tables(data, "attachments")
    notes = [
        f"attached {one_line(fields.text(file, 'name'))}, "
        f"{figures.size(fields.whole(file, 'bytes'))}"
        for file in files[:MAX_FILE_NOTES]
    ]
    more = [f"and {len(files) - MAX_FILE_NOTES} more"] if len(files) > MAX_FILE_NOTES else []
    return (*notes, *more)


def claimed(view: RunView, event: Event) -> RunView:
    """A worker drives the run; the second time and later that is worth an entry."""
    if view.started_at is None:
        return replace(view, started_at=event.at)
    return add(view, entry_of(event, "session", "taken over by another worker", state="info"))


def phase(view: RunView, event: Event) -> RunView:
    """The run went on to another phase; the header shows it."""
    return replace(view, phase=fields.text(event.data, "phase"))


def finished(view: RunView, event: Event) -> RunView:
    """The run ended."""
    status = fields.text(event.data, "status")
    reason = one_line(fields.text(event.data, "reason"))
    states: dict[str, State] = {"done": "ok", "partial": "warn", "failed": "bad"}
    entry = entry_of(event, "end", status, state=states.get(status, "info"), head=reason, depth=0)
    steps = {
        step_id: replace(step, doing="", ended_at=step.ended_at or event.at)
        if step.started_at and not step.ended_at
        else step
        for step_id, step in view.steps.items()
    }
    view = replace(add(view, entry), final=status, reason=reason, ended_at=event.at, steps=steps)
    return _cut_off_the_rest(view, event)


def _cut_off_the_rest(view: RunView, event: Event) -> RunView:
    for waiting in view.open:
        entry = view.timeline[waiting.index]
        took = (event.at - waiting.at).total_seconds() * 1000
        view = put(view, waiting.index, replace(entry, state="warn", ms=took, last_seq=event.seq))
    return replace(view, open=())


def note_added(view: RunView, event: Event) -> RunView:
    """Something a reader should know."""
    text = fields.text(event.data, "text")
    return add(
        view,
        entry_of(
            event, "note", "note", head=one_line(text)[:HEAD], bodies=(Body("text", None, text),)
        ),
    )


def budget_used_up(view: RunView, event: Event) -> RunView:
    """A limit is reached."""
    which = fields.text(event.data, "which").replace("_", " ")
    detail = one_line(fields.text(event.data, "detail"))
    return add(
        view, entry_of(event, "trouble", f"budget used up: {which}", state="warn", head=detail)
    )


# --- what people said ------------------------------------------------------------------------

_SAID = {
    "user.cancelled": "you cancelled",
    "user.paused": "you paused",
    "user.resumed": "you resumed",
    "user.interrupted": "you interrupted the action",
    "user.steered": "you",
    "user.answered": "you answered",
    "user.approved": "you approved",
    "user.rejected": "you refused",
    "user.budgeted": "you set the budget",
}


def user_said(view: RunView, event: Event) -> RunView:
    """A command that the run has read."""
    data = event.data
    text = fields.text(data, "text") or fields.text(data, "reason")
    if event.type == "user.budgeted":
        limits = fields.table(data, "limits")
        text = ", ".join(f"{one_line(key)} {_limit(value)}" for key, value in limits.items())
    entry = entry_of(
        event,
        "user",
        _SAID.get(event.type, event.type),
        head=one_line(text)[:HEAD],
        bodies=(Body("text", None, text),) if text else (),
        depth=0,
    )
    if event.type == "user.paused":
        view = replace(view, paused=True)
    elif event.type == "user.resumed":
        view = replace(view, paused=False)
    elif event.type == "user.steered":
        view = replace(view, said=(*view.said, (event.seq, len(view.timeline))))
    return add(view, replace(entry, actor="user"))


def _limit(value: object) -> str:
    if value is None:
        return "without limit"
    return f"{value:,.10g}" if isinstance(value, int | float) else one_line(str(value))


def question_asked(view: RunView, event: Event) -> RunView:
    """A person is asked."""
    data = event.data
    questions = tuple(
        (clean(fields.text(question, "text")), one_line(fields.text(question, "default")))
        for question in fields.tables(data, "questions")
    )
    deadline = fields.text(data, "deadline")
    question = QuestionView(
        id=fields.text(data, "question_id"),
        kind=fields.text(data, "kind"),
        questions=questions,
        seq=event.seq,
        index=len(view.timeline),
        step_id=event.step_id,
        attempt=event.attempt,
        deadline=datetime.fromisoformat(deadline) if deadline else None,
    )
    rows = [f"{text}" + (f"  (else: {default})" if default else "") for text, default in questions]
    title = "approval asked" if question.wants_approval else "question"
    entry = entry_of(
        event,
        "question",
        title,
        state="ask",
        head=one_line(question.text)[:HEAD],
        bodies=(Body("text", None, "\n".join(rows)),),
    )
    return replace(add(view, entry), questions=(*view.questions, question))


def question_closed(view: RunView, event: Event) -> RunView:
    """A question is no longer open; its entry tells how it ended."""
    question_id = fields.text(event.data, "question_id")
    question = next((q for q in view.questions if q.id == question_id), None)
    if question is None:
        return view
    how, text = fields.text(event.data, "how"), one_line(fields.text(event.data, "text"))
    if fields.text(event.data, "by") == "default" and how != "cancelled":
        how = "went on with the default"
    entry = view.timeline[question.index]
    state: State = "warn" if how in ("rejected", "cancelled") else "ok"
    took = (event.at - entry.at).total_seconds() * 1000
    note = f"{how}: {text}" if text else how
    changed = replace(entry, state=state, notes=(*entry.notes, note), last_seq=event.seq, ms=took)
    rest = tuple(other for other in view.questions if other is not question)
    return replace(put(view, question.index, changed), questions=rest)


# --- sandbox, sources, files -----------------------------------------------------------------


def session_changed(view: RunView, event: Event) -> RunView:
    """A sandbox began, was rebuilt or was lost."""
    data = event.data
    took = fields.real(data, "ms")
    if event.type == "session.lost":
        why = one_line(fields.text(data, "why"))
        return add(view, entry_of(event, "session", "sandbox lost", state="warn", head=why))
    if event.type == "session.rebuilt":
        differences = tuple(one_line(said) for said in fields.texts(data, "differences"))
        head = figures.number_of(fields.whole(data, "actions"), "action") + " run again"
        head += f", {len(differences)} with another outcome" if differences else ""
        entry = entry_of(event, "session", "sandbox rebuilt", head=head, notes=differences)
        return add(view, replace(entry, ms=took))
    bound = ", ".join(one_line(name) for name in fields.texts(data, "bound"))
    kind = fields.text(data, "kind")
    title = "sandbox" if kind == "docker" else "local process, not isolated"
    entry = entry_of(event, "session", title, head=f"with {bound}" if bound else "")
    return add(view, replace(entry, ms=took))


def source_added(view: RunView, event: Event) -> RunView:
    """Something a claim may cite; listed beside the timeline."""
    data = event.data
    url = fields.text(data, "url")
    source = SourceView(
        n=fields.whole(data, "n"),
        kind=fields.text(data, "kind"),
        title=one_line(fields.text(data, "title")),
        url=one_line(url) or None,
        weak=bool(data.get("weak")),
        text_sha=event.blobs.get("text") or event.blobs.get("content"),
        seq=event.seq,
    )
    return replace(view, sources=view.sources.append(source))


def artifact_saved(view: RunView, event: Event) -> RunView:
    """A file that the run produced; a later one of the same name takes its place."""
    data = event.data
    artifact = ArtifactView(
        name=one_line(fields.text(data, "name")),
        title=one_line(fields.text(data, "title")),
        bytes=fields.whole(data, "bytes"),
        mime=one_line(fields.text(data, "mime")),
        sha=fields.text(data, "sha256"),
    )
    others = tuple(other for other in view.artifacts if other.name != artifact.name)
    entry = entry_of(
        event,
        "artifact",
        f"file {artifact.name}",
        state="ok",
        head=artifact.title,
        facts=(figures.size(artifact.bytes),),
    )
    return replace(add(view, entry), artifacts=(*others, artifact))


# --- the answer ------------------------------------------------------------------------------


def answer_drafted(view: RunView, event: Event) -> RunView:
    """An answer, before it is checked."""
    answer = fields.table(event.data, "answer")
    text = fields.text(answer, "text")
    number = fields.whole(event.data, "number") or 1
    claims = tuple(
        ClaimView(
            text=one_line(fields.text(claim, "text")),
            source_ids=fields.numbers(claim, "source_ids"),
            quote=one_line(fields.text(claim, "quote")),
        )
        for claim in fields.tables(answer, "claims")
    )
    drafted = AnswerView(
        number=number,
        text=text,
        sha=event.blobs.get("answer"),
        by=fields.text(event.data, "by") or "planner",
        claims=claims,
        open_points=tuple(one_line(point) for point in fields.texts(answer, "open_points")),
        confidence=fields.text(answer, "confidence") or "medium",
        place=len(view.timeline),
    )
    facts = (figures.number_of(len(claims), "claim"),) if claims else ()
    entry = entry_of(
        event,
        "answer",
        "answer" if number == 1 else f"answer, draft {number}",
        state="info",
        head=one_line(text)[:HEAD],
        bodies=(Body("answer", None, text),),
        facts=facts,
        depth=0,
    )
    return replace(add(view, entry), answer=drafted)


def claims_checked(view: RunView, event: Event) -> RunView:
    """Whether the claims' quotes stand in their sources; told on the draft's own entry."""
    answer = view.answer
    checks = fields.tables(event.data, "checks")
    if answer is None or not checks:
        return view
    found: dict[int, bool] = {}
    why: dict[int, str] = {}
    for check in checks:
        place = fields.whole(check, "claim")
        found[place] = found.get(place, True) and bool(check.get("found"))
        why[place] = one_line(fields.text(check, "reason"))
    claims = tuple(
        replace(claim, quote_found=found.get(place), quote_trouble=why.get(place, ""))
        for place, claim in enumerate(answer.claims)
    )
    held = sum(bool(check.get("found")) for check in checks)
    said = f"{held} of {figures.number_of(len(checks), 'quote')} found"
    entry = view.timeline[answer.place]
    entry = replace(entry, facts=(*entry.facts, said), last_seq=event.seq)
    view = put(view, answer.place, entry)
    return replace(view, answer=replace(answer, claims=claims))


def answer_checked(view: RunView, event: Event) -> RunView:
    """The checker's verdict on the newest draft."""
    verdict = fields.table(event.data, "verdict")
    ok = bool(verdict.get("ok"))
    problems = tuple(one_line(problem) for problem in fields.texts(verdict, "problems"))
    unsupported = tuple(one_line(claim) for claim in fields.texts(verdict, "unsupported"))
    notes = (*problems, *(f"not supported: {claim}" for claim in unsupported))
    entry = entry_of(
        event,
        "check",
        "check passed" if ok else "check failed",
        state="ok" if ok else "bad",
        head=(notes[0][:HEAD] if notes else ""),
        notes=notes,
        depth=0,
    )
    view = add(view, replace(entry, actor="checker"))
    if view.answer is None:
        return view
    claims = tuple(
        replace(claim, unsupported=any(_same(claim.text, said) for said in unsupported))
        for claim in view.answer.claims
    )
    answer = replace(
        view.answer,
        checked="passed" if ok else "failed",
        problems=(*problems, *unsupported),
        claims=claims,
    )
    return replace(view, answer=answer)


def _same(claim: str, said: str) -> bool:
    """Checkers repeat a claim whole or in part."""
    return bool(said) and (said == claim or said in claim or claim in said)
