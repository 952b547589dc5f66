"""Rebuilds the exact messages of any model request from the log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from planner_app.domain.errors import HistoryError, NotFound
from planner_app.domain.events import Event


def message_shas(events: Iterable[Event], move_id: str) -> list[str]:
    """sha256 of the request's messages in order: its parent's, then those it appended.

    Raises NotFound when no model call has this move id, HistoryError when the chain is broken.
    """
    started = {
        event.move_id: event.data
        for event in events
        if event.type == "model.started" and event.move_id is not None
    }
    if move_id not in started:
        raise NotFound(f"the run has no model call {move_id[:80]!r}")
    parts: list[list[str]] = []
    seen: set[str] = set()
    current: str | None = move_id
    while current is not None:
        if current in seen or current not in started:
            raise HistoryError(f"the request of {move_id!r} is incomplete: {current!r} is missing")
        seen.add(current)
        parts.append(started[current]["appended"])
        current = started[current]["parent_request"]
    return [sha for part in reversed(parts) for sha in part]


def rebuild(
    events: Iterable[Event], move_id: str, read_blob: Callable[[str], bytes]
) -> list[dict[str, Any]]:
    """The messages as they were sent."""
    return [json.loads(read_blob(sha)) for sha in message_shas(events, move_id)]
