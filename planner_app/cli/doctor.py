"""`planner doctor`: every part that the work needs, one line each, with the fix."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands


def register(commands: Commands) -> None:
    """Add `doctor`."""
    parser = commands.add(
        "doctor",
        "check python, settings, engine, image, history, models, network and worker: a line each,"
        " with what to do",
        ["planner doctor", "planner doctor --fix"],
        examine,
    )
    parser.add_argument("--fix", action="store_true", help="set up engine and image where possible")


def examine(args: argparse.Namespace, context: Context) -> int:
    """Check and print."""
    from planner_app.cli.checks import examine

    return examine(args, context)
