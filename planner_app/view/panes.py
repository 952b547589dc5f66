"""The panes beside the timeline as lines with roles: plan, sources, answer, header."""

from __future__ import annotations

from datetime import datetime

from planner_app.view import figures
from planner_app.view.clean import clean, clip, width
from planner_app.view.run_view import PlanView, RunView
from planner_app.view.status import run_look, step_look
from planner_app.view.text import cited_numbers, unverified_lines
from planner_app.view.wrap import Line, Span, marked, paragraphs


def _right(spans: list[Span], right: str, cells: int, role: str = "dim") -> Line:
    used = sum(width(text) for text, _ in spans)
    gap = cells - used - width(right)
    if not right or gap < 1:
        return tuple(spans)
    return (*spans, (" " * gap, "text"), (right, role))


def head_lines(view: RunView, now: datetime, cells: int, spin: str = "●") -> list[Line]:
    """Two lines: status and title; team, time and cost."""
    look = run_look(view.status)
    glyph = spin if look.tone == "busy" else look.glyph
    status = f"{glyph} {look.word}"
    right = view.run_id
    room = cells - width(status) - width(right) - 5
    first = _right(
        [(f"{status}  ", look.tone), (clip(view.title, max(10, room)), "title")], right, cells
    )
    spent = view.spent
    used = [figures.seconds(view.elapsed(now))]
    if spent.calls:
        used.append(figures.cost(spent.usd, spent.unpriced))
        used.append(f"{figures.count(spent.tokens)} tok")
    if view.steps:
        used.append(f"{view.steps_done}/{view.steps_total} steps")
    figures_said = " · ".join(used)
    team = " · ".join(f"{role} {model}" for role, model in view.models)
    if view.example:
        team = f"example {view.example}: its model replies are scripted"
    if view.sandbox != "docker":
        team = f"not isolated · {team}"
    room = cells - width(figures_said) - 2
    second = _right([(clip(team, room), "dim")] if room > 8 else [], figures_said, cells, "text")
    return [first, second]


def plan_pane(view: RunView, now: datetime, cells: int, spin: str = "●") -> list[Line]:
    """The steps with status, current action and durations; then what revisions changed."""
    if not view.steps and view.proposed is None:
        said = "No plan yet." if not view.ended else "It ended without a plan."
        if view.phase in ("planning", "queued") and not view.ended:
            said = "The planner has not written a plan yet."
        return [((row, "dim"),) for row in paragraphs(said, cells)]
    lines: list[Line] = []
    current = view.revision
    for step in view.steps.values():
        look = step_look(step.status)
        glyph = spin if step.status == "running" else look.glyph
        took = step.seconds(now)
        right = figures.seconds(took) if took is not None else ""
        lead: list[Span] = [(f"{glyph} ", look.tone), (f"{step.id} ", "step")]
        taken = sum(width(text) for text, _ in lead)
        rows = paragraphs(step.objective, max(10, cells - taken - width(right) - 1))
        role = "dim" if step.status in ("skipped", "pending") or step.revision < current else "text"
        lines.append(_right([*lead, (rows[0], role)], right, cells))
        rest = paragraphs(" ".join(rows[1:]), cells - 4) if rows[1:] else []
        for place, row in enumerate(rest[:2]):
            cut = "…" if place == 1 and len(rest) > 2 else ""
            lines.append(((" " * 4, "text"), (clip(row + cut, cells - 4), role)))
        about = _about(step.status, step.doing, step.attempt, step.deps, step.reason)
        if about:
            tone = "bad" if step.status in ("failed", "blocked") else "dim"
            tone = "busy" if step.doing else tone
            lines.append(((" " * 4, "text"), (clip(about, cells - 4), tone)))
    return lines + _revisions(view, cells)


def _about(status: str, doing: str, attempt: int, deps: tuple[str, ...], reason: str) -> str:
    said = []
    if attempt > 1:
        said.append(f"attempt {attempt}")
    if status == "running" and doing:
        said.append(doing)
    elif status == "pending" and deps:
        said.append(f"after {', '.join(deps)}")
    elif status in ("failed", "blocked") and reason:
        said.append(reason)
    return " · ".join(said)


def _revisions(view: RunView, cells: int) -> list[Line]:
    lines: list[Line] = []
    for plan in [plan for plan in view.plans if plan.accepted][1:]:
        lines += _changes(view, plan, f"Revision {plan.revision}", cells)
    if view.proposed is not None:
        lines += _changes(view, view.proposed, "Proposed", cells)
    return lines if view.steps else lines[1:]


def _changes(view: RunView, plan: PlanView, title: str, cells: int) -> list[Line]:
    roles = {"+": "good", "-": "bad", "=": "dim"}
    lines: list[Line] = [(("", "text"),), ((title, "title"),)]
    if plan.reason:
        lines += [((row, "dim"),) for row in paragraphs(f"because {plan.reason}", cells)]
    for change in view.changes_by(plan):
        role = roles[change.sign]
        said = clip(f"{change.step_id} {change.objective}", cells - 2)
        lines.append(((f"{change.sign} ", role), (said, "dim" if role == "dim" else "text")))
    return lines


def sources_pane(view: RunView, cells: int) -> list[Line]:
    """`[n] title` with kind and address; weak ones say so."""
    if not len(view.sources):
        return [(("No sources yet." if not view.ended else "No sources.", "dim"),)]
    cited = {n for claim in view.answer.claims for n in claim.source_ids} if view.answer else set()
    lines: list[Line] = []
    for source in view.sources:
        mark = f"[{source.n}]"
        right = source.kind + (" weak" if source.weak else "")
        lead = f"{mark:<4} "
        room = max(8, cells - width(lead) - width(right) - 1)
        role = "text" if source.n in cited or not source.weak else "dim"
        spans: list[Span] = [(lead, "cite"), (clip(source.title or source.url or "", room), role)]
        lines.append(_right(spans, right, cells))
        if source.url:
            lines.append(((" " * 5, "text"), (clip(source.url, cells - 5), "link")))
    return lines


def answer_pane(view: RunView, text: str | None, cells: int) -> list[Line]:
    """The answer, its claims with sources, what could not be verified, and files.

    `text` is the whole answer where its head was cut; None: the head is all there is yet.
    """
    answer = view.answer
    if answer is None:
        return _no_answer(view, cells)
    said, tone = {
        "passed": ("✓ checked", "good"),
        "failed": ("✗ the check failed", "bad"),
        "not yet": ("○ not checked" + ("" if view.ended else " yet"), "dim"),
    }[answer.checked]
    lines: list[Line] = [((said, tone), (f"   confidence {clip(answer.confidence, 12)}", "dim"))]
    if view.final == "partial" and view.reason:
        lines += [((row, "warn"),) for row in paragraphs(f"◐ partial: {view.reason}", cells)]
    lines += [(("", "text"),), *marked(clean(text or answer.text), cells)]
    if answer.claims:
        lines += [(("", "text"),), (("Claims", "title"),)]
        for claim in answer.claims:
            trouble = claim.trouble(view.source_numbers)
            lead = ("! ", "bad") if trouble else ("· ", "dim")
            shown = "".join(f" [{n}]" for n in claim.source_ids)
            shown += " ✓ quote" if claim.quote_found else ""
            shown += f" ✗ {trouble}" if trouble else ""
            rows = marked(claim.text + shown, cells - 2)
            lines += [((lead if not i else ("  ", "text")), *row) for i, row in enumerate(rows)]
    whole = text or answer.text
    unverified = [(f"! {line}", "bad") for line in unverified_lines(view, whole, claims=False)]
    unverified += [(f"· {point}", "warn") for point in answer.open_points]
    if unverified:
        lines += [(("", "text"),), (("Could not be verified, or is open", "title"),)]
        for said, tone in unverified:
            lines += [((row, tone),) for row in paragraphs(said, cells)]
    cited = cited_numbers(view, whole)
    if cited:
        lines += [(("", "text"),), (("Sources", "title"),)]
        for n in cited:
            source = view.source(n)
            title = source.title if source else "not a source of this run"
            kind = source.kind if source else ""
            row: list[Span] = [(f"[{n}] ", "cite")]
            row.append((clip(title, max(8, cells - width(kind) - 7)), "text"))
            lines.append(_right(row, kind, cells))
            if source and source.url:
                lines.append(((" " * 4, "text"), (clip(source.url, cells - 4), "link")))
    return lines + _files(view, cells)


def _files(view: RunView, cells: int) -> list[Line]:
    if not view.artifacts:
        return []
    lines: list[Line] = [(("", "text"),), (("Files", "title"),)]
    for artifact in view.artifacts:
        said = f"{artifact.name}  {artifact.title}".rstrip()
        size = figures.size(artifact.bytes)
        lines.append(_right([(clip(said, cells - width(size) - 1), "text")], size, cells))
    return lines


def _no_answer(view: RunView, cells: int) -> list[Line]:
    if not view.ended:
        return [(("No answer yet.", "dim"),)]
    look = run_look(view.status)
    lines: list[Line] = [((f"{look.glyph} {look.word}", look.tone),)]
    reason = view.reason or "It ended without an answer."
    lines += [((row, "text"),) for row in paragraphs(reason, cells)]
    return lines + _files(view, cells)
