"""Settles which team a task gets: flags over settings over the keys and servers that are found."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from planner_app.domain.errors import BadInput
from planner_app.domain.teams import (
    NEEDS_NO_KEY,
    ROLES,
    Team,
    TeamChoice,
    TeamRole,
    choose_team,
    provider_of,
)

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
    found = find_keys(env).values()
    keys = [key.variable for key in found if not key.problem]
    problems = [key.problem for key in found if key.problem]
    return choose_team(choice, keys, () if keys else find_servers(), problems)


def fallbacks_of(team: Team, role: TeamRole, settings: Settings) -> tuple[str, ...]:
    """The models that go on in a role when its own is down."""
    own = settings.teams.get(team.name)
    return own.fallbacks.get(role, ()) if own is not None else ()


def address_of(
    team: Team, role: TeamRole, settings: Settings, fallback: str | None = None
) -> str | None:
    """The address that a role's model, or a fallback of it, is asked at; None: its provider's."""
    model = fallback or team.models[role]
    own = settings.teams.get(team.name)
    said = own.base_for(role, model) if own is not None else None
    return said or settings.models.api_base(model) or team.api_bases.get(model)


def name_problem(model: str) -> BadInput | None:
    """Why a model's name can reach nobody: unknown provider, or none; None: it may be right."""
    from planner_app.models.price_table import bare_is_known, nearest_names, provider_is_known

    if model.startswith(("scripted:", "recorded:")):
        return None
    provider, slash, _ = model.partition("/")
    if slash and provider_is_known(provider):
        return None
    if not slash and bare_is_known(model):
        return None
    whose = provider_of(model)
    near = (whose.prefix + model,) if whose is not None and not slash else nearest_names(model)
    hint = f"did you mean {' or '.join(near)}?" if near else (
        "write PROVIDER/MODEL, such as deepseek/deepseek-reasoner; a server of your own that "
        f"speaks the OpenAI protocol: openai/{model[:60]} with its api_base"
    )  # fmt: skip
    what = f"no provider is called {provider[:60]!r}" if slash else "it names no provider"
    return BadInput(f"the model {model[:80]!r} is not known: {what}", hint)


def unlisted(model: str) -> str:
    """A line that offers other names for one that litellm's table does not list; mostly empty.

    Models newer than the table are not in it, so this is never more than a doubt.
    """
    from planner_app.models.price_table import is_listed, nearest_names

    if model.startswith(NEEDS_NO_KEY) or is_listed(model):
        return ""
    near = nearest_names(model)
    return f"{model} is not in litellm's table; did you mean {' or '.join(near)}?" if near else ""


def check_team(team: Team, settings: Settings) -> None:
    """Each model's name, a fallback's too, can reach somebody, and its profile can be read.

    Raises BadInput.
    """
    from planner_app.models.profiles import ProfileBook

    ProfileBook.load(settings.paths.profiles_file)
    for role in ROLES:
        for model in (team.models[role], *fallbacks_of(team, role, settings)):
            if (problem := name_problem(model)) is not None:
                raise problem


def doubts(team: Team, settings: Settings) -> tuple[str, ...]:
    """What may be wrong with the models' names, and which of them are soon withdrawn."""
    from planner_app.models.price_table import withdrawal

    today = datetime.now(UTC).date()
    asked = [team.models[role] for role in ROLES if address_of(team, role, settings) is None]
    lines = [line for name in asked for line in (unlisted(name), withdrawal(name, today))]
    return tuple(dict.fromkeys(filter(None, lines)))


def team_choice(args: argparse.Namespace, settings: Settings) -> TeamChoice:
    """What flags and settings say, before anything is looked for."""
    for role in ROLES:
        named = getattr(args, role, None)
        if named is not None and (not named or any(c.isspace() for c in named.partition(":")[0])):
            raise BadInput(
                f"--{role} {named[:60]!r} names no model", "such as deepseek/deepseek-chat"
            )
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
