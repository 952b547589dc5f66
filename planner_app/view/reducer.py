"""The one pure step from a run's view and its next event to the view after it.

Live runs, saved ones and replays all go through here. The cost of a step does not grow with the
run's length, and older views stay valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from planner_app.view import reduce_run as run
from planner_app.view import reduce_steps as steps
from planner_app.view import reduce_work as work
from planner_app.view.replacing import replace
from planner_app.view.run_view import RunView
from planner_app.view.timeline import add, entry_of

if TYPE_CHECKING:
    from planner_app.domain.events import Event

_Handler = Callable[[RunView, "Event"], RunView]

_HANDLERS: Final[dict[str, _Handler]] = {
    "run.created": run.created,
    "run.attached": run.files_attached,
    "run.claimed": run.claimed,
    "run.phase": run.phase,
    "run.finished": run.finished,
    "note.added": run.note_added,
    "budget.used_up": run.budget_used_up,
    "question.asked": run.question_asked,
    "question.closed": run.question_closed,
    "session.started": run.session_changed,
    "session.rebuilt": run.session_changed,
    "session.lost": run.session_changed,
    "source.added": run.source_added,
    "artifact.saved": run.artifact_saved,
    "answer.drafted": run.answer_drafted,
    "answer.checked": run.answer_checked,
    "answer.claims_checked": run.claims_checked,
    "answer.refused": steps.refused,
    "reply.refused": steps.refused,
    "reply.doubted": steps.reply_doubted,
    "reply.settled": steps.reply_settled,
    "turn.taken": steps.turn_taken,
    "plan.proposed": steps.plan_proposed,
    "plan.accepted": steps.plan_accepted,
    "plan.refused": steps.refused,
    "replan.decided": steps.replan_decided,
    "review.decided": steps.review_decided,
    "facts.updated": steps.facts_updated,
    "attempt.started": steps.attempt_started,
    "attempt.finished": steps.attempt_finished,
    "step.changed": steps.step_changed,
    "step.reported": steps.step_reported,
    "evidence.checked": steps.evidence_checked,
    "stall.counted": steps.stall_counted,
    "loop.found": steps.loop_found,
    "turn.refused": steps.turn_refused,
    "model.started": work.model_started,
    "model.retried": work.model_retried,
    "model.finished": work.model_finished,
    "model.failed": work.model_failed,
    "model.orphaned": work.orphaned,
    "action.started": work.action_started,
    "action.finished": work.action_finished,
    "action.orphaned": work.orphaned,
    "tool.started": work.tool_started,
    "tool.finished": work.tool_finished,
    "tool.failed": work.tool_failed,
    "tool.orphaned": work.orphaned,
}


def reduce(view: RunView, event: Event) -> RunView:
    """The view after one more event. An event of an unknown type becomes a plain entry."""
    active = view.active_seconds
    if view.works and view.last_at is not None and event.type != "run.claimed":
        active += max(0.0, (event.at - view.last_at).total_seconds())
    handler = _HANDLERS.get(event.type)
    if handler is not None:
        after = handler(view, event)
    elif event.type.startswith("user."):
        after = run.user_said(view, event)
    else:
        after = add(view, entry_of(event, "note", event.type))
    return replace(after, seq=event.seq, last_at=event.at, active_seconds=active)


def view_of(events: Iterable[Event], view: RunView | None = None) -> RunView:
    """The view after these events, going on from `view` when it is given."""
    view = view or RunView()
    for event in events:
        view = reduce(view, event)
    return view
