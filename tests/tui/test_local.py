"""The gateway to real SQLite: rows, deltas, live text, search, commands, and the screens on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from planner_app.domain.errors import BadInput, EngineMissing, ModelMissing
from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from planner_app.history import History, NewRun, NewTask
from planner_app.history.live import LiveWriter, live_file
from planner_app.queue import Queue
from planner_app.settings import Settings, load_settings
from planner_app.tui import local
from planner_app.tui.app import PlannerApp
from planner_app.tui.desk import Checks
from planner_app.tui.local import LocalGateway
from planner_app.tui.screens.run import RunScreen
from planner_app.tui.widgets.prompt import Prompt
from planner_app.view.reducer import view_of
from tests.tui.conftest import shown, until
from tests.view.story import Story, research_story

KEYS = {"DEEPSEEK_API_KEY": "sk-0123456789abcdef0123456789abcdef"}


@pytest.fixture
def settings(tmp_path: Path, planner_home: Path) -> Settings:
    return load_settings(tmp_path, os.environ)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Workers that would have been started."""
    calls: list[object] = []
    monkeypatch.setattr(local, "ensure_worker", lambda *args: calls.append(args))
    return calls


@pytest.fixture
def gateway(settings: Settings, started: list[object], tmp_path: Path) -> Iterator[LocalGateway]:
    opened = LocalGateway.open(settings, env=KEYS, cwd=tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def history(settings: Settings) -> Iterator[History]:
    with History.open(settings.paths.database) as opened:
        yield opened


class Written:
    """A story that is written into real SQLite, as a worker would."""

    def __init__(self, history: History, story: Story) -> None:
        self.history, self.story, self.at = history, story, 1
        for data in story.blobs.values():
            history.put_blob(data)
        first = story.events[0]
        task = NewTask("t_7hq2c8d1ws", first.data["text"][:60], first.blobs["text"])
        summary = fold([first]).summary()
        history.create_run(NewRun(story.run_id, task.id, summary), [first], task=task)
        self.member = Queue(history).join("run")
        lease = Queue(history).claim(self.member.worker_id, story.run_id)
        assert lease is not None
        self.fence = lease.fence

    def append(self, upto: int | None = None) -> None:
        events = self.story.events[self.at : upto]
        self.at += len(events)
        summary = fold(self.story.events[: self.at]).summary()
        self.history.append_now(self.story.run_id, self.fence, events, summary=summary)


def same_but_time(events: list[Event]) -> list[tuple[int, str, object]]:
    return [(event.seq, event.type, event.data) for event in events]


def test_rows_deltas_and_blobs_come_from_the_history(
    gateway: LocalGateway, history: History
) -> None:
    story = research_story()
    written = Written(history, story)
    written.append(20)
    (row,) = gateway.rows()
    assert (row.run_id, row.status, row.steps_total) == (story.run_id, "executing", 3)
    assert same_but_time(gateway.events(story.run_id, 0)) == same_but_time(story.events[:20])
    seen = gateway.changes()
    assert not gateway.wait(seen, 0.05)
    written.append()
    assert gateway.wait(seen, 5.0)
    assert same_but_time(gateway.events(story.run_id, 20)) == same_but_time(story.events[20:])
    assert gateway.rows()[0].status == "done"
    sha, data = next(iter(story.blobs.items()))
    assert gateway.blob(sha) == data


def test_growing_text_is_read_piece_by_piece_and_begins_anew_after_a_retry(
    gateway: LocalGateway, history: History
) -> None:
    writer = LiveWriter(live_file(history.path))
    assert gateway.live("r_1") == {}
    seen = gateway.changes()
    writer.write("r_1", "m1", "reasoning", "let me ")
    assert gateway.wait(seen, 5.0)
    while not gateway.live("r_1"):
        gateway.wait(gateway.changes(), 0.05)
    writer.write("r_1", "m1", "reasoning", "think")
    while gateway.live("r_1")["m1"].reasoning != "let me think":
        gateway.wait(gateway.changes(), 0.05)
    writer.restart("r_1", "m1")
    writer.write("r_1", "m1", "text", "x")
    while gateway.live("r_1")["m1"].text != "x":
        gateway.wait(gateway.changes(), 0.05)
    assert gateway.live("r_1")["m1"].reasoning == ""
    assert gateway.live("r_2") == {}
    writer.close()


def test_a_task_is_recorded_with_its_team_and_a_worker_is_seen_to(
    gateway: LocalGateway, history: History, started: list[object]
) -> None:
    assert "DEEPSEEK_API_KEY" in gateway.team().said
    run_id = gateway.submit("count\nthe words")
    first = history.events(run_id)[0]
    assert first.data["text"] == "count\nthe words"
    assert first.data["models"]["planner"].startswith("deepseek/")
    assert len(started) == 1
    with pytest.raises(BadInput):
        gateway.submit("   ")


def test_a_command_waits_for_the_run_to_read_it(
    gateway: LocalGateway, history: History, started: list[object]
) -> None:
    run_id = gateway.submit("count the words")
    gateway.command(run_id, "steer", {"text": "only nouns"})
    (command,) = Queue(history).unread_commands(run_id)
    assert (command.kind, command.data["text"]) == ("steer", "only nouns")
    assert len(started) == 2


def test_without_a_key_a_task_is_refused_and_nothing_is_recorded(
    settings: Settings, started: list[object]
) -> None:
    gateway = LocalGateway.open(settings, env={})
    assert gateway.team().missing
    with pytest.raises(ModelMissing):
        gateway.submit("count the words")
    assert gateway.rows() == []
    gateway.close()


def test_without_an_engine_a_task_is_refused_but_an_example_runs_and_says_so(
    settings: Settings, started: list[object]
) -> None:
    def no_engine(_settings: Settings) -> None:
        raise EngineMissing("no container engine answers", "start one")

    gateway = LocalGateway.open(settings, env=KEYS, checks=Checks(sandbox=no_engine))
    with pytest.raises(EngineMissing):
        gateway.submit("count the words")
    card = gateway.examples()[0]
    run_id = gateway.submit_example(card.name)
    view = view_of(gateway.events(run_id, 0))
    assert view.sandbox == "unsafe-host"
    assert view.example == card.name
    gateway.close()


def test_words_are_found_in_all_runs(gateway: LocalGateway, history: History) -> None:
    story = research_story()
    Written(history, story).append()
    found = gateway.find("canakkale")
    assert found
    assert {each.run_id for each in found} == {story.run_id}
    assert gateway.find("  ") == []


async def test_a_run_written_by_another_process_is_followed_to_its_answer(
    gateway: LocalGateway, history: History
) -> None:
    story = research_story()
    written = Written(history, story)
    written.append(18)
    app = PlannerApp(lambda: gateway, animate=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.rows, "the row")
        await pilot.press("up", "enter")
        await until(pilot, lambda: 'search("longest' in shown(app), "the run")
        for upto in range(20, len(story.events), 7):
            written.append(upto)
        written.append()
        await until(pilot, lambda: "✓ checked" in shown(app), "the answer")
        screen = app.screen
        assert isinstance(screen, RunScreen)
        assert screen.view.status == "done"
        assert screen.view.seq == len(story.events)


async def test_a_task_delegated_from_the_screen_stands_in_the_history(
    gateway: LocalGateway, history: History
) -> None:
    app = PlannerApp(lambda: gateway, animate=False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.team, "history")
        await pilot.press(*"count them", "enter")
        await until(pilot, lambda: app.query_one(Prompt).text == "", "that it is saved")
        (row,) = history.runs()
        assert row.summary.title == "count them"
        assert row.created_at - row.last_at < timedelta(seconds=1)
        await until(pilot, lambda: "queued" in shown(app), "the row")
