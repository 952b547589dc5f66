"""The checks of `planner doctor`: one line for each part, with what to do when it is missing."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import platform
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, emit, one_line, say
from planner_app.domain.errors import (
    BadInput,
    EngineMissing,
    ImageMissing,
    PlannerError,
)
from planner_app.domain.teams import ROLES

if TYPE_CHECKING:
    from planner_app.settings import Settings

MISSING = 4
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
    parts: tuple[tuple[str, Callable[[Context], Check]], ...] = (
        ("python", _python),
        ("settings", _settings),
        ("engine", _engine),
        ("image", _image),
        ("history", _history),
        ("models", _models),
        ("network", _network),
        ("worker", _worker),
    )
    for name, look in parts:
        try:
            yield look(context)
        except PlannerError as error:
            yield Check(name, False, error.message, error.hint)


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
            f"{hint}; planner doctor --fix tries it; planner run --example needs none",
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
    from planner_app.sandbox.engine_setup import ensure_engine
    from planner_app.sandbox.image import ensure_image

    state = ensure_engine(lambda line: say(f"engine: {line}"))
    if not state.ok:
        return  # the check says why, and what to do
    settings = context.settings()
    from planner_app.sandbox.engine_client import open_client

    with contextlib.closing(open_client()) as client:
        ensure_image(
            client,
            settings.sandbox.packages,
            lambda line: say(f"image: {line}"),
            settings.paths.data,
        )


def _python(_context: Context) -> Check:
    return Check("python", True, f"{platform.python_version()} at {sys.executable}")


def _settings(context: Context) -> Check:
    from planner_app.settings_limits import settle

    settings = context.settings()
    settle(settings.limits(settings.team, {}))
    file = settings.paths.config_file
    return Check("settings", True, str(file) if file.exists() else f"defaults ({file} not there)")


def _engine(context: Context) -> Check:
    from planner_app.sandbox.engine_setup import check_engine

    state = check_engine()
    if state.ok:
        cpus_or_raise(context.settings().sandbox.cpus)
        return Check("engine", True, f"version {state.version} at {state.endpoint}")
    fix = f"planner doctor --fix, or {state.fix}"
    needed = context.settings().sandbox.kind == "docker"
    return Check("engine", False, state.why, fix, needed)


def _image(context: Context) -> Check:
    settings = context.settings()
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


def _history(context: Context) -> Check:
    from planner_app.cli.reading import open_or_none
    from planner_app.view import figures

    path = context.paths().database
    history = open_or_none(context)
    if history is None:
        return Check("history", True, f"{path} (made with the first task)")
    with history:
        runs = sum(history.status_counts().values())
        size = history.path.stat().st_size
        text = f"{history.path}, {figures.number_of(runs, 'run')}, {figures.size(size)}"
    return Check("history", True, text)


def _models(context: Context) -> Check:
    from planner_app.cli.team import address_of, check_team, doubts, settle_team
    from planner_app.settings_keys import check_key_for

    settings = context.settings()
    team = settle_team(argparse.Namespace(), settings, context.env)
    check_team(team, settings)
    for role in ROLES:
        if address_of(team, role, settings) is None:
            check_key_for(team.models[role], context.env)
    said = "; ".join((team.why, *doubts(team, settings)))
    return Check("models", True, f"{said} (planner models --check asks them)")


def _network(context: Context) -> Check:
    if context.settings().net.policy == "off":
        return Check("network", True, "off by net.policy", needed=False)
    host, port = _NETWORK
    try:
        with socket.create_connection((host, port), timeout=_NETWORK_SECONDS):
            return Check("network", True, f"{host} answers", needed=False)
    except OSError as error:
        why = f"{host} cannot be reached ({error.strerror or error})"
        fix = "tasks that search or fetch will not get far; local models and files still work"
        return Check("network", False, why, fix, needed=False)


def _worker(context: Context) -> Check:
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
