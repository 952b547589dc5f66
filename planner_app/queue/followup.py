"""What a follow-up run knows of the run that it goes on from."""

from __future__ import annotations

from dataclasses import dataclass

from planner_app.domain.catalogue import Attachment
from planner_app.domain.errors import BadInput
from planner_app.domain.events import Event
from planner_app.history import ENDED, History
from planner_app.queue.attachments import free_name

_MAX_BYTES = 5_000
_MAX_SOURCES = 25


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run that ended, as its follow-up sees it."""

    task_id: str
    net: str
    attachments: tuple[Attachment, ...]
    """Its own, and what it produced under `earlier/`."""
    limits: dict[str, float]
    """What its sandboxes may use."""
    background: str
    """Task, facts, answer and sources, for the planner to read."""


def read_earlier(history: History, run_id: str) -> Earlier:
    """Raises NotFound for an unknown run, BadInput for one that still goes on."""
    row = history.run(run_id)
    if row.summary.status not in ENDED:
        raise BadInput(
            f"run {run_id} has not ended ({row.summary.status})",
            f'add to it with: planner steer {run_id} "TEXT"',
        )
    events = history.events(run_id)
    created = events[0]
    attached = {
        item["name"]: Attachment.model_validate(item)
        for event in events
        if event.type in ("run.created", "run.attached")
        for item in event.data["attachments"]
    }
    for artifact in history.artifacts(run_id):
        name = f"earlier/{artifact.name}"
        if created.data["parent_run_id"] is None:  # else it is what this run went on from
            name = free_name(name, set(attached))
        attached[name] = Attachment(name=name, sha256=artifact.sha256, bytes=artifact.bytes)
    return Earlier(
        task_id=row.task_id,
        net=created.data["net"],
        attachments=tuple(attached.values()),
        limits=created.data.get("limits", {}),
        background=_background(events, _sources(history, run_id)),
    )


def _sources(history: History, run_id: str) -> list[str]:
    found = [s for s in history.sources(run_id) if not s.weak][:_MAX_SOURCES]
    return [f"[{s.n}] {s.title[:100]} {s.url or ''}".rstrip() for s in found]


def _background(events: list[Event], sources: list[str]) -> str:
    parts = [f"The earlier task was:\n{_cut(events[0].data['text'], 1_000)}"]
    if before := events[0].data.get("background"):
        parts.append(f"Before that:\n{_cut(before, 700)}")
    facts: list[str] = []
    answer = ""
    for event in events:
        if event.type == "facts.updated":
            facts = [item["fact"] for item in event.data["facts"]["verified"]]
        elif event.type == "answer.drafted":
            answer = event.data["answer"]["text"]
    if answer:
        parts.append(f"Its answer was:\n{_cut(answer, 1_800)}")
    if facts:
        parts.append("Verified facts:\n" + _cut("\n".join(f"- {fact}" for fact in facts), 900))
    if sources:
        parts.append("Its sources (numbered there, not here):\n" + _cut("\n".join(sources), 1_200))
    return _cut("\n\n".join(parts), _MAX_BYTES)


def _cut(text: str, limit: int) -> str:
    data = text.encode()
    return text if len(data) <= limit else data[: limit - 3].decode(errors="ignore") + "…"
