"""What must be there and right before a task is delegated: files, models, keys, prices, engine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, say
from planner_app.cli.reading import open_run
from planner_app.cli.team import address_of, check_team, doubts, fallbacks_of
from planner_app.domain.errors import BadInput
from planner_app.domain.teams import ROLES

if TYPE_CHECKING:
    from planner_app.domain.teams import Team
    from planner_app.settings import Settings

SCRIPTED = "scripted:"
RECORDED = "recorded:"
FREE = (SCRIPTED, RECORDED)


def checked_limits(args: argparse.Namespace, settings: Settings) -> dict[str, float]:
    """A sandbox's limits. Raises BadInput for what no sandbox can have."""
    from planner_app.settings_limits import read_limit_flags, settle

    return settle(settings.limits(args.team or settings.team, read_limit_flags(args.limit)))


def check_files(args: argparse.Namespace, settings: Settings) -> None:
    """Every file can be used as it is meant, before keys and engine are looked at."""
    from planner_app.queue.attachments import Caps, list_files, read

    if "" in (*args.file, *args.dir):  # a variable that is not set, and not the working folder
        raise BadInput("the name of a file or folder is empty", "name one, or `.` for this folder")
    caps = Caps(settings.attachments.max_file, settings.attachments.max_total)
    listing = list_files([Path(f) for f in args.file], [Path(d) for d in args.dir], set())
    total = 0
    for found in listing.files:
        size = found.path.stat().st_size
        if size > caps.file or total + size > caps.total:
            read(found, caps, total)  # says which limit
        total += size
    for name in filter(None, (args.schema, *args.tool)):
        if not Path(name).is_file():
            raise BadInput(f"the file {name} does not exist", "check its name")
    if args.tool:
        from planner_app.broker.catalogue import load_modules

        load_modules([], [Path(name) for name in args.tool])


def check_scripts(team: Team, context: Context) -> None:
    """A file of replies, or a saved run, can be read, or nothing is delegated. Raises BadInput."""
    from planner_app.models.scripted import read_script

    for model in {*team.models.values()}:
        if model.startswith(SCRIPTED):
            read_script(context.cwd / model.removeprefix(SCRIPTED))
        elif model.startswith(RECORDED):
            with open_run(context, model.removeprefix(RECORDED)):
                pass


def check_names(team: Team, settings: Settings) -> None:
    """Raises BadInput for what is wrong with a model's name or profile; says what may be."""
    check_team(team, settings)
    for line in doubts(team, settings):
        say(f"note: {line}")


def check_keys(team: Team, settings: Settings, context: Context) -> None:
    """Each model's key is there and could be one; own servers need none. Raises KeyMissing."""
    from planner_app.settings_keys import check_key_for

    for role in ROLES:
        if address_of(team, role, settings) is None:
            check_key_for(team.models[role], context.env)


def check_price(args: argparse.Namespace, team: Team, settings: Settings) -> None:
    """A budget in dollars binds only models whose price is known."""
    if args.max_usd is None or args.max_tokens is not None or settings.budget.usd is None:
        return
    from planner_app.cli.model_client import open_models
    from planner_app.models.port import ModelSpec

    client = open_models(settings, {})
    named = [(r, m) for r in ROLES for m in (team.models[r], *fallbacks_of(team, r, settings))]
    for role, model in named:
        spec = ModelSpec(name=model, api_base=address_of(team, role, settings, model))
        if not model.startswith(FREE) and client.price(spec) is None:
            raise BadInput(
                f"the price of {model} is unknown, so --max-usd cannot bind it",
                f'add --max-tokens, or set models.prices."{model}"',
            )


def check_first_call(team: Team, settings: Settings, text: str) -> None:
    """The budget pays for one call at least. Raises BadInput."""
    if team.planner.startswith(FREE):
        return
    from planner_app.cli.model_client import open_models
    from planner_app.engine.first_call import check_budget
    from planner_app.models.port import ModelSpec

    spec = ModelSpec(name=team.planner, api_base=address_of(team, "planner", settings))
    check_budget(open_models(settings, {}), spec, settings.budget.limits(), text)


def check_sandbox(settings: Settings, limits: dict[str, float]) -> None:
    """Engine and image are there and can serve, or nothing is delegated.

    Raises EngineMissing, ImageMissing, BadInput.
    """
    if settings.sandbox.kind != "docker":
        say("code runs in a local process, without isolation, as you asked")
        return
    from planner_app.cli.checks import cpus_or_raise, sandbox_or_raise

    sandbox_or_raise(settings)
    cpus_or_raise(limits["cpus"])
