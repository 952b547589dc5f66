"""`planner` without a command: the screen."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, require_terminal

if TYPE_CHECKING:
    from planner_app.domain.places import LocalServer
    from planner_app.domain.teams import Team
    from planner_app.settings import Settings
    from planner_app.tui.desk import Checks


def open_screen(_args: argparse.Namespace, context: Context) -> int:
    """Open the TUI. BadInput without a terminal."""
    require_terminal("the screen", 'planner run "..."')
    from planner_app.tui.app import run_tui

    # Settings are read after the first paint; a mistake in them is said on the screen.
    return run_tui(context.settings, checks=screen_checks(), cwd=context.cwd)


def screen_checks() -> Checks:
    """What the screen asks us to look at, since it must not import engines itself."""
    from planner_app.tui.desk import Checks

    return Checks(sandbox=_check_sandbox, servers=_find_servers, team=_check_team)


def _find_servers() -> list[LocalServer]:
    """Imported late: HTTP is not needed before the first paint."""
    from planner_app.cli.servers import find_servers

    return find_servers()


def _check_team(team: Team, settings: Settings) -> None:
    """Raises BadInput when a model's name or profile cannot be used."""
    from planner_app.cli.team import check_team

    check_team(team, settings)


def _check_sandbox(settings: Settings) -> None:
    """Raises EngineMissing or ImageMissing when a person's own task could not run."""
    from planner_app.cli.checks import sandbox_or_raise

    sandbox_or_raise(settings)
