"""A history and a queue in memory, for screens that are tested without a database."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from planner_app.domain.errors import PlannerError
from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from planner_app.tui.app import Clock, PlannerApp, Start
from planner_app.tui.editing import PlanFile
from planner_app.tui.gateway import ExampleCard, Found, TeamLine
from planner_app.view.blocks import Live
from planner_app.view.inbox import TaskRow, row_of
from tests.view.story import START, Story

NOW = START + timedelta(minutes=7)
TEAM = TeamLine(said="planner deepseek/r1, executor qwen/coder, because DEEPSEEK_API_KEY is set")


class FakeGateway:
    """Holds stories; what people ask is written down in `asked`."""

    def __init__(
        self, *stories: Story, rows: Sequence[TaskRow] = (), team: TeamLine = TEAM
    ) -> None:
        self.stories = {story.run_id: story for story in stories}
        self.extra_rows = list(rows)
        self.team_line = team
        self.asked: list[tuple[object, ...]] = []
        self.live_text: dict[str, Live] = {}
        self.refuse: PlannerError | None = None
        self.found: list[Found] = []
        self.closed = False
        self.folder: Path | None = None
        """Where plans are edited."""
        self._changed = threading.Condition()
        self._count = 0

    def touch(self) -> None:
        """Something changed: whoever waits is told."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def team(self) -> TeamLine:
        return self.team_line

    def rows(self) -> list[TaskRow]:
        if self.refuse:
            raise self.refuse
        rows = [
            row_of(story.run_id, "t_1", story.events[0].at, fold(story.events).summary())
            for story in self.stories.values()
        ]
        return rows + self.extra_rows

    def events(self, run_id: str, after: int) -> list[Event]:
        story = self.stories.get(run_id)
        return list(story.events[after:]) if story else []

    def blob(self, sha: str) -> bytes:
        return next(s.blobs[sha] for s in self.stories.values() if sha in s.blobs)

    def live(self, run_id: str) -> Mapping[str, Live]:
        return dict(self.live_text) if run_id in self.stories else {}

    def find(self, words: str) -> list[Found]:
        self.asked.append(("find", words))
        return self.found if words.strip() else []

    def examples(self) -> Sequence[ExampleCard]:
        return (
            ExampleCard("bridges", "A research question", "two steps in parallel, cited pages"),
            ExampleCard("sales", "A data question", "pandas over a CSV, a chart is kept"),
            ExampleCard("detour", "A surprise", "the first attempt fails and is planned again"),
        )

    def submit(self, text: str, follow_up_of: str | None = None) -> str:
        if self.refuse:
            raise self.refuse
        self.asked.append(("submit", text, follow_up_of))
        story = Story(f"r_new{len(self.asked)}", start=NOW)
        story.create(text)
        self.stories[story.run_id] = story
        self.touch()
        return story.run_id

    def submit_example(self, name: str) -> str:
        self.asked.append(("example", name))
        story = Story(f"r_ex{len(self.asked)}", start=NOW)
        story.create(f"the {name} example", example=name)
        self.stories[story.run_id] = story
        self.touch()
        return story.run_id

    def command(self, run_id: str, kind: str, data: Mapping[str, object]) -> None:
        if self.refuse:
            raise self.refuse
        self.asked.append(("command", run_id, kind, dict(data)))

    def plan_file(self, run_id: str) -> PlanFile:
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp())
        return PlanFile(self.folder, fold(self.stories[run_id].events))

    def changes(self) -> int:
        return self._count

    def wait(self, seen: int, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._count != seen, timeout)

    def close(self) -> None:
        self.closed = True


class TestClock:
    """A clock that stands still until it is moved."""

    __test__ = False

    def __init__(self, now: datetime = NOW) -> None:
        self.at = now
        self.seconds = 1000.0

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


def app_with(
    gateway: FakeGateway, *, start: Start | None = None, clock: TestClock | None = None
) -> PlannerApp:
    """The app on a fake, with a clock that stands still and a spinner that does not turn."""
    clock = clock or TestClock()
    return PlannerApp(
        lambda: gateway,
        clock=Clock(lambda: clock.at, lambda: clock.seconds),
        start=start,
        animate=False,
    )
