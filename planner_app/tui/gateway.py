"""What the screens need of history and queue, as one port. Its methods block: call in threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from planner_app.view.inbox import TaskRow
from planner_app.view.live import Live

if TYPE_CHECKING:
    from planner_app.domain.events import Event
    from planner_app.tui.editing import PlanFile


@dataclass(frozen=True, slots=True)
class TeamLine:
    """Who would do a task that is typed now, or why nobody can."""

    said: str = ""
    """One line: models and why them."""
    missing: str = ""
    """What is missing for a task of the person's own; empty: nothing."""
    hint: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class ExampleCard:
    """A bundled example."""

    name: str
    title: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A place where searched words stand."""

    run_id: str
    title: str
    kind: str
    """task, plan, code, observation, answer or page."""
    snippet: str
    marks: tuple[tuple[int, int], ...] = ()
    """Where in the snippet the words stand."""
    seq: int = 0


class Gateway(Protocol):
    """History and queue as the screens see them. What a person can act on is a PlannerError."""

    def team(self) -> TeamLine:
        """Who would do a task now."""

    def rows(self) -> list[TaskRow]:
        """The runs that the inbox lists, in no order."""

    def events(self, run_id: str, after: int) -> list[Event]:
        """The run's events after `after`."""

    def blob(self, sha: str) -> bytes:
        """Bytes by sha256."""

    def live(self, run_id: str) -> Mapping[str, Live]:
        """What is being written now, by move id."""

    def find(self, words: str) -> list[Found]:
        """Full-text search over all runs."""

    def examples(self) -> Sequence[ExampleCard]:
        """The bundled examples."""

    def submit(self, text: str, follow_up_of: str | None = None) -> str:
        """Delegates a task (or a follow-up) and sees to a worker; returns the run's id."""

    def submit_example(self, name: str) -> str:
        """Delegates a bundled example; returns the run's id."""

    def command(self, run_id: str, kind: str, data: Mapping[str, object]) -> None:
        """Leaves a person's command for the run and sees to a worker."""

    def plan_file(self, run_id: str) -> PlanFile:
        """The file in which the run's proposed plan is edited. Raises BadInput."""

    def changes(self) -> int:
        """A number that grows whenever history or live text may have changed."""

    def wait(self, seen: int, timeout: float) -> bool:
        """Blocks until `changes()` is no longer `seen` (True) or the seconds are over (False)."""

    def close(self) -> None:
        """Lets go of everything."""
