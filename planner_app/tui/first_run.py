"""What a person can do without a model, or without a history: shown where runs will be listed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from planner_app.domain.errors import PlannerError
from planner_app.domain.places import LOCAL_PORTS
from planner_app.domain.teams import PROVIDERS
from planner_app.tui.gateway import TeamLine
from planner_app.view.clean import clean
from planner_app.view.wrap import Line

_WIDTH = 74
"""Fits a terminal of 80 columns."""


def first_run_lines(team: TeamLine) -> Sequence[Line]:
    """Three ways to a model, and one without."""
    return tuple(_lines(team))


def failure_lines(error: PlannerError) -> Sequence[Line]:
    """Why nothing can be done here, and what to do about it."""
    said = [((line, "bad"),) for line in wrap(clean(error.message), _WIDTH)]
    hint = [((line, "text"),) for line in wrap(clean(error.hint), _WIDTH)]
    doctor = (("planner doctor", "step"), (" looks at every part. Then start again.", "dim"))
    return (*said, (("", "text"),), *hint, (("", "text"),), doctor)


def _lines(team: TeamLine) -> Iterator[Line]:
    first, *others = [provider.variable for provider in PROVIDERS]
    servers = ", ".join(f"{name} {port}" for name, port in LOCAL_PORTS.items())
    yield (("No model yet.", "title"),)
    for line in wrap(clean(team.missing), _WIDTH):
        yield ((line, "warn"),)
    yield (("", "text"),)
    yield from _way("1", "Start planner with a provider's key in its environment:")
    yield _typed(f"export {first}=...")
    for line in wrap(f"or {', '.join(others)}", _WIDTH - 3):
        yield (("   ", "dim"), (line, "dim"))
    yield _typed(f"keyring set planner {first}    (kept in the system keyring)")
    yield from _way("2", "Or start a model server here; it is found on its usual port:")
    yield (("   ", "dim"), (servers, "dim"))
    yield from _way("3", "Or name any model that litellm knows:")
    yield _typed("planner config set teams.default.planner PROVIDER/MODEL")
    yield (("", "text"),)
    yield (("planner models --check", "step"), (" asks each model a small thing.", "dim"))
    yield (("F2 ", "step"), ("plays a bundled example: no key, no network.", "dim"))


def _way(number: str, text: str) -> Iterator[Line]:
    yield ((f"{number}  ", "step"), (text, "text"))


def _typed(text: str) -> Line:
    return (("   ", "dim"), (text, "step"))
