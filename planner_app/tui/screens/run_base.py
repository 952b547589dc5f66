"""A run on the screen, whatever it is read from: live, saved and replayed look the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer

from planner_app.domain.errors import PlannerError
from planner_app.tui.bodies import Bodies, answer_of_blob, text_of_blob
from planner_app.tui.screens.base import HasNews
from planner_app.tui.widgets.panes import Pane, Strap
from planner_app.tui.widgets.prompt import Prompt
from planner_app.tui.widgets.tabs import Tabs
from planner_app.tui.widgets.timeline import Timeline
from planner_app.view.blocks import Block, block_of
from planner_app.view.delta import differing_places
from planner_app.view.entries import Entry
from planner_app.view.live import Live
from planner_app.view.panes import answer_pane, head_lines, plan_pane, sources_pane
from planner_app.view.run_view import RunView
from planner_app.view.wrap import Line

if TYPE_CHECKING:
    from planner_app.tui.feed import News
    from planner_app.tui.gateway import Gateway

PaneName = Literal["timeline", "answer", "plan", "sources"]
PANES: tuple[PaneName, ...] = ("timeline", "answer", "plan", "sources")
LaidOut = tuple[list[Entry], list[Block], int]
"""Entries, their blocks, and the cells for which they were built."""
_NO_LIVE: Mapping[str, Live] = {}


class RunBase(HasNews, Screen[None]):
    """Header, plan, timeline, sources and answer of one run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", key_display="Esc"),
        Binding("1", "pane('timeline')", "Timeline", show=False),
        Binding("2", "pane('answer')", "Answer", show=False),
        Binding("3", "pane('plan')", "Plan", show=False),
        Binding("4", "pane('sources')", "Sources", show=False),
        Binding("c", "copy", "Copy the answer", show=False),
        Binding("slash", "find", "Find in this run", show=False, key_display="/"),
    ]
    AUTO_FOCUS = "#timeline"

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self.view = RunView()
        self.bodies = Bodies()
        self._spin = "●"
        self._pane: PaneName = "timeline"
        self._answer: tuple[str, str] | None = None
        """(sha, text) of the answer that was read whole."""
        self._words = ""
        self._loaded = False
        self._laid_out: LaidOut | None = None

    # --- layout --------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Header, tabs, panes; subclasses put their own parts below."""
        yield Strap(self._head, id="head")
        yield Tabs([(name.capitalize(), name) for name in PANES], id="tabs")
        with Horizontal(id="body"):
            with Vertical(id="side"):
                yield Pane(self._plan, title="Plan", id="plan")
                yield Pane(self._sources, title="Sources", id="sources")
            with Vertical(id="main"):
                yield Timeline(self.bodies, id="timeline")
                yield Pane(self._answer_lines, id="answer")
        yield from self.compose_below()
        yield Prompt("Words to find in this run", id="find")
        yield Footer(show_command_palette=False)

    def compose_below(self) -> ComposeResult:
        """What stands between the panes and the footer."""
        yield from ()

    def on_mount(self) -> None:
        """Nothing is shown yet but the frame."""
        self.query_one("#find").display = False
        self.fold_panes()

    @property
    def wide(self) -> bool:
        """Whether plan and sources stand beside the timeline."""
        return self.app.size.width >= 100

    def on_resize(self) -> None:
        """Panes fold and unfold with the width."""
        self.fold_panes()

    def fold_panes(self) -> None:
        """Shows the panes that fit, the chosen one first."""
        wide, pane = self.wide, self._pane
        if wide and pane in ("plan", "sources"):
            main: PaneName = "timeline"
        else:
            main = pane
        self.query_one("#side").display = wide or pane in ("plan", "sources")
        self.query_one("#main").display = wide or pane in ("timeline", "answer")
        self.query_one("#plan").display = wide or pane == "plan"
        self.query_one("#sources").display = wide or pane == "sources"
        self.query_one("#timeline").display = main == "timeline"
        self.query_one("#answer").display = main == "answer"
        tabs = self.query_one(Tabs)
        tabs.show_names(("timeline", "answer") if wide else PANES, main)
        self.call_after_refresh(self._redo_panes)

    # --- lines ---------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The moment that durations are counted to."""
        return self.planner.clock.now()

    def _head(self, cells: int) -> Sequence[Line]:
        if not self._loaded:
            return [((f"{self.run_id}  …", "dim"),)]
        return head_lines(self.view, self.now(), cells, self._spin)

    def _plan(self, cells: int) -> Sequence[Line]:
        return plan_pane(self.view, self.now(), cells, self._spin)

    def _sources(self, cells: int) -> Sequence[Line]:
        return sources_pane(self.view, cells)

    def _answer_lines(self, cells: int) -> Sequence[Line]:
        answer = self.view.answer
        whole = self._answer
        text = whole[1] if answer and whole and whole[0] == answer.sha else None
        return answer_pane(self.view, text, cells)

    # --- showing ---------------------------------------------------------------------------------

    def show_view(self, view: RunView, live: Mapping[str, Live] = _NO_LIVE) -> None:
        """Shows another moment of the run; only what differs is made anew."""
        if not self.query(Timeline):  # the screen is being closed
            return
        old, self.view = self.view, view
        self._loaded = True
        timeline = self.query_one(Timeline)
        places = differing_places(old, view)
        changed = [(place, view.timeline[place]) for place in places]
        timeline.update_entries(len(view.timeline), changed, live)
        self.moves = not view.ended and (view.works or bool(view.open))
        self._read_answer()
        self._redo_panes()
        if old.status != view.status or old.questions != view.questions:
            self.refresh_bindings()

    def show_whole(self, view: RunView, laid_out: LaidOut | None) -> None:
        """Shows a run for the first time; its lines may have been laid out already."""
        if laid_out is not None and self.query(Timeline):
            entries, blocks, cells = laid_out
            self.query_one(Timeline).fill(entries, blocks, cells)
            self.view = view
        self.show_view(view)

    def _redo_panes(self) -> None:
        for pane in self.query(Pane):
            pane.redo()

    def turn(self, spin: str) -> None:
        self._spin = spin
        for timeline in self.query(Timeline):
            timeline.turn(spin)
        for pane in self.query("#head, #plan").results(Pane):
            pane.redo()

    def news(self, news: News) -> None:
        if news.trouble:
            self.planner.trouble(PlannerError(news.trouble))

    # --- blobs -----------------------------------------------------------------------------------

    def on_timeline_sighted(self, message: Timeline.Sighted) -> None:
        """Reads what came into sight."""
        shas = self.bodies.missing(message.shas)
        if not shas:
            return

        def read(gateway: Gateway) -> dict[str, str]:
            return {sha: text_of_blob(gateway.blob(sha)) for sha in shas}

        self.planner.in_thread(read, self._read)

    def _read(self, texts: object) -> None:
        self.bodies.take(cast("dict[str, str]", texts))
        if self.is_mounted:
            self.query_one(Timeline).texts_came()

    def _read_answer(self) -> None:
        answer = self.view.answer
        sha = answer.sha if answer is not None else None
        if sha is None or (self._answer is not None and self._answer[0] == sha):
            return
        self._answer = (sha, answer.text if answer is not None else "")

        def took(text: object) -> None:
            if self._answer is not None and self._answer[0] == sha and text:
                self._answer = (sha, str(text))
                if self.is_mounted:
                    self.query_one("#answer", Pane).redo()

        self.planner.in_thread(lambda gateway: answer_of_blob(gateway.blob(sha)), took)

    # --- keys ------------------------------------------------------------------------------------

    @property
    def typing(self) -> bool:
        """Whether letters are text now."""
        return isinstance(self.focused, Prompt)

    def check_action(self, _action: str, _parameters: tuple[object, ...]) -> bool | None:
        """All keys of this class hold always."""
        return True

    def on_descendant_focus(self) -> None:
        """Other keys hold now."""
        self.refresh_bindings()

    def on_tabs_chosen(self, message: Tabs.Chosen) -> None:
        """Another pane."""
        self.action_pane(message.name)

    def action_pane(self, name: str) -> None:
        """Shows a pane and puts the keys there."""
        self._pane = cast("PaneName", name)
        self.fold_panes()
        self.query_one(f"#{name}").focus()

    def action_back(self) -> None:
        """To the list, or out of a box that is typed into."""
        if self.typing:
            self.query_one("#find").display = False
            self.query_one(Timeline).focus()
        else:
            self.leave()

    def leave(self) -> None:
        """Back to the list."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """Copies the answer through the terminal."""
        answer = self.view.answer
        if answer is None:
            self.planner.say("There is no answer yet.")
            return
        self.app.copy_to_clipboard(self._answer[1] if self._answer else answer.text)
        self.planner.say(
            "Sent to the terminal's clipboard (OSC 52). If yours keeps it out: planner show "
            f"{self.run_id}"
        )

    def action_find(self) -> None:
        """Asks for words."""
        if self._pane != "timeline":
            self.action_pane("timeline")
        box = self.query_one("#find", Prompt)
        box.display = True
        box.focus()
        box.select_all()

    def on_prompt_sent(self, message: Prompt.Sent) -> None:
        """Goes to the next entry with the words."""
        if message.prompt.id == "find" and message.text.strip():
            self._words = message.text.strip()
            if not self.query_one(Timeline).find(self._words):
                self.planner.say("Not in what is shown of this run.")


def laid_out(view: RunView, cells: int, bodies: Bodies) -> LaidOut:
    """The timeline of a view as blocks."""
    entries = list(view.timeline)
    return entries, [block_of(entry, cells, bodies.text_of) for entry in entries], cells
