"""Settles who does a task and where its code runs, before anything is recorded.

What only the command line may look at (the container engine, local model servers) comes in as
`Checks`; a screen imports neither sandbox nor models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from planner_app.domain.errors import (
    BadInput,
    EngineMissing,
    ImageMissing,
    KeyMissing,
    ModelMissing,
)
from planner_app.domain.teams import ROLES, Team
from planner_app.tui.gateway import ExampleCard, TeamLine

if TYPE_CHECKING:
    from planner_app.domain.places import LocalServer
    from planner_app.queue import Submission
    from planner_app.settings import Settings

Wanted = tuple["Submission", "Settings"]


@dataclass(frozen=True, slots=True)
class Checks:
    """Looks at parts that a screen must not import."""

    sandbox: Callable[[Settings], object] | None = None
    """Raises EngineMissing or ImageMissing when a person's task could not run. None: not looked."""
    servers: Callable[[], Sequence[LocalServer]] | None = None
    """Finds local model servers. None: not looked for."""
    team: Callable[[Team, Settings], object] | None = None
    """Raises BadInput when a model's name or profile cannot be used. None: not looked."""


class Desk:
    """Makes submissions of what a person types, under one set of settings."""

    def __init__(
        self, settings: Settings, env: Mapping[str, str], cwd: Path | None, checks: Checks
    ) -> None:
        self.settings = settings
        self._env = env
        self._cwd = cwd
        self._checks = checks
        self._found: Team | None = None

    def team_line(self) -> TeamLine:
        """Who would do a task now, or what is missing."""
        try:
            team = self._team()
            self._check(team)
        except (ModelMissing, KeyMissing, BadInput) as error:
            return TeamLine(missing=error.message, hint=error.hint)
        return TeamLine(said=self._said(team))

    def _said(self, team: Team) -> str:
        said = team.why or f"planner {team.planner}, executor {team.executor}"
        return said if self.settings.sandbox.kind == "docker" else f"{said} · NOT ISOLATED"

    def task(self, text: str, follow_up_of: str | None) -> Wanted:
        """A person's task. Raises what says which part is missing."""
        from planner_app.queue import Submission

        team = self._team()
        self._check(team)
        if self._checks.sandbox is not None:
            self._checks.sandbox(self.settings)
        submission = Submission(
            text=text,
            models=team.models,
            api_bases=team.api_bases,
            folder=self._cwd,
            follow_up_of=follow_up_of,
        )
        return submission, self.settings

    def needs(self) -> list[tuple[str, ...]]:
        """The variables in which each key that a task needs may be."""
        from planner_app.settings_keys import needs_of

        return needs_of(self._asked_elsewhere(self._team()), self._env)

    def example(self, name: str) -> Wanted:
        """A bundled example: our own code, which may run without an engine, said on its screen."""
        from planner_app.examples.library import load_example
        from planner_app.queue import Submission

        example = load_example(name)
        kind = self.settings.sandbox.kind
        if kind == "docker" and self._checks.sandbox is not None:
            try:
                self._checks.sandbox(self.settings)
            except EngineMissing:
                kind = "unsafe-host"
            except ImageMissing:
                if example.needs_packages:
                    raise
                kind = "unsafe-host"
        submission = Submission(
            text=example.task,
            files=example.files,
            models=example.models,
            sandbox=kind,
            example=example.name,
            folder=self._cwd,
        )
        return submission, self.settings

    def examples(self) -> list[ExampleCard]:
        """The bundled examples, each with its task's first line."""
        from planner_app.examples.library import example_names, load_example

        cards = []
        for name in example_names():
            example = load_example(name)
            cards.append(ExampleCard(name, example.title, example.task.splitlines()[0]))
        return cards

    # --- team ------------------------------------------------------------------------------------

    def _team(self) -> Team:
        if self._found is None:
            from planner_app.settings_keys import find_team

            servers = self._checks.servers or tuple
            self._found = find_team(self.settings.choice(), self._env, servers)
        return self._found

    def _check(self, team: Team) -> None:
        from planner_app.settings_keys import check_key_for

        if self._checks.team is not None:
            self._checks.team(team, self.settings)
        for model in self._asked_elsewhere(team):
            check_key_for(model, self._env)

    def _asked_elsewhere(self, team: Team) -> list[str]:
        """The models that are asked at their provider's, so with its key."""
        own = self.settings.teams.get(team.name)
        asked = []
        for role in ROLES:
            model = team.models[role]
            base = own.base_for(role, model) if own is not None else None
            base = base or self.settings.models.api_base(model) or team.api_bases.get(model)
            if base is None:
                asked.append(model)
        return asked
