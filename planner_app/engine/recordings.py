"""The replies of a saved run, for `recorded:RUN`: the same words to the same calls."""

from __future__ import annotations

from planner_app.history import History
from planner_app.models.port import Cost, Message, ModelReply, Usage
from planner_app.models.recorded import Recording
from planner_app.queue.embedded import Queue


def load_recording(history: History, queue: Queue, run: str) -> Recording:
    """Each finished call of a run, by role, step, attempt and turn. Raises NotFound."""
    run_id = queue.resolve(run)
    replies: dict[tuple[str, str | None, int | None, int], ModelReply] = {}
    for event in history.events(run_id):
        if event.type != "model.finished":
            continue
        data, usage = event.data, event.data["usage"]
        said = Message.model_validate_json(history.get_blob(data["message"]))
        replies[data["role"], event.step_id, event.attempt, data["turn"]] = ModelReply(
            text=said.content,
            reasoning=said.reasoning or "",
            finish_reason=data["finish_reason"],
            usage=Usage(**usage),
            cost=Cost(usd=0.0, source="scripted"),
            model=data["model"],
            ms=0.0,
        )
    return replies
