"""What `planner models` prints: team, profiles, keys, servers; how a small call to each went."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, emit, one_line, say
from planner_app.cli.exits import MISSING
from planner_app.domain.errors import KeyMissing, ModelMissing, PlannerError
from planner_app.domain.places import usual_address
from planner_app.domain.teams import NEEDS_NO_KEY, ROLES, provider_of

if TYPE_CHECKING:
    from planner_app.domain.places import LocalServer
    from planner_app.models.memory import Known as Remembered
    from planner_app.models.memory import Memory
    from planner_app.models.port import ModelClient, ModelSpec
    from planner_app.models.prices import Price
    from planner_app.settings import Settings
    from planner_app.settings_keys import Key

FAILURES = {
    "refused": "not running",
    "dns": "unknown host",
    "tls": "no secure connection",
    "connection": "connection broke",
    "timeout": "too slow",
    "deadline": "too slow",
    "auth": "key refused",
    "forbidden": "not allowed",
    "not_found": "unknown model",
    "unknown_model": "unknown provider",
    "bad_request": "request refused",
    "rate_limited": "rate limit",
    "overloaded": "overloaded",
    "server": "server error",
    "context_overflow": "window too small",
    "content_policy": "refused by policy",
    "empty": "empty reply",
    "malformed_stream": "no model server",
    "cut_stream": "cut off",
    "too_long": "endless reply",
    "quota": "no credit",
}
"""What keeps a model from answering, by the kind of error, in a word or two."""
JSON_WORDS = {"native_schema": "by schema", "json_object": "as object", "prompt": "by words"}


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
    """Without a password."""
    price: str
    """US dollars for a million tokens, with who says so, or `unknown`."""
    found: str
    """What an earlier check or call found, with its date; empty: nothing yet."""
    warnings: tuple[str, ...]
    """That it will be withdrawn, or that nobody knows the name."""
    problem: str = ""
    """Why it cannot be asked at all; empty: it can."""


@dataclass(frozen=True, slots=True)
class Answered:
    """How a small call went."""

    name: str
    ok: bool
    text: str
    """One line for people."""
    failure: str = ""
    """What kept it from answering, in a word or two; empty: nothing."""
    reasons: bool | None = None
    """Whether it showed or counted thoughts; None: it did not answer."""
    streams: bool | None = None
    json_mode: str | None = None
    """How it really gave JSON; None: it gave none."""
    price_known: bool | None = None
    first_token_ms: float | None = None
    ms: float | None = None
    usd: float | None = None
    """What the check cost; None: unknown."""


def show(args: argparse.Namespace, context: Context) -> int:
    """Print what is known; with `--check`, call each model. Exit 4 when one cannot be used."""
    from planner_app.cli.servers import find_servers
    from planner_app.settings_keys import find_keys

    settings = context.settings()
    look = Look(settings, context, getattr(args, "team", None))
    keys = find_keys(context.env)
    servers = find_servers()
    why, roles = look.roles(args, servers)
    known = [look.known(name, role) for name, role in roles.items()]
    if known and args.check and not args.json:
        say(f"asks {len(known)} model{'' if len(known) == 1 else 's'} a small thing")
    tell = _skip if args.json else _print_answer
    answers = asyncio.run(look.check_all(known, tell)) if args.check else []
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
    if not args.check:
        print(one_line(why))
        for model in known:
            _print_known(model)
        _print_found(keys, servers)
    elif not known:
        print(one_line(why))
    return MISSING if failed else 0


class Look:
    """Looks at models under one set of settings."""

    def __init__(self, settings: Settings, context: Context, team: str | None) -> None:
        from planner_app.models.memory import Memory
        from planner_app.models.profiles import ProfileBook

        self._settings = settings
        self._context = context
        self._team = settings.teams.get(team or settings.team)
        self._book = ProfileBook.load(settings.paths.profiles_file)
        self._memory: Memory = Memory(settings.paths.models_file)
        self._bases: dict[str, str] = {}

    def roles(
        self, args: argparse.Namespace, servers: list[LocalServer]
    ) -> tuple[str, dict[str, tuple[str, ...]]]:
        """One line on the team, and each model with the roles that it plays."""
        from planner_app.cli.team import check_name, settle_team

        self._bases = {name: s.api_base for s in reversed(servers) for name in s.models}
        if args.names:
            for name in args.names:
                check_name(name, "MODEL")
            return "the models that you named", dict.fromkeys(args.names, ())
        try:
            team = settle_team(args, self._settings, self._context.env, servers)
        except ModelMissing as error:
            return f"no team: {error}", {}
        by_model: dict[str, tuple[str, ...]] = {}
        for role, model in team.models.items():
            by_model[model] = (*by_model.get(model, ()), role)
        fallbacks = self._team.fallbacks.values() if self._team is not None else ()
        for model in dict.fromkeys(name for names in fallbacks for name in names):
            by_model[model] = (*by_model.get(model, ()), "fallback")
        return f"team {team.name}: {team.why}", by_model

    def known(self, name: str, roles: tuple[str, ...]) -> Known:
        """What is known of a model by its name."""
        from planner_app.cli.preconditions import FREE
        from planner_app.cli.team import name_problem, unlisted
        from planner_app.models.price_table import withdrawal
        from planner_app.settings import mask

        match = self._book.explain(name)
        spec = self._spec(name)
        remembered = self._memory.recall(name, spec.api_base)
        key, problem = self._key(name, spec.api_base)
        warnings = []
        if (wrong := name_problem(name)) is not None:
            key, problem = str(wrong), "unknown provider"
        elif spec.api_base is None:
            warnings = [unlisted(name), withdrawal(name, datetime.now(UTC).date())]
        return Known(
            name,
            roles,
            match.profile.family,
            match.why,
            key,
            None if spec.api_base is None else str(mask(spec.api_base)),
            "none" if name.startswith(FREE) else _price_text(self._client({}).price(spec)),
            _remembered_text(remembered),
            tuple(line for line in warnings if line),
            problem,
        )

    async def check_all(
        self, known: list[Known], tell: Callable[[Answered], object]
    ) -> list[Answered]:
        """A small call to each, all at once; each is told as soon as it is known."""

        async def one(model: Known) -> Answered:
            answer = await self._check(client, model)
            tell(answer)
            return answer

        from planner_app.settings_keys import all_keys

        client = self._client(all_keys(self._context.env))
        try:
            return list(await asyncio.gather(*(one(model) for model in known)))
        finally:
            await client.aclose()

    async def _check(self, client: ModelClient, known: Known) -> Answered:
        from planner_app.models.port import ModelError
        from planner_app.models.probe import ask

        if known.problem:
            return Answered(known.name, False, f"{known.problem}: {known.key}", known.problem)
        spec = self._spec(known.name)
        priced = client.price(spec) is not None
        try:
            asked = await ask(client, self._memory, spec)
        except PlannerError as error:
            kind = error.kind if isinstance(error, ModelError) else "unusable"
            word = FAILURES.get(kind, kind)
            return Answered(known.name, False, f"{word}: {error}", word, price_known=priced)
        probe = asked.probe
        json_said = "no JSON" if probe.json_mode is None else f"JSON {JSON_WORDS[probe.json_mode]}"
        said = [
            "reachable",
            "reasons" if probe.reasons else "no reasoning seen",
            "streams" if probe.streams else "came in one piece",
            json_said,
            "price known" if priced else "price unknown",
            f"{asked.ms:.0f} ms",
        ]
        return Answered(
            known.name,
            True,
            ", ".join(said) + "".join(f"; {line}" for line in (*asked.warnings, *known.warnings)),
            reasons=probe.reasons,
            streams=probe.streams,
            json_mode=probe.json_mode,
            price_known=priced,
            first_token_ms=asked.first_token_ms,
            ms=asked.ms,
            usd=asked.usd,
        )

    def _client(self, keys: dict[str, Key]) -> ModelClient:
        from planner_app.cli.model_client import open_models

        return open_models(self._settings, keys)

    def _spec(self, name: str) -> ModelSpec:
        """The model with its address: a team's, the settings', or a local server's that serves it.

        A team's address is for its roles; a model that plays none is asked at its provider's.
        """
        from planner_app.models.port import ModelSpec

        base = self._settings.models.api_base(name)
        team = self._team
        if team is not None:
            plays = {role: (getattr(team, role), *team.fallbacks.get(role, ())) for role in ROLES}
            role = next((role for role in ROLES if name in plays[role]), None)
            base = (team.base_for(role, name) if role else None) or base
        base = base or self._bases.get(name) or usual_address(name, self._context.env)
        return ModelSpec(name=name, api_base=base)

    def _key(self, name: str, api_base: str | None) -> tuple[str, str]:
        """What is to be said of a model's key, and the word for why it cannot be asked."""
        from planner_app.settings_keys import check_key_for

        provider = provider_of(name)
        if api_base is not None or name.startswith(NEEDS_NO_KEY):
            return "needs no key", ""
        if provider is None:
            return "its provider's key is not looked at here", ""
        try:
            key = check_key_for(name, self._context.env)
        except KeyMissing as error:
            if error.message.endswith("cannot be used"):
                return error.hint, "bad key"
            return f"{provider.variable} is not set", "no key"
        return f"{key.variable if key else provider.variable} is set", ""


def _price_text(price: Price | None) -> str:
    if price is None:
        return "unknown"
    parts = [f"${price.input_usd_per_mtok:g} in", f"${price.output_usd_per_mtok:g} out"]
    if price.cached_usd_per_mtok is not None:
        parts.append(f"${price.cached_usd_per_mtok:g} cached")
    if price.reasoning_usd_per_mtok is not None:
        parts.append(f"${price.reasoning_usd_per_mtok:g} reasoning")
    source = {"table": "litellm's table", "settings": "your settings"}[price.source]
    return f"{', '.join(parts)} per million tokens ({source})"


def _remembered_text(known: Remembered) -> str:
    parts = []
    probe = known.probe
    if probe is not None:
        words = "no JSON" if probe.json_mode is None else f"JSON {JSON_WORDS[probe.json_mode]}"
        thinks = "reasons" if probe.reasons else "no reasoning seen"
        pieces = "streams" if probe.streams else "came in one piece"
        parts.append(f"{thinks}, {pieces}, {words} (asked {probe.at:%Y-%m-%d})")
    parts += [f"refused {name} ({at:%Y-%m-%d})" for name, at in known.refuses.items()]
    return "; ".join(parts)


def _print_answer(answer: Answered) -> None:
    mark = "ok" if answer.ok else "!!"
    print(f"{mark}  {one_line(answer.name)}: {one_line(answer.text)}", flush=True)


def _skip(_answer: Answered) -> None:
    """JSON is one object, at the end."""


def _print_known(model: Known) -> None:
    print(f"{', '.join(model.roles) or 'model':<28} {one_line(model.name)}")
    print(f"    profile {model.family} ({one_line(model.why)}); {model.key}")
    at = f" at {model.api_base}" if model.api_base else ""
    print(f"    price {model.price}{at}; {model.found or 'not asked yet (--check)'}")
    for warning in model.warnings:
        print(f"    ! {one_line(warning)}")


def _print_found(keys: dict[str, Key], servers: list[LocalServer]) -> None:
    for key in keys.values():
        print(f"key     {key.problem or f'{key.variable} ({key.origin})'}")
    for server in servers:
        names = ", ".join(server.models[:8]) or "no models"
        more = f" and {len(server.models) - 8} more" if len(server.models) > 8 else ""
        print(f"server  {server.name} at {server.api_base}: {one_line(names)}{more}")
    if not keys and not servers:
        print("no keys and no local servers were found")
