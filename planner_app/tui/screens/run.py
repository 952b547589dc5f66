"""A run that goes on or has ended: followed live, and steered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from planner_app.domain.errors import NotFound
from planner_app.tui.screens.run_base import RunBase, laid_out
from planner_app.tui.widgets.panes import Strap
from planner_app.tui.widgets.prompt import Prompt
from planner_app.tui.widgets.tabs import Tabs
from planner_app.tui.widgets.timeline import Timeline
from planner_app.view.clean import clip
from planner_app.view.reducer import view_of
from planner_app.view.run_view import RunView
from planner_app.view.text import until
from planner_app.view.wrap import Line, paragraphs

if TYPE_CHECKING:
    from planner_app.domain.events import Event
    from planner_app.domain.plan import Plan
    from planner_app.tui.editing import PlanFile
    from planner_app.tui.feed import News
    from planner_app.tui.gateway import Gateway

GRACE_SECONDS = 0.5
"""An approval that has just appeared is not given by a key that was meant for something else."""
QUESTION_LINES = 6
Purpose = Literal["steer", "answer", "reject", "reject_always", "follow_up"]
_PLACEHOLDERS: dict[Purpose, str] = {
    "steer": "A message to the run; Enter sends, Esc keeps it as a draft",
    "answer": "Your answer; Enter sends, Esc keeps it as a draft",
    "reject": "Why not? Enter sends, Esc keeps it as a draft",
    "reject_always": "Why never in this run? Enter sends, Esc keeps it as a draft",
    "follow_up": "What next? A new run that knows this one",
}


_LASTING = ("action", "network")
"""What may be allowed or refused for the whole run."""
_ALLOWED = "y approve · Y always in this run · n reject · N never in this run"
_KEYS = {
    "plan": "y approve · e edit · n reject with a reason",
    "action": _ALLOWED,
    "network": _ALLOWED,
    "budget": "y approve · n reject with a reason",
    "clarify": "a answer",
    "ask_user": "a answer",
    "review": "a answer",
}


class RunScreen(RunBase):
    """Follows a run and takes what the person says to it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "say('answer')", "Answer"),
        Binding("y", "approve", "Approve"),
        Binding(
            "Y", "approve_always", "Always", tooltip="Allow it in the rest of this run", show=False
        ),
        Binding("e", "edit_plan", "Edit", tooltip="Edit the plan in $EDITOR, or here", show=False),
        Binding("n", "say('reject')", "Reject"),
        Binding(
            "N",
            "say('reject_always')",
            "Never",
            tooltip="Refuse it in the rest of this run",
            show=False,
        ),
        Binding("s", "say('steer')", "Steer", tooltip="Add a message"),
        Binding("i", "interrupt", "Interrupt", tooltip="Stop the running action, not the task"),
        Binding("p", "pause", "Pause"),
        Binding("u", "resume", "Resume"),
        Binding("x", "cancel", "Cancel"),
        Binding("r", "replay", "Replay"),
        Binding("w", "say('follow_up')", "Follow up", tooltip="A further run of this task"),
    ]

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self._drafts: dict[Purpose, str] = {}
        self._purpose: Purpose = "steer"
        self._asked_at = 0.0
        self._unread: list[tuple[str, str]] = []
        """(kind, text) of commands that the run has not read yet."""

    def compose_below(self) -> ComposeResult:
        """The open question, what was said and not read, and the box to type into."""
        with Vertical(id="below"):
            yield Strap(self._question_lines, id="question")
            yield Strap(self._unread_lines, id="unread")
            yield Prompt("", id="say")

    def on_mount(self) -> None:
        """Reads the run so far in a thread, then follows it."""
        super().on_mount()
        self.query_one("#say").display = False
        self._show_below()
        self.call_after_refresh(self._load)

    def _load(self) -> None:
        cells = self.query_one(Timeline).cells

        def read(gateway: Gateway) -> RunView:
            events = gateway.events(self.run_id, 0)
            if not events:
                raise NotFound(f"there is no run {self.run_id}", "list them with: planner tasks")
            view = view_of(events)
            # A long run's lines are laid out here, off the loop.
            self._laid_out = laid_out(view, cells, self.bodies) if cells else None
            return view

        self.planner.in_thread(read, self._loaded_view, self.leave)

    def _loaded_view(self, view: object) -> None:
        loaded = cast("RunView", view)
        self.show_whole(loaded, self._laid_out)
        self._show_below()
        if loaded.ended and loaded.answer is not None:
            self.action_pane("answer")
        self.planner.look_at_run(self.run_id, loaded.seq)

    def on_screen_resume(self) -> None:
        """It is in front again; what happened meanwhile comes with the next news."""
        if self.view.seq:
            self.planner.look_at_run(self.run_id, self.view.seq)

    # --- news ------------------------------------------------------------------------------------

    def news(self, news: News) -> None:
        super().news(news)
        run = news.run
        if run is None or run.run_id != self.run_id or not self.query(Timeline):
            return
        events = [event for event in run.events if event.seq > self.view.seq]
        before = self.view
        self._read_by_run(events)
        self.show_view(view_of(events, before), run.live)
        if self.view.questions != before.questions:
            self._asked_at = self.planner.clock.monotonic()
            self._show_below()
            if not self.view.questions and self._purpose in ("answer", "reject"):
                self._close_box()
        if self.view.ended and not before.ended and self.view.answer and not self.typing:
            self.action_pane("answer")

    def _read_by_run(self, events: Sequence[Event]) -> None:
        kinds = {event.type.removeprefix("user.") for event in events}
        said = {"answer": "answered", "approve": "approved", "reject": "rejected"}
        said |= {"steer": "steered", "cancel": "cancelled", "pause": "paused"}
        said |= {"resume": "resumed", "interrupt": "interrupted"}
        left = [each for each in self._unread if said.get(each[0]) not in kinds]
        if self.view.ended:
            left = []
        if left != self._unread:
            self._unread = left
            self._show_below()

    def on_timeline_followed(self, message: Timeline.Followed) -> None:
        """Says how much came while one reads further up."""
        tabs = self.query_one(Tabs)
        if message.following:
            tabs.say("")
        else:
            tabs.say(f"↓ {message.unseen} new  End" if message.unseen else "↓ End follows")

    # --- below -----------------------------------------------------------------------------------

    def _question_lines(self, cells: int) -> Sequence[Line]:
        if not self.view.questions or self.view.ended:
            return []
        question = self.view.questions[0]
        more = len(self.view.questions) - 1
        lines: list[Line] = []
        for text, default in question.questions:
            rows = paragraphs(text, cells - 2)
            lines += [
                (("? " if not i else "  ", "ask"), (row, "text")) for i, row in enumerate(rows)
            ]
            if default:
                lines.append(
                    (("  without an answer: ", "dim"), (clip(default, cells - 22), "text"))
                )
        lines = lines[: QUESTION_LINES - 1]
        keys = _KEYS.get(question.kind, "y approve · n reject with a reason")
        if begins := until(question, None):
            keys += f" · the default stands{begins}"
        waiting = f" · {more} more after it" if more else ""
        return [*lines, (("  " + keys + waiting, "dim"),)]

    def _unread_lines(self, cells: int) -> Sequence[Line]:
        return [
            ((clip(f"↑ {kind} {text}", cells - 16).rstrip(), "dim"), (" · not read yet", "warn"))
            for kind, text in self._unread[-2:]
        ]

    def _show_below(self) -> None:
        for name in ("#question", "#unread"):
            strap = self.query_one(name, Strap)
            lines = (
                self._question_lines(max(20, self.size.width - 2))
                if name == "#question"
                else self._unread_lines(max(20, self.size.width - 2))
            )
            strap.display = bool(lines)
            strap.styles.height = len(lines) + (1 if name == "#question" else 0)  # its border
            strap.redo()
        self.refresh_bindings()

    # --- keys ------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what makes sense now is offered, so that the footer stays short."""
        view = self.view
        going = bool(view.seq) and not view.ended
        question = view.questions[0] if view.questions and going else None
        if action == "say":
            purpose = parameters[0] if parameters else ""
            offered = {
                "answer": question is not None and not question.wants_approval,
                "reject": question is not None and question.wants_approval,
                "reject_always": question is not None and question.kind in _LASTING,
                "steer": going,
                "follow_up": view.ended,
            }
            return offered.get(str(purpose), False)
        if action == "approve":
            return question is not None and question.wants_approval
        if action == "approve_always":
            return question is not None and question.kind in _LASTING
        if action == "edit_plan":
            return question is not None and question.kind == "plan"
        if action in ("pause", "resume"):
            return going and view.paused == (action == "resume")
        if action == "interrupt":
            return going and any(waiting.family == "action" for waiting in view.open)
        if action == "cancel":
            return going
        if action == "replay":
            return view.ended
        return super().check_action(action, parameters)

    def action_say(self, purpose: str) -> None:
        """Opens the box for an answer, a reason or a message; a draft is kept."""
        box = self.query_one("#say", Prompt)
        self._purpose = cast("Purpose", purpose)
        box.placeholder = _PLACEHOLDERS[self._purpose]
        box.text = self._drafts.get(self._purpose, "")
        box.move_cursor(box.document.end)
        box.display = True
        box.focus()

    def action_back(self) -> None:
        """Out of the box with its draft kept, or to the list."""
        box = self.query_one("#say", Prompt)
        if self.focused is box:
            self._drafts[self._purpose] = box.text
            self._close_box()
        else:
            super().action_back()

    def _close_box(self) -> None:
        box = self.query_one("#say", Prompt)
        if box.text:
            self._drafts[self._purpose] = box.text
        had_focus = self.focused is box
        box.display = False
        if had_focus:
            self.query_one(Timeline).focus()

    def on_prompt_sent(self, message: Prompt.Sent) -> None:
        """Sends what was typed."""
        if message.prompt.id != "say":
            super().on_prompt_sent(message)
            return
        text = message.text.strip()
        purpose = self._purpose
        if not text and purpose not in ("reject", "reject_always"):
            self.planner.say("Type something first; Esc closes.")
            return
        question = self.view.questions[0] if self.view.questions else None
        about = {"question_id": question.id} if question else {}
        if purpose == "follow_up":
            self.planner.in_thread(
                lambda gateway: gateway.submit(text, self.run_id),
                lambda run_id: self.planner.open_run(str(run_id)),
            )
        elif purpose == "steer":
            self._command("steer", {"text": text}, text)
        elif purpose == "answer":
            self._command("answer", {"text": text, **about}, text)
        else:
            self._command(
                "reject",
                {
                    "reason": text,
                    **({"scope": "run"} if purpose == "reject_always" else {}),
                    **about,
                },
                text,
            )
        self._drafts.pop(purpose, None)
        message.prompt.clear()
        self._close_box()

    def _command(self, kind: str, data: dict[str, object], text: str = "") -> None:
        self._unread.append((kind, text))
        self._show_below()
        self.planner.send(self.run_id, kind, data)

    def action_approve(self) -> None:
        """Allows what is asked, but not in the first half second that it is seen."""
        self._approve({})

    def action_approve_always(self) -> None:
        """Allows it for the rest of the run."""
        self._approve({"scope": "run"})

    def _approve(self, more: dict[str, object]) -> None:
        question = self.view.questions[0] if self.view.questions else None
        if question is None:
            return
        if self.planner.clock.monotonic() - self._asked_at < GRACE_SECONDS:
            self.planner.say("Read it first, then press y again.")
            return
        self._command("approve", {"question_id": question.id, **more})

    def action_edit_plan(self) -> None:
        """Edits the proposed plan; what is saved is approved, and runs."""
        question = self.view.questions[0]

        def edited(plan: Plan | None) -> None:
            if plan is not None:
                edit = {"plan": plan.model_dump(mode="json")}
                self._command("approve", {"question_id": question.id, **edit}, "as edited")

        self.planner.in_thread(
            lambda gateway: gateway.plan_file(self.run_id),
            lambda file: self.planner.edit_plan(cast("PlanFile", file), edited),
        )

    def action_interrupt(self) -> None:
        """Stops the running action; the task goes on."""
        self._command("interrupt", {})

    def action_pause(self) -> None:
        """Stops the run for now."""
        self._command("pause", {})

    def action_resume(self) -> None:
        """Lets it go on."""
        self._command("resume", {})

    def action_cancel(self) -> None:
        """Ends the run, after a question."""
        from planner_app.tui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self._command("cancel", {})

        about = f"{self.view.title}\nWhat it did so far stays in the history."
        self.app.push_screen(ConfirmScreen("Cancel this run?", about), answered)

    def action_replay(self) -> None:
        """Plays it from the start."""
        self.planner.open_replay(self.run_id)
