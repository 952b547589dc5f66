"""The replies of a saved run, for `recorded:RUN`: the same words to the same calls."""

from __future__ import annotations

from planner_app.history import History
from planner_app.models.port import Cost, Message, ModelReply, ReplyKey, Usage
from planner_app.models.recorded import CallId, Recording, call_id
from planner_app.queue.embedded import Queue


def load_recording(history: History, queue: Queue, run: str) -> Recording:
    """Each finished call of a run, by who asked. Raises NotFound."""
    run_id = queue.resolve(run)
    replies: dict[CallId, ModelReply] = {}
    for event in history.events(run_id):
        if event.type != "model.finished":
            continue
        data, usage = event.data, event.data["usage"]
        said = Message.model_validate_json(history.get_blob(data["message"]))
        key = ReplyKey(
            role=data["role"],
            purpose=data["purpose"],
            step=event.step_id,
            attempt=event.attempt,
            turn=data["turn"],
        )
        replies[call_id(key)] = ModelReply(
            text=said.content,
            reasoning=said.reasoning or "",
            finish_reason=data["finish_reason"],
            usage=Usage(**usage),
            cost=Cost(usd=0.0, source="scripted"),
            model=data["model"],
            ms=0.0,
        )
    return replies
