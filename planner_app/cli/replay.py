"""`planner replay`: playing a saved run."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands, run_argument


def register(commands: Commands) -> None:
    """Add `replay`."""
    replay = commands.add(
        "replay",
        "play a saved run in the player, or as text",
        ["planner replay last", "planner replay last --no-tui --speed 4"],
        replay_run,
    )
    run_argument(replay)
    replay.add_argument("--speed", metavar="N", help="times as fast as it was; 0: without waiting")
    replay.add_argument("--no-tui", action="store_true", help="print it as text")


def replay_run(args: argparse.Namespace, context: Context) -> int:
    """Play it."""
    from planner_app.cli.replaying import replay

    return replay(args, context)
