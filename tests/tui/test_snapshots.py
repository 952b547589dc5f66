"""How the screens look, at two sizes, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from textual.pilot import Pilot

from planner_app.tui.app import PlannerApp, Start
from planner_app.tui.screens.replay import ReplayScreen
from planner_app.tui.screens.run import RunScreen
from planner_app.tui.widgets.prompt import Prompt
from planner_app.view.inbox import TaskRow
from tests.tui.conftest import until
from tests.tui.fakes import NOW, FakeGateway, app_with
from tests.view.story import research_story

SIZES = [(80, 24), (120, 40)]
Compare = Callable[..., bool]


def rows() -> list[TaskRow]:
    def row(run_id: str, status: str, title: str, minutes: int, note: str = "") -> TaskRow:
        return TaskRow(
            run_id=run_id,
            task_id="t",
            title=title,
            status=status,
            created_at=NOW - timedelta(minutes=minutes),
            note=note,
            usd=0.013 * minutes,
            steps_done=1,
            steps_total=4,
        )

    return [
        row("r1", "waiting_user", "Compare our suppliers' delivery times", 12, "Which year?"),
        row("r2", "failed", "Summarise the board minutes", 55, "the key was refused (401)"),
        row("r3", "queued", "Count the words per chapter", 1),
        row("r4", "partial", "Population of the ten largest cities of Chad", 300),
        row("r5", "cancelled", "Translate all of it", 4000),
    ]


async def opened_run(pilot: Pilot[None]) -> None:
    def ready() -> bool:
        screen = pilot.app.screen
        return isinstance(screen, RunScreen | ReplayScreen) and screen.view.seq > 0

    await until(pilot, ready, "the run")
    await settled(pilot)


async def settled(pilot: Pilot[None]) -> None:
    """All that is in sight has been read and laid out."""
    screen = pilot.app.screen
    assert isinstance(screen, RunScreen | ReplayScreen)
    for _ in range(4):
        await pilot.pause()
        await until(pilot, lambda: not screen.bodies.waiting, "texts")


@pytest.mark.parametrize("size", SIZES)
def test_the_inbox(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = app_with(FakeGateway(research_story("executing", "r_9"), rows=rows()))

    async def before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.rows, "rows")
        await pilot.press("up")

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES)
def test_an_empty_inbox(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = app_with(FakeGateway())

    async def before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.team, "history")
        await until(pilot, lambda: app.query_one("#inbox")._known, "rows")

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES)
def test_a_running_run(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = app_with(FakeGateway(research_story("executing", "r_9")), start=Start("r_9"))
    assert snap_compare(app, terminal_size=size, run_before=opened_run)


@pytest.mark.parametrize("size", SIZES)
def test_a_finished_run(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = app_with(FakeGateway(research_story("end", "r_9")), start=Start("r_9"))
    assert snap_compare(app, terminal_size=size, run_before=opened_run)


@pytest.mark.parametrize("size", SIZES)
def test_a_replay_at_an_error(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = app_with(FakeGateway(research_story("end", "r_9")), start=Start("r_9", replay=True))

    async def before(pilot: Pilot[None]) -> None:
        await opened_run(pilot)
        await pilot.press("home", "e", "e")
        await settled(pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)


def test_a_run_that_asks(snap_compare: Compare) -> None:
    from tests.tui.test_run import asking

    app: PlannerApp = app_with(FakeGateway(asking()), start=Start("r_1"))

    async def before(pilot: Pilot[None]) -> None:
        await opened_run(pilot)
        await pilot.press("a", *"2025")
        assert pilot.app.screen.query_one("#say", Prompt).text == "2025"

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)
