from __future__ import annotations

import pytest

from planner_app.tui.app import PlannerApp, Start
from planner_app.tui.screens.replay import ReplayScreen
from planner_app.tui.widgets.timeline import Timeline
from planner_app.view.reducer import view_of
from tests.tui.conftest import shown, until
from tests.tui.fakes import FakeGateway, TestClock, app_with
from tests.view.story import Story, research_story


@pytest.fixture
def story() -> Story:
    return research_story("end", "r_1")


def player_of(app: PlannerApp) -> ReplayScreen:
    assert isinstance(app.screen, ReplayScreen)
    return app.screen


async def opened(app: PlannerApp, pilot: object) -> ReplayScreen:
    await until(
        pilot,  # type: ignore[arg-type]
        lambda: isinstance(app.screen, ReplayScreen) and len(player_of(app).player.track),
        "the player",
    )
    return player_of(app)


async def test_each_step_shows_the_fold_of_the_events_up_to_it(story: Story) -> None:
    app = app_with(FakeGateway(story), start=Start("r_1", replay=True))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(app, pilot)
        await pilot.press("home")
        total = len(story.events)
        steps = [("right", n) for n in range(1, total + 1)]
        steps += [("left", n) for n in range(total - 1, -1, -1)]
        for key, position in steps:
            await pilot.press(key)
            expected = view_of(story.events[:position])
            assert screen.player.position == position
            assert screen.view == expected
            assert screen.query_one(Timeline).entries == list(expected.timeline)


async def test_space_stops_and_goes_on_and_the_bar_tells_where(story: Story) -> None:
    app = app_with(FakeGateway(story), start=Start("r_1", replay=True))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot)
        assert screen.player.playing
        await pilot.press("space")
        assert not screen.player.playing
        assert "‖ 1x" in shown(app)
        await pilot.press("space")
        assert screen.player.playing
        await until(pilot, lambda: "▶ 1x" in shown(app), "the sign")


async def test_playing_goes_to_the_end_by_itself(story: Story) -> None:
    clock = TestClock()
    app = app_with(FakeGateway(story), start=Start("r_1", replay=True, speed=32.0), clock=clock)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot)
        await until(pilot, lambda: screen.player.at_end, "the end")
        assert screen.view == view_of(story.events)
        assert f"{len(story.events)}/{len(story.events)}" in shown(app)


async def test_e_goes_from_error_to_error_and_says_when_there_is_none_left(story: Story) -> None:
    app = app_with(FakeGateway(story), start=Start("r_1", replay=True))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await opened(app, pilot)
        await pilot.press("home", "e")
        assert story.events[screen.player.position - 1].type == "tool.failed"
        assert "rate_limit: too many requests" in shown(app)
        for _ in range(4):
            await pilot.press("e")
        await until(pilot, lambda: "Nothing more went wrong." in shown(app), "the notice")


async def test_speed_and_parts_can_be_changed_and_the_ends_reached(story: Story) -> None:
    app = app_with(FakeGateway(story), start=Start("r_1", replay=True))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot)
        await pilot.press("space", "plus", "plus", "minus")
        assert screen.player.speed == 2.0
        await pilot.press("end")
        assert screen.player.at_end
        await pilot.press("home")
        assert screen.player.position == 0
        await pilot.press("full_stop")
        assert story.events[screen.player.position - 1].type == "run.phase"


async def test_a_click_on_the_line_goes_there(story: Story) -> None:
    app = app_with(FakeGateway(story), start=Start("r_1", replay=True))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot)
        await pilot.press("space")
        await pilot.click("#bar", offset=(40, 0))
        middle = len(story.events) / 2
        assert abs(screen.player.position - middle) < len(story.events) / 5


async def test_panes_and_folding_work_in_a_replay_too(story: Story) -> None:
    app = app_with(FakeGateway(story), start=Start("r_1", replay=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("end", "2")
        await until(pilot, lambda: "✓ checked" in shown(app), "the answer")
        await pilot.press("3")
        await until(pilot, lambda: "Revision 2" in shown(app), "the plan")
        await pilot.press("1", "slash", "x", "space", "y")
        assert "x y" in shown(app)
