"""A proposed plan in a text box, for those whose terminal has no editor named."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from planner_app.domain.errors import BadInput
from planner_app.domain.plan import Plan
from planner_app.tui.editing import PlanFile
from planner_app.view.clean import clean


class EditPlanScreen(ModalScreen[Plan | None]):
    """Answers the plan that may run, or None; what was written stays in the file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "approve", "Approve it so", priority=True),
        Binding("escape", "leave", "Keep it as a draft", priority=True),
    ]

    def __init__(self, file: PlanFile) -> None:
        super().__init__()
        self._file = file

    def compose(self) -> ComposeResult:
        """The plan, what is wrong with it, the keys."""
        with Vertical(classes="dialog tall"):
            yield Static("The plan, yours to change", classes="dialog-title", markup=False)
            yield TextArea(
                self._file.text(), id="plan-text", soft_wrap=False, tab_behavior="indent"
            )
            yield Static("", id="plan-trouble", markup=False)
            keys = "Ctrl+S  approve it so      Esc  keep it as a draft"
            yield Static(keys, classes="dialog-keys", markup=False)

    def on_mount(self) -> None:
        """The keys go to the text."""
        self.query_one(TextArea).focus()

    def action_approve(self) -> None:
        """Closes with the plan, unless something is wrong with it."""
        self._file.write(self.query_one(TextArea).text)
        try:
            plan = self._file.read()
        except BadInput as error:
            self.query_one("#plan-trouble", Static).update(clean(error.message))
            return
        self.dismiss(plan)

    def action_leave(self) -> None:
        """Closes; the text is kept for the next time."""
        self._file.write(self.query_one(TextArea).text)
        self.dismiss(None)
