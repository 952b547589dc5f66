"""The checks of `planner doctor`: one line for each part, with what to do when it is missing."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, emit, one_line, say
from planner_app.cli.exits import MISSING
from planner_app.domain.errors import (
    BadInput,
    EngineMissing,
    ImageMissing,
    PlannerError,
)
from planner_app.domain.teams import ROLES

if TYPE_CHECKING:
    from planner_app.settings import Settings

_NETWORK = ("example.org", 443)
_NETWORK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """How one part is."""

    name: str
    ok: bool
    text: str
    fix: str = ""
    """What to do; empty when nothing is to be done."""
    needed: bool = True
    """Whether a task cannot run without it."""


def examine(args: argparse.Namespace, context: Context) -> int:
    """Print all checks; exit 4 when a needed part is missing."""
    if args.fix:
        _set_up(context)
    checks = []
    for check in run_checks(context):
        checks.append(check)
        if not args.json:
            mark = "ok" if check.ok else ("!!" if check.needed else "--")
            fix = f"; {check.fix}" if check.fix and not check.ok else ""
            print(f"{mark:<3} {check.name:<9} {one_line(check.text + fix)}", flush=True)
    if args.json:
        emit({"checks": [dataclasses.asdict(check) for check in checks]})
    return MISSING if any(check.needed and not check.ok for check in checks) else 0


def run_checks(context: Context) -> Iterator[Check]:
    """All checks in order, each as soon as it is known."""
    yield _python()
    settings = _defaults(context)
    models: Look = _not_yet
    try:
        settings = context.settings()
        yield _settings(settings)
        models = _models
    except PlannerError as error:
        yield Check("settings", False, error.message, error.hint)
    parts: tuple[tuple[str, Look], ...] = (
        ("engine", _engine),
        ("image", _image),
        ("history", _history),
        ("models", models),
        ("network", _network),
        ("worker", _worker),
    )
    for name, look in parts:
        try:
            yield look(context, settings)
        except PlannerError as error:
            yield Check(name, False, error.message, error.hint)


Look = Callable[[Context, "Settings"], Check]


def _defaults(context: Context) -> Settings:
    from planner_app.settings import Settings

    return Settings(paths=context.paths(), origins={})


def engine_or_raise() -> None:
    """Raises EngineMissing when no engine answers. About 2 ms."""
    from planner_app.sandbox.engine_setup import check_engine

    state = check_engine()
    if not state.ok:
        raise EngineMissing(state.why, state.fix)


def image_or_none(packages: Sequence[str]) -> str | None:
    """The sandbox image's tag; None when it is not built. Raises EngineMissing."""
    from planner_app.sandbox.engine_client import open_client
    from planner_app.sandbox.image import find_image

    with contextlib.closing(open_client()) as client:
        return find_image(client, packages)


def sandbox_or_raise(settings: Settings) -> None:
    """Raises EngineMissing or ImageMissing when an action could not run in a container."""
    if settings.sandbox.kind != "docker":
        return
    try:
        engine_or_raise()
    except EngineMissing as error:
        hint = error.hint or "start an engine"
        raise EngineMissing(
            error.message,
            f"{hint}; planner run --example needs none",
        ) from error
    if image_or_none(settings.sandbox.packages) is None:
        raise ImageMissing("the sandbox image is not built yet", "run: planner sandbox build")


def cpus_or_raise(cpus: float) -> None:
    """Raises BadInput when the engine's machine has fewer CPUs, EngineMissing without an engine."""
    if cpus <= 1:  # as many as any machine has
        return
    from planner_app.sandbox.engine_client import open_client

    with contextlib.closing(open_client()) as client:
        most = int(client.info()["NCPU"])
    if cpus > most:
        raise BadInput(
            f"the sandbox's cpus are {cpus:g}, and the engine has {most}",
            f"say --limit cpus={most}, or set sandbox.cpus lower",
        )


def _set_up(context: Context) -> None:
    """Set up what can be; says what could not, as the checks tell what there is."""
    from planner_app.sandbox.engine_setup import ensure_engine
    from planner_app.sandbox.image import ensure_image

    state = ensure_engine(lambda line: say(f"engine: {line}"))
    if not state.ok:
        say(f"engine: {state.why}")
        return
    try:
        settings = context.settings()
        from planner_app.sandbox.engine_client import open_client

        with contextlib.closing(open_client()) as client:
            ensure_image(
                client,
                settings.sandbox.packages,
                lambda line: say(f"image: {line}"),
                settings.paths.data,
            )
    except PlannerError as error:
        say(f"image: {error}")


def _python() -> Check:
    return Check("python", True, f"{platform.python_version()} at {sys.executable}")


def _settings(settings: Settings) -> Check:
    from planner_app.models.profiles import ProfileBook
    from planner_app.settings_limits import settle

    settle(settings.limits(settings.team, {}))
    ProfileBook.load(settings.paths.profiles_file)
    file = settings.paths.config_file
    return Check("settings", True, str(file) if file.exists() else f"defaults ({file} not there)")


def _engine(_context: Context, settings: Settings) -> Check:
    from planner_app.sandbox.engine_setup import check_engine

    state = check_engine()
    if state.ok:
        cpus_or_raise(settings.sandbox.cpus)
        return Check("engine", True, f"version {state.version} at {state.endpoint}")
    return Check("engine", False, state.why, state.fix, settings.sandbox.kind == "docker")


def _image(_context: Context, settings: Settings) -> Check:
    needed = settings.sandbox.kind == "docker"
    try:
        engine_or_raise()
        tag = image_or_none(settings.sandbox.packages)
    except EngineMissing:
        return Check("image", False, "cannot be looked for without an engine", "", needed)
    if tag is None:
        return Check(
            "image", False, "the sandbox image is not built yet", "planner sandbox build", needed
        )
    return Check("image", True, tag)


def _history(context: Context, _settings: Settings) -> Check:
    from planner_app.cli.reading import open_or_none
    from planner_app.view import figures

    path = context.paths().database
    history = open_or_none(context)
    if history is None:
        place = next((p for p in path.parents if p.exists()), path.parent)
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            why = "may not be written" if place.is_dir() else "is no folder"
            fix = "set PLANNER_HOME to a folder of yours"
            return Check("history", False, f"{path} cannot be made: {place} {why}", fix)
        return Check("history", True, f"{path} (made with the first task)")
    with history:
        runs = sum(history.status_counts().values())
        size = history.path.stat().st_size
        text = f"{history.path}, {figures.number_of(runs, 'run')}, {figures.size(size)}"
    return Check("history", True, text)


def _not_yet(_context: Context, _settings: Settings) -> Check:
    return Check("models", False, "not looked at while the settings cannot be read")


def _models(context: Context, settings: Settings) -> Check:
    from planner_app.cli.team import address_of, check_team, doubts, settle_team
    from planner_app.settings_keys import check_key_for

    team = settle_team(argparse.Namespace(), settings, context.env)
    check_team(team, settings)
    for role in ROLES:
        if address_of(team, role, settings) is None:
            check_key_for(team.models[role], context.env)
    said = "; ".join((team.why, *doubts(team, settings)))
    return Check("models", True, f"{said} (planner models --check asks them)")


def _network(_context: Context, settings: Settings) -> Check:
    if settings.net.policy == "off":
        return Check("network", True, "off by net.policy", needed=False)
    host, port = _NETWORK
    try:
        with socket.create_connection((host, port), timeout=_NETWORK_SECONDS):
            return Check("network", True, f"{host} answers", needed=False)
    except OSError as error:
        why = f"{host} cannot be reached ({error.strerror or error})"
        fix = "tasks that search or fetch will not get far; local models and files still work"
        return Check("network", False, why, fix, needed=False)


def _worker(context: Context, _settings: Settings) -> Check:
    from planner_app.cli.reading import open_or_none
    from planner_app.queue import Queue

    history = open_or_none(context)
    if history is None:
        return Check("worker", True, "none runs; one starts with --background", needed=False)
    with history:
        workers = Queue(history).workers()
    if not workers:
        return Check("worker", True, "none runs; one starts when it is needed", needed=False)
    names = ", ".join(f"pid {worker.pid}" for worker in workers)
    return Check("worker", True, names, needed=False)
