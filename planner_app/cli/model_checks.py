"""What `planner models` prints: team, profiles, keys, servers; how a small call to each went."""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, emit, one_line
from planner_app.domain.errors import ModelMissing, PlannerError
from planner_app.domain.teams import ROLES

if TYPE_CHECKING:
    from planner_app.domain.teams import LocalServer
    from planner_app.models.port import Delta, ModelClient, ModelSpec
    from planner_app.settings import Settings
    from planner_app.settings_keys import Key

CHECK_SECONDS = 60.0
CHECK_TOKENS = 1024
"""Enough for a reasoning model to think a little and answer in one word."""
MISSING = 4


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model without asking it."""

    name: str
    roles: tuple[str, ...]
    family: str
    """Of its profile."""
    why: str
    """Which entries made the profile."""
    key: str
    """`KEY is set`, what is wrong with it, or that none is needed."""
    api_base: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """How a small call went."""

    name: str
    ok: bool
    text: str
    """One line for people."""
    reasons: bool | None = None
    """Whether it showed or counted thoughts; None: it did not answer."""
    streams: bool | None = None
    json_mode: str = ""
    price_known: bool | None = None
    first_token_ms: float | None = None
    ms: float | None = None


def show(args: argparse.Namespace, context: Context) -> int:
    """Print what is known; with `--check`, call each model. Exit 4 when one cannot be used."""
    from planner_app.cli.servers import find_servers
    from planner_app.settings_keys import find_keys

    settings = context.settings()
    keys = find_keys(context.env)
    servers = find_servers()
    why, roles = _roles(args, settings, context)
    known = [_known(name, role, settings, args, keys) for name, role in roles.items()]
    answers = asyncio.run(_check_all(known, settings, keys)) if args.check else []
    failed = any(not answer.ok for answer in answers) or (not roles and args.check)
    if args.json:
        emit(
            {
                "team": why,
                "models": [asdict(model) for model in known],
                "keys": {k.variable: k.problem or k.origin for k in keys.values()},
                "servers": [asdict(server) for server in servers],
                "checks": [asdict(answer) for answer in answers],
            }
        )
        return MISSING if failed else 0
    print(one_line(why))
    for model in known:
        print(f"{', '.join(model.roles) or 'model':<28} {model.name}")
        print(f"    profile {model.family} ({model.why}); {model.key}")
    _print_found(keys, servers)
    for answer in answers:
        print(f"{'ok' if answer.ok else '!!'}  {answer.name}: {one_line(answer.text)}")
    return MISSING if failed else 0


def _roles(
    args: argparse.Namespace, settings: Settings, context: Context
) -> tuple[str, dict[str, tuple[str, ...]]]:
    """One line on the team, and each model with the roles that it plays."""
    from planner_app.cli.team import settle_team

    if args.names:
        return "the models that you named", dict.fromkeys(args.names, ())
    try:
        team = settle_team(args, settings, context.env)
    except ModelMissing as error:
        return f"no team: {error}", {}
    by_model: dict[str, tuple[str, ...]] = {}
    for role, model in team.models.items():
        by_model[model] = (*by_model.get(model, ()), role)
    return f"team {team.name}: {team.why}", by_model


def _known(
    name: str,
    roles: tuple[str, ...],
    settings: Settings,
    args: argparse.Namespace,
    keys: dict[str, Key],
) -> Known:
    from planner_app.domain.teams import provider_of
    from planner_app.models.profiles import ProfileBook

    match = ProfileBook.load(settings.paths.profiles_file).explain(name)
    base = _spec(name, settings, args).api_base
    provider = provider_of(name)
    if provider is None or base is not None:
        key_text = "needs no key that we know of"
    else:
        key = next(
            (keys[v] for v in (provider.variable, *provider.other_variables) if v in keys), None
        )
        key_text = f"{provider.variable} is not set" if key is None else f"{key.variable} is set"
        if key is not None and key.problem:
            key_text = key.problem
    return Known(name, roles, match.profile.family, match.why, key_text, base)


def _spec(name: str, settings: Settings, args: argparse.Namespace | None = None) -> ModelSpec:
    from planner_app.models.port import ModelSpec

    team = settings.teams.get(getattr(args, "team", None) or settings.team)
    base = settings.models.api_base(name)
    if team is not None and base is None:
        own = [role for role in ROLES if getattr(team, role) == name]
        base = team.base_for(own[0], name) if own else None
    return ModelSpec(name=name, api_base=base)


async def _check_all(
    known: list[Known], settings: Settings, keys: dict[str, Key]
) -> list[Answered]:
    from planner_app.cli.model_client import open_models

    client = open_models(settings, keys)
    try:
        return list(await asyncio.gather(*(_check(client, model) for model in known)))
    finally:
        await client.aclose()


async def _check(client: ModelClient, known: Known) -> Answered:
    """One small call: does it answer, think, stream, and what of it is known."""
    from planner_app.models.port import Message, ModelRequest, ModelSpec, ReplyKey

    spec = ModelSpec(name=known.name, api_base=known.api_base)
    pieces: list[Delta] = []
    request = ModelRequest(
        spec=spec,
        messages=(Message(role="user", content="Answer with the single word: ready"),),
        max_tokens=CHECK_TOKENS,
        deadline_s=CHECK_SECONDS,
        key=ReplyKey(role="planner", purpose="probe", turn=1),
    )
    began = time.monotonic()
    try:
        reply = await client.complete(request, pieces.append)
    except PlannerError as error:
        return Answered(known.name, False, str(error))
    ms = (time.monotonic() - began) * 1000
    reasons = bool(reply.reasoning or reply.usage.reasoning_tokens)
    streams = len(pieces) > 1
    profile = client.profile(spec)
    priced = client.price(spec) is not None
    said = [
        "reachable",
        "reasons" if reasons else "no reasoning seen",
        "streams" if streams else "came in one piece",
        f"JSON by {profile.json_mode.replace('_', ' ')}",
        "price known" if priced else "price unknown",
        f"{ms:.0f} ms",
    ]
    return Answered(
        known.name,
        True,
        ", ".join([*said, *reply.warnings]),
        reasons,
        streams,
        profile.json_mode,
        priced,
        reply.first_token_ms,
        ms,
    )


def _print_found(keys: dict[str, Key], servers: list[LocalServer]) -> None:
    for key in keys.values():
        print(f"key     {key.variable} ({key.problem or key.origin})")
    for server in servers:
        names = ", ".join(server.models[:8]) or "no models"
        print(f"server  {server.name} at {server.api_base}: {one_line(names)}")
    if not keys and not servers:
        print("no keys and no local servers were found")
