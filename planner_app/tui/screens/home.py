"""Home: the inbox, and a prompt that can be typed into from the first paint on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Footer

from planner_app.tui.first_run import failure_lines, first_run_lines
from planner_app.tui.screens.base import HasNews
from planner_app.tui.widgets.inbox import EMPTY, Inbox
from planner_app.tui.widgets.panes import Strap
from planner_app.tui.widgets.prompt import Prompt
from planner_app.view.clean import clip, width
from planner_app.view.inbox import counts
from planner_app.view.status import ENDED
from planner_app.view.wrap import Line

if TYPE_CHECKING:
    from planner_app.domain.errors import PlannerError
    from planner_app.tui.feed import News
    from planner_app.tui.gateway import TeamLine


class HomeScreen(HasNews, Screen[None]):
    """What there is, and what to do next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "examples", "Examples", key_display="F2"),
        Binding("slash", "find", "Find", key_display="/"),
        Binding("ctrl+f", "find", "Find in all runs", show=False),
        Binding("r", "replay", "Replay"),
        Binding("x", "cancel", "Cancel"),
        Binding("n,escape", "prompt", "New task", show=False),
        Binding("question_mark", "app.help", "Help", key_display="?", show=False),
        Binding("f1", "app.help", "Help", key_display="F1"),
        Binding("ctrl+q", "app.quit", "Quit", key_display="^q"),
    ]
    AUTO_FOCUS = "#prompt"

    def __init__(self) -> None:
        super().__init__()
        self._team: TeamLine | None = None
        self._trouble = ""
        self._sending = False
        self._ended_chosen = False
        """Whether the chosen run has ended, as far as the footer knows."""

    def compose(self) -> ComposeResult:
        """List above, prompt below."""
        yield Strap(self._brand, id="brand")
        yield Inbox(id="inbox")
        with Vertical(id="ask"):
            yield Prompt("What should be done?", id="prompt")
            yield Strap(self._team_lines, id="team")
        yield Footer(show_command_palette=False)

    # --- lines -------------------------------------------------------------------------------

    def _brand(self, cells: int) -> Sequence[Line]:
        said = str(counts(self.planner.rows))
        name = "planner"
        gap = max(1, cells - width(name) - width(said))
        return [((name, "title"), (" " * gap, "text"), (said, "dim"))]

    def _team_lines(self, cells: int) -> Sequence[Line]:
        if self._trouble:
            return [((clip(self._trouble, cells), "bad"),)]
        team = self._team
        if team is None:
            return [(("…", "dim"),)]
        if team.missing:
            said = f"{team.missing}: {team.hint}" if team.hint else team.missing
            return [(("F2 ", "step"), (clip(f"examples · {said}", cells - 3), "warn"))]
        return [((clip(team.said, cells), "dim"),)]

    # --- news --------------------------------------------------------------------------------

    def on_screen_resume(self) -> None:
        """It is in front again."""
        self.planner.look_at_inbox()

    def news(self, news: News) -> None:
        if news.trouble:
            self.trouble(news.trouble)
        elif self._trouble and news.rows is not None:
            self.trouble("")
        if news.rows is None:
            return
        self.moves = any(row.works for row in news.rows)
        for inbox in self.query(Inbox):
            inbox.update_rows(news.rows, self.planner.clock.now())
        for strap in self.query("#brand").results(Strap):
            strap.redo()
        self._redo_keys()

    def _redo_keys(self) -> None:
        """What ended is replayed, what goes on is cancelled."""
        row = next((inbox.chosen for inbox in self.query(Inbox)), None)
        ended = row is not None and row.status in ENDED
        if ended != self._ended_chosen:
            self._ended_chosen = ended
            self.refresh_bindings()

    def turn(self, spin: str) -> None:
        for inbox in self.query(Inbox):  # none when the app is being closed
            inbox.turn(spin)

    def team_known(self, team: TeamLine) -> None:
        """Who would do a task now."""
        self._team = team
        lines = first_run_lines(team) if team.missing else EMPTY
        self.query_one(Inbox).say_when_empty(lines)
        self.query_one("#team", Strap).redo()

    def no_history(self, error: PlannerError) -> None:
        """Why nothing can be shown or done here."""
        self._sending = False
        self.trouble(error.message)
        self.query_one(Inbox).say_instead(failure_lines(error))

    def trouble(self, said: str) -> None:
        """Why history cannot be used; empty: it can again."""
        self._trouble = said
        for strap in self.query("#team").results(Strap):
            strap.redo()

    # --- prompt ------------------------------------------------------------------------------

    def on_prompt_sent(self, message: Prompt.Sent) -> None:
        """Delegates what was typed; it stays in the prompt until it is saved."""
        text = message.text
        if not text.strip():
            self.planner.say("Type a task first.")
            return
        if self._sending:
            return
        self._sending = True
        if self._team is not None and self._team.missing:

            def looked(team: object) -> None:
                self._sending = False
                self.team_known(cast("TeamLine", team))
                if self._team is not None and self._team.missing:
                    self.planner.say(f"{self._team.missing}. F2 plays a bundled example.")
                else:
                    self.on_prompt_sent(message)

            # A model server may have been started since.
            self.planner.in_thread(lambda gateway: gateway.team(), looked, self._not_saved)
            return
        prompt = message.prompt

        def saved(run_id: object) -> None:
            self._sending = False
            if prompt.text == text:
                prompt.clear()
            self.planner.say(f"Delegated as {run_id}. It goes on in the background.")
            inbox = self.query_one(Inbox)
            inbox.choose_run(str(run_id))

        self.planner.in_thread(lambda gateway: gateway.submit(text), saved, self._not_saved)

    def _not_saved(self) -> None:
        self._sending = False

    def on_prompt_left_upward(self) -> None:
        """From the prompt into the list."""
        inbox = self.query_one(Inbox)
        if inbox.rows:
            inbox.focus()
            inbox.choose(len(inbox.rows) - 1)

    def on_inbox_chosen(self) -> None:
        """Other keys hold now."""
        self._redo_keys()

    def on_inbox_left(self) -> None:
        """From the list into the prompt."""
        self.action_prompt()

    # --- keys --------------------------------------------------------------------------------

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """Letters are keys of the list only; in the prompt they are text."""
        focused = self.focused
        in_list = isinstance(focused, Inbox)
        if action in ("replay", "cancel"):
            row = focused.chosen if isinstance(focused, Inbox) else None
            if row is None:
                return False
            return (action == "replay") == (row.status in ENDED)
        if action == "examples":
            return True
        return not (action == "find" and not in_list)

    def on_descendant_focus(self) -> None:
        """Other keys hold now."""
        self.refresh_bindings()

    def on_inbox_opened(self, message: Inbox.Opened) -> None:
        """Shows the run."""
        self.planner.open_run(message.run_id)

    def action_prompt(self) -> None:
        """To the prompt."""
        self.query_one(Prompt).focus()

    def action_find(self) -> None:
        """Searches all runs."""
        from planner_app.tui.screens.find import FindScreen

        self.app.push_screen(FindScreen())

    def action_examples(self) -> None:
        """Offers the bundled examples."""
        from planner_app.tui.screens.examples import ExamplesScreen

        def picked(name: str | None) -> None:
            if name is None:
                return
            self.planner.in_thread(
                lambda gateway: gateway.submit_example(name),
                lambda run_id: self.planner.open_run(str(run_id)),
            )

        self.planner.in_thread(
            lambda gateway: gateway.examples(),
            lambda cards: self.app.push_screen(ExamplesScreen(cards), picked),
        )

    def action_replay(self) -> None:
        """Plays the chosen run."""
        row = self.query_one(Inbox).chosen
        if row is not None:
            self.planner.open_replay(row.run_id)

    def action_cancel(self) -> None:
        """Ends the chosen run, after a question."""
        row = self.query_one(Inbox).chosen
        if row is None:
            return
        from planner_app.tui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self.planner.send(row.run_id, "cancel", {}, "Cancel was asked for.")

        self.app.push_screen(ConfirmScreen("Cancel this run?", row.title), answered)
