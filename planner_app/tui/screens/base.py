"""What all screens share: the app under its own type, and news."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.dom import DOMNode

if TYPE_CHECKING:
    from planner_app.tui.app import PlannerApp
    from planner_app.tui.feed import News


class HasNews(DOMNode):
    """A screen that takes batches of news and has a spinner."""

    moves: bool = False
    """Whether something on it works now."""

    @property
    def planner(self) -> PlannerApp:
        """The app, which is always ours."""
        return cast("PlannerApp", self.app)

    def news(self, news: News) -> None:
        """Takes a batch."""
        raise NotImplementedError

    def turn(self, spin: str) -> None:
        """Shows another picture of the spinner."""
        raise NotImplementedError
