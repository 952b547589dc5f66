"""How a run ended, from its events: the answer for stdout, one line for stderr, the exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from planner_app.cli.context import one_line, say
from planner_app.cli.exits import INTERRUPTED, MISSING, NEEDS_ANSWER
from planner_app.domain.errors import UNAVAILABLE

if TYPE_CHECKING:
    from planner_app.domain.events import Event
    from planner_app.domain.state import RunState
    from planner_app.history import History

EXIT_CODES = {"done": 0, "failed": 1, "cancelled": 1, "partial": 3}


class Outcome:
    """A run folded as its events arrive."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.state: RunState | None = None
        self._model_failure = ""
        self._failure_text = ""

    def take(self, event: Event) -> None:
        """One more event."""
        from planner_app.domain.fold import apply

        self.state = apply(self.state, event)
        if event.type == "model.failed":
            self._model_failure = str(event.data.get("kind", ""))
            self._failure_text = str(event.data.get("message", ""))

    @property
    def last_seq(self) -> int:
        """Of the newest event taken; 0 before the first."""
        return 0 if self.state is None else self.state.last_seq

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.state is not None and self.state.final is not None

    @property
    def exit_code(self) -> int:
        """As the command line promises it."""
        if self.state is None or self.state.final is None:
            waits = self.state is not None and self.state.status == "waiting_user"
            return NEEDS_ANSWER if waits else INTERRUPTED
        if self.state.final == "failed" and self._model_failure in UNAVAILABLE:
            return MISSING
        return EXIT_CODES[self.state.final]

    @property
    def problem(self) -> str:
        """Why it is not done, in one line; empty when it is."""
        if self.state is None or self.state.final in (None, "done"):
            return ""
        return one_line(self.state.reason or self._failure_text)


def answer_of(state: RunState, history: History) -> str:
    """The whole answer as stdout gets it: its text, or its data when the task gave a schema."""
    if state.answer is None:
        return ""
    whole: object = None
    if state.answer_sha:
        whole = json.loads(history.get_blob(state.answer_sha))
    answer = whole if isinstance(whole, dict) else state.answer.model_dump(mode="json")
    if state.has_schema:
        fits = state.answer_by == "planner"  # else no model wrote it, and nothing fits the schema
        return json.dumps(answer.get("data"), ensure_ascii=False) if fits else ""
    return str(answer.get("text", state.answer.text))


def _beneath(state: RunState, history: History) -> list[str]:
    """What the answer cites, what of it could not be verified, and what it leaves open."""
    from planner_app.view.reducer import view_of
    from planner_app.view.text import answer_text, cited_numbers, source_lines, unverified_lines

    view = view_of(history.events(state.run_id))
    if view.answer is None:
        return []
    text = answer_text(view.answer, history.get_blob)
    lines = [line.removeprefix("  ") for line in source_lines(view, cited_numbers(view, text))]
    lines += [f"not verified: {line}" for line in unverified_lines(view, text)]
    return [*lines, *(f"open: {point}" for point in view.answer.open_points)]


def print_outcome(outcome: Outcome, history: History) -> None:
    """The answer on stdout; what else a person wants to know on stderr."""
    from planner_app.view import figures
    from planner_app.view.clean import clean

    state = outcome.state
    if state is None or state.final is None:
        return
    text = answer_of(state, history)
    if text:
        print(text if state.has_schema else clean(text), flush=True)
    for line in _beneath(state, history):
        say(line)
    spent = state.spent
    cost = figures.cost(spent.usd, spent.unpriced_calls)
    took = figures.seconds(state.active_seconds)
    say(f"{state.final} in {took}, {cost}; all of it: planner show {state.run_id}")
    if outcome.problem:
        say(f"planner: {state.final}: {outcome.problem}")
