"""What a person says to a run is checked, kept, and read once."""

from __future__ import annotations

from typing import Any

import pytest

from planner_app.domain.catalogue import TYPES, UserSteered
from planner_app.domain.errors import BadInput, NotFound
from planner_app.domain.summary import RunSummary
from planner_app.history import History
from planner_app.queue import EVENT_TYPES, Queue, Submission
from planner_app.queue.port import CommandKind
from planner_app.settings import Settings


@pytest.fixture
def run_id(queue: Queue, settings: Settings) -> str:
    return queue.submit(Submission("Count the words"), settings).run_id


def test_a_command_waits_until_an_event_records_it(
    queue: Queue, history: History, run_id: str
) -> None:
    first = queue.command(run_id, "steer", {"text": "only verbs"})
    second = queue.command(run_id, "pause")
    waiting = queue.unread_commands(run_id)
    assert [(c.id, c.kind) for c in waiting] == [(first, "steer"), (second, "pause")]
    assert waiting[0].data == {"text": "only verbs"}
    assert history.run(run_id).unread
    lease = queue.claim(queue.join("worker").worker_id)
    assert lease
    read = UserSteered(text="only verbs").draft(command_id=first, actor="user")
    history.append_now(run_id, lease.fence, [read])
    assert [c.id for c in queue.unread_commands(run_id)] == [second]


def test_commands_need_no_lease_and_no_driver(queue: Queue, run_id: str) -> None:
    worker = queue.join("worker")
    assert queue.claim(worker.worker_id)
    queue.command(run_id, "cancel", {"reason": "wrong question"})
    assert [c.kind for c in queue.unread_commands(run_id)] == ["cancel"]


def test_every_kind_of_command_has_its_event() -> None:
    assert set(EVENT_TYPES.values()) == {name for name in TYPES if name.startswith("user.")}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("cancel", {}),
        ("interrupt", {"step": "s1"}),
        ("answer", {"text": "the second", "question_id": "q1"}),
        ("approve", {"scope": "run"}),
        ("reject", {"reason": "too dear"}),
        ("budget", {"limits": {"usd": 5, "seconds": None}}),
    ],
)
def test_commands_carry_the_fields_of_their_event(
    queue: Queue, run_id: str, kind: CommandKind, data: dict[str, Any]
) -> None:
    queue.command(run_id, kind, data)
    (command,) = queue.unread_commands(run_id)
    TYPES[EVENT_TYPES[kind]].model_validate(command.data)
    assert data.items() <= command.data.items()


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("explode", {}, "is no command"),
        ("steer", {}, "empty"),
        ("steer", {"text": "  "}, "empty"),
        ("answer", {"text": "a\x00b"}, "binary"),
        ("steer", {"text": "x" * 20_000}, "too long"),
        ("approve", {"scope": "for ever"}, "scope"),
        ("pause", {"why": "x"}, "why"),
        ("budget", {}, "needs limits"),
        ("budget", {"limits": {"dollars": 1}}, "needs limits"),
        ("budget", {"limits": {"usd": -1}}, "budget usd is -1"),
        ("budget", {"limits": {"usd": float("inf")}}, "budget usd is inf"),
    ],
)
def test_a_command_that_cannot_be_used_is_told(
    queue: Queue, run_id: str, kind: CommandKind, data: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        queue.command(run_id, kind, data)
    assert "\n" not in str(caught.value)
    assert queue.unread_commands(run_id) == []


def test_a_run_that_ended_takes_no_commands(queue: Queue, history: History, run_id: str) -> None:
    lease = queue.claim(queue.join("worker").worker_id)
    assert lease
    summary = RunSummary(status="done", phase="checking", title="t")
    history.append_now(run_id, lease.fence, [UserSteered(text="x").draft()], summary=summary)
    with pytest.raises(BadInput, match=r"has ended \(done\), so .* to steer; .*planner continue"):
        queue.command(run_id, "steer", {"text": "more"})
    with pytest.raises(NotFound):
        queue.command("r_nothing", "pause")


def test_a_key_in_a_message_is_taken_out(
    queue: Queue, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "very-secret-value")
    queue.command(run_id, "steer", {"text": "log in with very-secret-value"})
    (command,) = queue.unread_commands(run_id)
    assert "secret-value" not in command.data["text"]
