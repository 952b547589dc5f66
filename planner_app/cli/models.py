"""`planner models`: which models would work, by which keys and servers, and whether they answer."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands


def register(commands: Commands) -> None:
    """Add `models`."""
    parser = commands.add(
        "models",
        "profiles, keys and local servers that are found",
        ["planner models", "planner models --check", "planner models ollama_chat/qwq --check"],
        show_models,
    )
    parser.add_argument("names", nargs="*", metavar="MODEL", help="these instead of the team's")
    parser.add_argument("--check", action="store_true", help="make a small call to each")
    parser.add_argument("--team", metavar="T", help="a team of the settings")


def show_models(args: argparse.Namespace, context: Context) -> int:
    """Print them."""
    from planner_app.cli.model_checks import show

    return show(args, context)
