"""`planner` without a command: the screen."""

from __future__ import annotations

import argparse
import sys

from planner_app.cli.context import Context
from planner_app.domain.errors import BadInput


def open_screen(_args: argparse.Namespace, context: Context) -> int:
    """Open the TUI. BadInput without a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadInput("the screen needs a terminal", 'without one: planner run "..."')
    from planner_app.tui.app import run_tui

    return run_tui(context.settings())
