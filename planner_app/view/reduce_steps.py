"""How plans, steps, reports and reviews change a run's view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner_app.view import fields, figures
from planner_app.view.clean import clip, one_line
from planner_app.view.entries import Body, State
from planner_app.view.replacing import replace
from planner_app.view.run_view import PlanView, RunView, StepView
from planner_app.view.timeline import add, entry_of, put

if TYPE_CHECKING:
    from planner_app.domain.events import Event

HEAD = 160


def _plan_of(event: Event, reason: str, accepted: bool) -> PlanView:
    plan = fields.table(event.data, "plan")
    steps = fields.tables(plan, "steps")
    return PlanView(
        revision=fields.whole(event.data, "revision"),
        step_ids=tuple(one_line(fields.text(step, "id")) for step in steps),
        objectives=tuple(one_line(fields.text(step, "objective")) for step in steps),
        done_when=tuple(one_line(item) for item in fields.texts(plan, "done_when")),
        answer_format=one_line(fields.text(plan, "answer_format")),
        reason=reason,
        by=fields.text(event.data, "by") or "planner",
        accepted=accepted,
    )


def _with_plan(view: RunView, plan: PlanView) -> RunView:
    others = tuple(other for other in view.plans if other.revision != plan.revision)
    return replace(view, plans=(*others, plan), replan_reason="")


def plan_proposed(view: RunView, event: Event) -> RunView:
    """A valid plan was written; it stands in the timeline from here."""
    plan = _plan_of(event, view.replan_reason, accepted=False)
    answer = fields.text(fields.table(event.data, "plan"), "answer")
    rows = [f"{i}  {said}" for i, said in zip(plan.step_ids, plan.objectives, strict=True)]
    head = f"{figures.number_of(len(rows), 'step')}" if rows else "an answer without steps"
    listed = Body("list", None, "\n".join(rows) if rows else answer)
    notes = tuple(f"done when {item}" for item in plan.done_when)
    title = f"plan {plan.revision}" if plan.revision > 1 else "plan"
    title += ", as you edited it" if plan.by == "user" else ""
    entry = entry_of(event, "plan", title, head=head, bodies=(listed,), notes=notes, depth=0)
    return _with_plan(add(view, entry), plan)


def plan_accepted(view: RunView, event: Event) -> RunView:
    """The plan that runs from here on; its steps join the tree."""
    data = event.data
    known = {plan.revision: plan for plan in view.plans}
    revision = fields.whole(data, "revision")
    before = known.get(revision)
    plan = _plan_of(event, before.reason if before else view.replan_reason, accepted=True)
    yours = plan.by == "user"
    if yours or before is None or before.step_ids != plan.step_ids:
        view = plan_proposed(view, event)
    steps = dict(view.steps)
    for skipped in fields.texts(data, "skipped"):
        if skipped in steps:
            steps[skipped] = replace(steps[skipped], status="skipped", doing="", ended_at=event.at)
    for step in fields.tables(fields.table(data, "plan"), "steps"):
        step_id = one_line(fields.text(step, "id"))
        if step_id not in steps:
            steps[step_id] = _new_step(step_id, step, revision)
    return replace(_with_plan(view, plan), steps=steps)


def _new_step(step_id: str, step: fields.Data, revision: int) -> StepView:
    return StepView(
        id=step_id,
        objective=one_line(fields.text(step, "objective")),
        deps=tuple(one_line(dep) for dep in fields.texts(step, "deps")),
        kind=fields.text(step, "kind") or "research",
        revision=revision,
        max_actions=fields.whole(step, "max_actions") or 12,
    )


def refused(view: RunView, event: Event) -> RunView:
    """A plan, review or answer that cannot be used, and why."""
    what = fields.text(event.data, "purpose") or event.type.partition(".")[0]
    problems = tuple(one_line(problem) for problem in fields.texts(event.data, "problems"))
    head = problems[0][:HEAD] if problems else ""
    entry = entry_of(
        event, "trouble", f"{what} refused", state="warn", head=head, notes=problems, depth=0
    )
    return add(view, entry)


_DOUBTS = {
    "commit": "its thoughts changed their approach too often",
    "translate": "it is not in the language of the task",
}


def reply_doubted(view: RunView, event: Event) -> RunView:
    """A reply gets one further call, and why."""
    kind = fields.text(event.data, "kind")
    title = f"asked once more: {_DOUBTS.get(kind, kind)}"
    reason = one_line(fields.text(event.data, "reason"))
    return add(view, entry_of(event, "note", title, head=reason[:HEAD]))


def reply_settled(view: RunView, event: Event) -> RunView:
    """Which of the two replies stands."""
    taken = event.data.get("taken") is True
    reason = one_line(fields.text(event.data, "reason"))
    title = "the second reply stands" if taken else "the first reply stands"
    return add(view, entry_of(event, "note", title, head=reason[:HEAD]))


def replan_decided(view: RunView, event: Event) -> RunView:
    """The plan is given up."""
    reason = one_line(fields.text(event.data, "reason"))
    entry = entry_of(
        event, "replan", "plan given up", state="warn", head=reason[:HEAD], notes=(reason,), depth=0
    )
    return replace(add(view, entry), replan_reason=reason)


def review_decided(view: RunView, event: Event) -> RunView:
    """The planner decided how to go on."""
    review = fields.table(event.data, "review")
    decision = fields.text(review, "decision").replace("_", " ")
    cause = one_line(fields.text(review, "root_cause"))
    notes = tuple(
        one_line(fields.text(fact, "fact")) for fact in fields.tables(review, "fact_updates")
    )
    entry = entry_of(
        event, "review", f"review: {decision}", head=cause[:HEAD], notes=notes, depth=0
    )
    return add(view, replace(entry, bodies=(Body("text", None, cause),) if cause else ()))


def facts_updated(view: RunView, event: Event) -> RunView:
    """The ledger as it stands now; shown beside the plan, not in the timeline."""
    facts = fields.table(event.data, "facts")
    verified = []
    for fact in fields.tables(facts, "verified"):
        cited = "".join(f" [{n}]" for n in fields.numbers(fact, "source_ids"))
        verified.append(one_line(fields.text(fact, "fact")) + cited)
    given = tuple(one_line(item) for item in fields.texts(facts, "given"))
    return replace(view, given=given, verified=tuple(verified))


def attempt_started(view: RunView, event: Event) -> RunView:
    """A try at a step begins."""
    step_id = event.step_id or ""
    step = view.steps.get(step_id) or StepView(step_id, one_line(event.data.get("objective", "")))
    number = event.attempt or step.attempt + 1
    started = step.started_at or event.at
    step = replace(
        step, attempt=number, actions=0, status="running", started_at=started, ended_at=None
    )
    title = f"step {step_id}" + (f", attempt {number}" if number > 1 else "")
    objective = one_line(fields.text(event.data, "objective")) or step.objective
    entry = entry_of(event, "step", title, head=objective, depth=0)
    return replace(add(view, entry), steps={**view.steps, step_id: step})


def attempt_finished(view: RunView, event: Event) -> RunView:
    """A try at a step ended; only an ending that is not `done` gets an entry."""
    step_id = event.step_id or ""
    step = view.steps.get(step_id)
    if step is not None:
        view = replace(view, steps={**view.steps, step_id: replace(step, doing="")})
    outcome = fields.text(event.data, "outcome")
    if outcome == "done":
        return view
    said = outcome.replace("_", " ")
    reason = one_line(fields.text(event.data, "reason"))
    entry = entry_of(
        event, "trouble", f"attempt ended: {said}", state="bad", head=reason[:HEAD], notes=(reason,)
    )
    return add(view, entry)


def step_changed(view: RunView, event: Event) -> RunView:
    """A step went to another state."""
    step = view.steps.get(event.step_id or "")
    if step is None:
        return view
    status = fields.text(event.data, "status")
    ended = event.at if status in ("done", "failed", "blocked", "skipped") else None
    started = step.started_at or (event.at if status == "running" else None)
    step = replace(
        step,
        status=status,
        reason=one_line(fields.text(event.data, "reason")),
        started_at=started,
        ended_at=ended,
        doing="" if ended else step.doing,
    )
    return replace(view, steps={**view.steps, step.id: step})


_VERDICTS: dict[str, State] = {"done": "ok", "surprise": "warn", "blocked": "bad", "failed": "bad"}


def step_reported(view: RunView, event: Event) -> RunView:
    """The executor's report."""
    report = fields.table(event.data, "report")
    verdict, result = fields.text(report, "verdict"), fields.text(report, "result")
    quotes = fields.tables(report, "evidence")
    values = fields.table(event.data, "values")
    notes = [
        f"“{clip(fields.text(quote, 'quote'), 200)}” [{fields.whole(quote, 'source_id')}]"
        for quote in quotes
        if fields.text(quote, "quote")
    ]
    notes += [f"{one_line(name)} = {clip(_preview(value), 100)}" for name, value in values.items()]
    facts = (figures.number_of(len(quotes), "quote"),) if quotes else ()
    step_id = event.step_id or ""
    entry = entry_of(
        event,
        "report",
        f"report: {verdict}",
        state=_VERDICTS.get(verdict, "info"),
        head=one_line(result)[:HEAD],
        bodies=(Body("text", None, result),) if result else (),
        facts=facts,
        notes=tuple(notes),
    )
    place = len(view.timeline)
    reports = (*(pair for pair in view.reports if pair[0] != step_id), (step_id, place))
    steps = view.steps
    if step_id in steps:
        steps = {**steps, step_id: replace(steps[step_id], result=one_line(result))}
    return replace(add(view, replace(entry, actor="executor")), reports=reports, steps=steps)


def _preview(value: object) -> str:
    if isinstance(value, dict):
        return str(value.get("preview") or value.get("type") or value.get("kind") or "")
    return str(value)


def evidence_checked(view: RunView, event: Event) -> RunView:
    """Whether the newest report's quotes stand in their sources."""
    checks = fields.tables(event.data, "checks")
    found = sum(bool(check.get("found")) for check in checks)
    notes = tuple(
        f"not in [{fields.whole(check, 'source_id')}]: “{clip(fields.text(check, 'quote'), 160)}”"
        for check in checks
        if not check.get("found")
    )
    said = f"{found} of {figures.number_of(len(checks), 'quote')} found"
    place = next((place for step_id, place in view.reports if step_id == event.step_id), None)
    state: State = "ok" if found == len(checks) else "warn"
    if place is None:
        entry = entry_of(event, "check", "evidence", state=state, head=said, notes=notes)
        return add(view, entry)
    entry = view.timeline[place]
    facts = (*(fact for fact in entry.facts if "quote" not in fact), said)
    changed = replace(entry, facts=facts, notes=(*entry.notes, *notes), last_seq=event.seq)
    if state == "warn" and entry.state == "ok":
        changed = replace(changed, state="warn")
    return put(view, place, changed)


def stall_counted(view: RunView, event: Event) -> RunView:
    """How far the run is from giving its plan up; only growth gets an entry."""
    stalls = fields.whole(event.data, "stalls")
    reason = one_line(fields.text(event.data, "reason"))
    if stalls == 0:
        return view
    title = f"stalls: {stalls}"
    return add(
        view, entry_of(event, "trouble", title, state="warn", head=reason[:HEAD], notes=(reason,))
    )


def loop_found(view: RunView, event: Event) -> RunView:
    """The executor repeats itself."""
    kind = fields.text(event.data, "kind").replace("_", " ")
    times = fields.whole(event.data, "count")
    fatal = bool(event.data.get("fatal"))
    head = f"{kind}, {times} times" + ("" if fatal else "; told once")
    return add(
        view, entry_of(event, "trouble", "loop", state="bad" if fatal else "warn", head=head)
    )


def turn_taken(view: RunView, event: Event) -> RunView:
    """A turn holds code; worth an entry only when something of it was passed over."""
    note = one_line(fields.text(event.data, "note"))
    if not note:
        return view
    return add(view, entry_of(event, "note", "passed over", head=note[:HEAD], notes=(note,)))


def turn_refused(view: RunView, event: Event) -> RunView:
    """A turn that was not carried out."""
    kind = fields.text(event.data, "kind").replace("_", " ")
    message = one_line(fields.text(event.data, "message"))
    entry = entry_of(
        event,
        "trouble",
        f"turn refused: {kind}",
        state="warn",
        head=message[:HEAD],
        notes=(message,),
    )
    return add(view, entry)
