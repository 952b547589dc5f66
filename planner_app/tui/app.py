"""The app: opens history after the first paint, hands news to the screen in front, keeps no tasks.

Nothing heavy may be imported here before the prompt can be typed into; a test holds that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from planner_app.domain.errors import PlannerError
from planner_app.tui.feed import Feed, News
from planner_app.tui.screens.base import HasNews
from planner_app.tui.screens.home import HomeScreen
from planner_app.tui.theme import THEME
from planner_app.view.clean import clean, clip
from planner_app.view.inbox import TaskRow, counts

if TYPE_CHECKING:
    from pathlib import Path

    from planner_app.domain.plan import Plan
    from planner_app.settings import Settings
    from planner_app.tui.desk import Checks
    from planner_app.tui.editing import PlanFile
    from planner_app.tui.gateway import Gateway, TeamLine

SPINNER = "⠋⠙⠸⠴⠦⠇"
SPIN_SECONDS = 0.25
Opener = Callable[[], "Gateway"]


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the app gets the time from; tests give their own."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Start:
    """What to open at once instead of the inbox alone."""

    run_id: str
    replay: bool = False
    speed: float = 1.0


class PlannerApp(App[None]):
    """Inbox, runs and replays."""

    TITLE = "planner"
    CSS_PATH = "planner.tcss"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual's own form
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("f1", "help", "Help", key_display="F1", show=False),
        Binding("ctrl+q", "quit", "Quit", key_display="^q", show=False),
    ]

    @dataclass
    class Arrived(Message):
        """News from the feed's thread."""

        news: News

    def __init__(
        self,
        opener: Opener,
        *,
        clock: Clock | None = None,
        start: Start | None = None,
        animate: bool = True,
    ) -> None:
        super().__init__()
        self.clock = clock or Clock()
        self.gateway: Gateway | None = None
        self.rows: list[TaskRow] = []
        self.team: TeamLine | None = None
        self.farewell = ""
        """What to say on the terminal after the screen is gone."""
        self.failure: Exception | None = None
        """Why history could not be opened; None: it could, or that is not known yet."""
        self._opener = opener
        self._start = start
        self._animated = animate
        self._feed: Feed | None = None
        self._turns = 0
        self._waiting: list[Callable[[], None]] = []
        """What was asked before history was open."""

    def get_default_screen(self) -> Screen[None]:
        """The inbox."""
        return HomeScreen()

    # --- opening -----------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Everything heavy waits until the prompt has been painted."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.set_interval(SPIN_SECONDS, self._turn)
        self.call_after_refresh(self._open_history)

    def _open_history(self) -> None:
        self.run_worker(self._open, name="open history", thread=True, exit_on_error=False)

    def _open(self) -> None:
        worker = get_current_worker()
        try:
            gateway = self._opener()
            team = gateway.team()
        except Exception as error:  # noqa: BLE001 - told on the screen, raised when it is closed
            self.call_from_thread(self._failed, error)
            return
        if worker.is_cancelled or not self.is_running:
            gateway.close()
            return
        self.call_from_thread(self._opened, gateway, team)

    def _opened(self, gateway: Gateway, team: TeamLine) -> None:
        self.gateway, self.team = gateway, team
        self._feed = Feed(gateway, self._tell)
        self._feed.start()
        for screen in self.screen_stack:
            if isinstance(screen, HomeScreen):
                screen.team_known(team)
        waiting, self._waiting = self._waiting, []
        for ask in waiting:
            ask()
        if self._start is not None:
            start, self._start = self._start, None
            if start.replay:
                self.open_replay(start.run_id, start.speed)
            else:
                self.open_run(start.run_id)

    def _failed(self, error: Exception) -> None:
        self.failure = error
        self._waiting.clear()
        if isinstance(self.screen, HomeScreen):
            self.screen.no_history(_told(error))

    def _tell(self, news: News) -> None:
        self.post_message(self.Arrived(news))

    def on_unmount(self) -> None:
        """Lets go of history; runs go on in their worker."""
        if self._feed is not None:
            self._feed.stop()
        if self.gateway is not None:
            self.gateway.close()

    # --- news --------------------------------------------------------------------------------

    def on_planner_app_arrived(self, message: Arrived) -> None:
        """Gives a batch to the screen in front."""
        news = message.news
        if news.rows is not None:
            self.rows = news.rows
            self._title()
        for screen in reversed(self.screen_stack):
            if isinstance(screen, HasNews):
                screen.news(news)
                break

    def _title(self) -> None:
        said = str(counts(self.rows))
        title = f"planner: {said}" if said else "planner"
        if title != self.title:
            self.title = title
            if not self.is_headless and self._driver is not None:
                self._driver.write(f"\x1b]2;{clip(title, 80)}\x07")

    def _turn(self) -> None:
        """The one shared spinner: four pictures a second, and only where something works."""
        screen = self.screen
        if self._animated and isinstance(screen, HasNews) and screen.moves:
            self._turns += 1
            screen.turn(SPINNER[self._turns % len(SPINNER)])

    def look_at_inbox(self) -> None:
        """The feed follows the list from now on."""
        if self._feed is not None:
            self._feed.look_at_inbox()

    def look_at_run(self, run_id: str, after: int) -> None:
        """The feed follows one run from now on."""
        if self._feed is not None:
            self._feed.look_at_run(run_id, after)

    def look_at_nothing(self) -> None:
        """The feed rests."""
        if self._feed is not None:
            self._feed.look_at_nothing()

    # --- what people ask -----------------------------------------------------------------------

    def when_open(self, ask: Callable[[], None]) -> None:
        """Does it now, or as soon as history is open; says why that will never be."""
        if self.gateway is not None:
            ask()
        elif self.failure is not None:
            self.trouble(_told(self.failure))
        else:
            self._waiting.append(ask)

    def in_thread(
        self,
        work: Callable[[Gateway], object],
        done: Callable[[object], object] | None = None,
        failed: Callable[[], None] | None = None,
    ) -> None:
        """Asks the gateway off the loop. A PlannerError is shown, and `failed` called."""

        def run() -> None:
            gateway = self.gateway
            if gateway is None:
                return
            try:
                result = work(gateway)
            except PlannerError as error:
                self.call_from_thread(self.trouble, error)
                if failed is not None:
                    self.call_from_thread(failed)
                return
            if done is not None and self.is_running:
                self.call_from_thread(done, result)

        self.when_open(lambda: self._start_thread(run))
        if self.failure is not None and failed is not None:
            failed()

    def _start_thread(self, run: Callable[[], None]) -> None:
        self.run_worker(run, name="ask history", thread=True)

    def trouble(self, error: PlannerError) -> None:
        """Cause and next action, in a notice."""
        title, hint = clean(error.message), clean(error.hint)
        self.notify(hint or " ", title=title, severity="error", markup=False, timeout=10)

    def say(self, text: str) -> None:
        """A short notice. The text is never read as markup."""
        self.notify(clean(text), markup=False, timeout=4)

    def send(self, run_id: str, kind: str, data: Mapping[str, object], said: str = "") -> None:
        """Leaves a command for a run."""

        def work(gateway: Gateway) -> None:
            gateway.command(run_id, kind, data)

        self.in_thread(work, (lambda _none: self.say(said)) if said else None)

    def edit_plan(self, file: PlanFile, done: Callable[[Plan | None], None]) -> None:
        """Opens the person's editor in place of the screen; a box here where none is named."""
        from textual.app import SuspendNotSupported

        from planner_app.tui.editing import edit, named_editor
        from planner_app.tui.screens.edit_plan import EditPlanScreen

        def over(plan: Plan | None) -> None:
            if plan is not None:
                file.done()
            done(plan)

        try:
            if named_editor(os.environ):
                with self.suspend():
                    plan = edit(file, os.environ)
                over(plan)
                return
        except SuspendNotSupported:
            pass  # a terminal that cannot be given away has the box
        except PlannerError as error:
            self.trouble(error)
            return
        self.push_screen(EditPlanScreen(file), over)

    def open_run(self, run_id: str) -> None:
        """Shows a run, live or saved."""
        from planner_app.tui.screens.run import RunScreen

        self.push_screen(RunScreen(run_id))

    def open_replay(self, run_id: str, speed: float = 1.0) -> None:
        """Plays a saved run."""
        from planner_app.tui.screens.replay import ReplayScreen

        self.push_screen(ReplayScreen(run_id, speed))

    def action_help(self) -> None:
        """All keys of what is in front."""
        from planner_app.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    async def action_quit(self) -> None:
        """Leaves; what runs goes on, and the terminal says so."""
        going = [row for row in self.rows if row.works or row.status == "queued"]
        if going:
            what = "1 task goes" if len(going) == 1 else f"{len(going)} tasks go"
            self.farewell = f"{what} on in the background. See them with: planner tasks"
        self.exit()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every key of the screen in front is in the command palette too."""
        from planner_app.tui.keys import keys_that_hold

        seen = {"app.quit", "quit", "command_palette", "app.command_palette"}
        for active in keys_that_hold(screen):
            binding = active.binding
            if binding.action in seen:
                continue
            seen.add(binding.action)
            said = binding.tooltip or binding.description
            run = self._runner(binding.action, active.node)
            key = self.get_key_display(binding)
            yield SystemCommand(binding.description, f"{said} ({key})", run)
        yield SystemCommand("Quit", "Leave; running tasks go on", self.action_quit)
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Screenshot", "Save an SVG of the screen", self.deliver_screenshot)

    def _runner(self, action: str, node: object) -> Callable[[], None]:
        async def run() -> None:
            from textual.dom import DOMNode

            await self.run_action(action, node if isinstance(node, DOMNode) else None)

        def start() -> None:
            self.call_later(run)

        return start


def _told(error: Exception) -> PlannerError:
    """The error as people are told it."""
    if isinstance(error, PlannerError):
        return error
    said = f"unexpected {type(error).__name__}: {error}"
    return PlannerError(said, "planner doctor looks at every part")


def run_tui(
    settings: Settings | Callable[[], Settings],
    *,
    replay: str | None = None,
    run: str | None = None,
    speed: float = 1.0,
    checks: Checks | None = None,
    cwd: Path | None = None,
) -> int:
    """Shows the screens until the person leaves; returns the exit code.

    `settings` is best given as a function: then it is read after the first paint. `replay` and
    `run` are ids of runs that are opened at once. `checks` looks at engine and local servers.
    """
    from planner_app.tui.opening import opener

    start = None
    if replay or run:
        start = Start(replay or run or "", replay=replay is not None, speed=speed)
    app = PlannerApp(opener(settings, checks, cwd), start=start)
    app.run()
    if app.farewell:
        print(app.farewell)
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0
