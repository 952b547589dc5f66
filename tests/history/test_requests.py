"""Any request to a model can be rebuilt exactly from the log."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_app.domain.catalogue import ModelStarted
from planner_app.domain.errors import HistoryError, NotFound
from planner_app.domain.events import EventDraft
from planner_app.history import requests
from tests.history.conftest import DrivenRun


def started(move: str, parent: str | None, appended: list[str]) -> EventDraft:
    return ModelStarted(
        role="planner",
        purpose="plan",
        conversation="planner",
        model="m",
        turn=1,
        parent_request=parent,
        appended=appended,
    ).draft(move_id=move)


def test_a_conversation_is_rebuilt_message_by_message(run: DrivenRun) -> None:
    messages = [
        {"role": "user", "content": "Plan \U0001f600 this"},
        {"role": "assistant", "content": "1.", "reasoning": "hm"},
        {"role": "user", "content": "Go on"},
    ]
    shas = [run.history.put_blob(json.dumps(message).encode()) for message in messages]
    run.append(
        started("plan//1/1/1", None, shas[:1]), started("plan//1/2/1", "plan//1/1/1", shas[1:])
    )
    assert run.history.request(run.id, "plan//1/1/1") == messages[:1]
    assert run.history.request(run.id, "plan//1/2/1") == messages


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.text("abc", min_size=1, max_size=3), max_size=3), min_size=1, max_size=8)
)
def test_every_request_is_its_parents_and_what_it_added(turns: list[list[str]]) -> None:
    from datetime import UTC, datetime

    from planner_app.domain.events import Event

    now = datetime.now(UTC)
    events = [
        Event.of(started(f"m{n}", f"m{n - 1}" if n else None, added), "r", n + 1, now)
        for n, added in enumerate(turns)
    ]
    for n in range(len(turns)):
        expected = [sha for added in turns[: n + 1] for sha in added]
        assert requests.message_shas(events, f"m{n}") == expected


def test_a_broken_chain_is_told(run: DrivenRun) -> None:
    run.append(started("a", "missing", []), started("b", "b", []))
    for move in ("a", "b"):
        with pytest.raises(HistoryError, match="incomplete"):
            run.history.request(run.id, move)
    with pytest.raises(NotFound):
        run.history.request(run.id, "c")
