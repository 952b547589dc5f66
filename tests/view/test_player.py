from dataclasses import replace

import pytest

from planner_app.view.player import CHECKPOINT, Player, Track
from planner_app.view.reducer import view_of
from tests.view.story import Story, research_story


@pytest.fixture
def track() -> Track:
    return Track(research_story().events)


def test_every_position_shows_the_fold_of_the_events_so_far(track: Track) -> None:
    for position in range(len(track) + 1):
        assert track.view_at(position) == view_of(track.events[:position])


def test_stepping_back_shows_the_same_as_stepping_forward(track: Track) -> None:
    forward = [Player(track).step(n).view for n in range(len(track) + 1)]
    player = Player(track).seek(len(track))
    for expected in reversed(forward):
        assert player.view == expected
        player = player.step(-1)


def test_a_long_run_can_be_entered_anywhere() -> None:
    story = research_story("executing")
    for turn in range(2, 3 * CHECKPOINT):
        move = story.begin_action("s1", f"print({turn})", turn=turn)
        story.end_action("s1", move, str(turn), turn=turn)
    track = Track(story.events)
    for position in (len(track), 5, 2 * CHECKPOINT, CHECKPOINT - 1, len(track) - 1, 0):
        assert track.view_at(position) == view_of(track.events[:position])


def test_playing_follows_the_recorded_times_at_its_speed(track: Track) -> None:
    player = replace(Player(track).step(4), playing=True)
    wait = player.until_next()
    assert wait == pytest.approx(2.0)  # the planner thought for 6.2 s; long gaps are shortened
    assert player.tick(wait - 0.01).position == 4
    assert player.tick(wait).position > 4
    assert replace(player, speed=4.0).until_next() == pytest.approx(0.5)


def test_a_night_of_waiting_is_played_in_a_moment() -> None:
    story = Story()
    story.create("a task")
    story.pass_time(9 * 3600)
    story.say_end()
    assert Track(story.events).seconds < 5


def test_playing_ends_at_the_end_and_starts_over_from_there(track: Track) -> None:
    player = Player(track, playing=True).tick(1e6)
    assert player.at_end
    assert not player.playing
    assert player.toggle().position == 0
    assert player.toggle().playing


def test_time_that_passes_while_paused_changes_nothing(track: Track) -> None:
    player = Player(track).step(10)
    assert player.tick(100.0) == player


def test_jumping_to_errors_visits_each_and_stays_at_the_last(track: Track) -> None:
    player, seen = Player(track), []
    while (after := player.next_error()).position != player.position:
        player = after
        seen.append(track.events[player.position - 1].type)
    assert seen == ["tool.failed", "action.finished", "attempt.finished", "replan.decided"]
    assert not player.playing


def test_milestones_lead_through_the_run_and_back(track: Track) -> None:
    player = Player(track).next_milestone()
    assert track.events[player.position - 1].type == "run.phase"
    assert player.next_milestone().previous_milestone() == player
    assert Player(track).previous_milestone().position == 0


def test_speeds_have_ends(track: Track) -> None:
    player = Player(track)
    for _ in range(20):
        player = player.faster()
    assert player.speed == 32.0
    for _ in range(20):
        player = player.slower()
    assert player.speed == 0.25


def test_an_empty_run_can_be_opened() -> None:
    player = Player(Track(()))
    assert player.at_end
    assert not player.toggle().playing
    assert player.step(1).position == 0
