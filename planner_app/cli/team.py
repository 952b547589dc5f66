"""Settles which team a task gets: flags over settings over the keys and servers that are found."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from planner_app.domain.errors import BadInput
from planner_app.domain.teams import Team, TeamChoice, choose_team

if TYPE_CHECKING:
    from planner_app.settings import Settings


def settle_team(args: argparse.Namespace, settings: Settings, env: Mapping[str, str]) -> Team:
    """The team. Keys are looked for, and servers asked, only when nothing names a planner.

    Raises BadInput for an unknown team, ModelMissing when nothing is found.
    """
    from planner_app.cli.servers import find_servers
    from planner_app.settings_keys import find_keys

    choice = team_choice(args, settings)
    if choice.planner:
        return choose_team(choice, env)
    keys = [key.variable for key in find_keys(env).values() if not key.problem]
    return choose_team(choice, keys, () if keys else find_servers())


def team_choice(args: argparse.Namespace, settings: Settings) -> TeamChoice:
    """What flags and settings say, before anything is looked for."""
    name = getattr(args, "team", None) or settings.team
    if name not in settings.teams and name != "default":
        from planner_app.settings_layers import nearest

        known = [*settings.teams] or ["default"]
        close = nearest(name, known)
        raise BadInput(
            f"there is no team {name[:60]!r}",
            f"did you mean {close}?" if close else f"there is {', '.join(known)}",
        )
    team = settings.teams.get(name)
    return TeamChoice(
        name=name,
        planner=getattr(args, "planner", None) or (team.planner if team else None),
        executor=getattr(args, "executor", None) or (team.executor if team else None),
        checker=getattr(args, "checker", None) or (team.checker if team else None),
        mode=team.mode if team else "team",
        max_parallel=team.max_parallel if team else 3,
    )
