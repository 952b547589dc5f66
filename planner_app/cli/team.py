"""Settles which team a task gets: flags over settings over the keys and servers that are found."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from planner_app.domain.errors import BadInput
from planner_app.domain.teams import (
    NEEDS_NO_KEY,
    ROLES,
    Team,
    TeamChoice,
    TeamRole,
    looks_like_key,
    provider_of,
)

if TYPE_CHECKING:
    from planner_app.domain.places import LocalServer
    from planner_app.settings import Settings


def settle_team(
    args: argparse.Namespace,
    settings: Settings,
    env: Mapping[str, str],
    servers: Sequence[LocalServer] | None = None,
) -> Team:
    """The team; local servers are asked where it needs one, unless they are given.

    Raises BadInput for an unknown team, ModelMissing when nothing is found.
    """
    from planner_app.cli.servers import find_servers
    from planner_app.settings_keys import find_team

    choice = team_choice(args, settings)
    return find_team(choice, env, find_servers if servers is None else lambda: servers)


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
    choice = settings.choice(getattr(args, "team", None))
    named = {role: getattr(args, role, None) for role in ROLES}
    for role, model in named.items():
        if model is not None:
            check_name(model, f"--{role}")
    return dataclasses.replace(choice, **{r: m for r, m in named.items() if m is not None})


def check_name(model: str, where: str) -> None:
    """Raises BadInput for what is no model's name, or is a key that nobody should see."""
    if looks_like_key(model):
        raise BadInput(f"{where} is a key, not a model", "put it into its provider's variable")
    if not model or any(c.isspace() for c in model.partition(":")[0]):
        raise BadInput(f"{where} {model[:60]!r} names no model", "such as deepseek/deepseek-chat")
