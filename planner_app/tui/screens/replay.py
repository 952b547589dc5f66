"""Plays a saved run: the same screen, with a clock that can be stopped, stepped and hurried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer

from planner_app.domain.errors import NotFound
from planner_app.tui.screens.run_base import RunBase
from planner_app.tui.widgets.panes import Strap
from planner_app.view.clean import clip, pad, width
from planner_app.view.describe import what
from planner_app.view.player import Player, Track
from planner_app.view.wrap import Line, Span

if TYPE_CHECKING:
    from planner_app.tui.gateway import Gateway

STILL = "●"
"""What stands for the spinner while nothing moves."""
SHORTEST = 0.02
"""Seconds between two pictures at least."""


class ReplayScreen(RunBase):
    """The player."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "Play", key_display="Space", priority=True),
        Binding("right", "step(1)", "Step", key_display="→", priority=True),
        Binding("left", "step(-1)", "Back a step", show=False, key_display="←", priority=True),
        Binding("plus,equals_sign", "speed(1)", "Speed", key_display="+ -"),
        Binding("minus", "speed(-1)", "Slower", show=False),
        Binding("e", "error", "Error", tooltip="To the next thing that went wrong"),
        Binding("shift+right,full_stop", "milestone(1)", "Next part", show=False),
        Binding("shift+left,comma", "milestone(-1)", "Part before", show=False),
        Binding("home", "edge(0)", "Start", show=False, priority=True),
        Binding("end", "edge(-1)", "End", show=False, priority=True),
    ]

    def __init__(self, run_id: str, speed: float = 1.0) -> None:
        super().__init__(run_id)
        self.player = Player(Track(()), speed=speed if speed > 0 else 1.0)
        self._at = 0.0
        self._timer: Timer | None = None

    def compose_below(self) -> ComposeResult:
        """The scrubber."""
        yield Strap(self._bar, id="bar")

    def on_mount(self) -> None:
        """Reads the whole run in a thread."""
        super().on_mount()

        def read(gateway: Gateway) -> Track:
            found = gateway.events(self.run_id, 0)
            if not found:
                raise NotFound(f"there is no run {self.run_id}", "list them with: planner tasks")
            return Track(found)

        self.planner.in_thread(read, self._have_track, self.leave)

    def _have_track(self, track: object) -> None:
        player = replace(self.player, track=cast("Track", track)).seek(1)
        self._go(replace(player, playing=True))

    def on_screen_resume(self) -> None:
        """A saved run has no news."""
        self.planner.look_at_nothing()

    def now(self) -> datetime:
        """The recorded time of what is shown."""
        return self.view.last_at or super().now()

    # --- playing ---------------------------------------------------------------------------------

    def _go(self, player: Player) -> None:
        moved = player.position != self.player.position
        self.player = player
        self._at = self.planner.clock.monotonic()
        if moved or not self.view.seq:
            self.show_view(player.view)
        self.moves = player.playing
        if not player.playing:
            self.turn(STILL)
        self.query_one("#bar", Strap).redo()
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        wait = player.until_next()
        if wait is not None:
            self._timer = self.set_timer(max(SHORTEST, wait), self._tick)

    def _tick(self) -> None:
        self._timer = None
        passed = self.planner.clock.monotonic() - self._at
        self._go(self.player.tick(max(passed, self.player.until_next() or 0.0)))

    def go_to(self, position: int) -> None:
        """Stands still after so many events."""
        self._go(replace(self.player.seek(position), playing=False))

    # --- the scrubber ----------------------------------------------------------------------------

    def _bar(self, cells: int) -> Sequence[Line]:
        player, track = self.player, self.player.track
        if not len(track):
            return [(("…", "dim"),)]
        sign = "▶" if player.playing else "‖"
        speed = f"{player.speed:g}x"
        left = f"{sign} {pad(speed, 6)}"
        right = f"  {player.position}/{len(track)}"
        room = max(4, cells - width(left) - width(right))
        done = round(room * player.position / len(track))
        spans: list[Span] = [(left, "busy"), *self._line(room, done), (right, "dim")]
        event = track.events[player.position - 1] if player.position else None
        about = f"{event.at:%H:%M:%S}  {event.type}  {what(event, cells)}" if event else "the start"
        return [tuple(spans), ((clip(about, cells), "dim"),)]

    def _line(self, room: int, done: int) -> list[Span]:
        """The line with errors marked on it."""
        total = len(self.player.track)
        errors = {min(room - 1, room * place // total) for place in self.player.track.errors}
        spans: list[Span] = []
        for cell in range(room):
            if cell in errors:
                spans.append(("╋", "bad"))
            else:
                spans.append(("━", "busy" if cell < done else "bar"))
        return spans

    def on_click(self, event: events.Click) -> None:
        """A click on the line goes there."""
        bar = self.query_one("#bar", Strap)
        if event.widget is not bar or event.y != 0 or not len(self.player.track):
            return
        start, right = 8, len(f"  {self.player.position}/{len(self.player.track)}")
        room = max(4, bar.size.width - start - right)
        share = min(1.0, max(0.0, (event.x - start) / room))
        self._go(self.player.seek(round(share * len(self.player.track))))

    # --- keys ------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While words are typed, letters and keys of the box are its own."""
        if self.typing and action in ("play", "step", "speed", "error", "milestone", "edge"):
            return False
        return super().check_action(action, parameters)

    def action_play(self) -> None:
        """Plays or pauses."""
        self._go(self.player.toggle())

    def action_step(self, by: int) -> None:
        """One event on or back."""
        self._go(self.player.step(by))

    def action_speed(self, by: int) -> None:
        """Faster or slower."""
        passed = self.player.tick(self.planner.clock.monotonic() - self._at)
        self._go(passed.faster() if by > 0 else passed.slower())

    def action_error(self) -> None:
        """To the next thing that went wrong."""
        after = self.player.next_error()
        if after.position == self.player.position:
            self.planner.say("Nothing more went wrong.")
        self._go(after)

    def action_milestone(self, by: int) -> None:
        """To the next phase or attempt, or the one before."""
        player = self.player
        self._go(player.next_milestone() if by > 0 else player.previous_milestone())

    def action_edge(self, place: int) -> None:
        """To the start or the end."""
        track = self.player.track
        self._go(replace(self.player.seek(len(track) if place < 0 else 0), playing=False))
