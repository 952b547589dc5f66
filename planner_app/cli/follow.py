"""`planner watch`: following a run that another process drives."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands, run_argument


def register(commands: Commands) -> None:
    """Add `watch`."""
    watch = commands.add(
        "watch",
        "follow a run live until it ends; Ctrl-C leaves it running",
        ["planner watch last", "planner watch r_4k --json"],
        watch_run,
    )
    run_argument(watch)


def watch_run(args: argparse.Namespace, context: Context) -> int:
    """Print progress until the run ends."""
    from planner_app.cli.watching import watch

    return watch(args, context)
