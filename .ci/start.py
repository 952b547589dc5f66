"""Open the program for `make run`: TASK headless, else the TUI, without a terminal the example.

TASK comes through the environment, so that no shell reads it. With no model configured the bundled
example takes its place, and a line says so.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

PLANNER = Path(__file__).resolve().parent.parent / ".venv" / "bin" / "planner"


def arguments() -> list[str]:
    """The program's arguments for this occasion."""
    task = os.environ.pop("TASK", "")
    if not task:
        on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        return [] if on_terminal else ["run", "--example"]
    missing = missing_model()
    if missing:
        print(f"{missing}\nso the bundled example runs instead of your task", file=sys.stderr)
        return ["run", "--example"]
    return ["run", "--", task]


def missing_model() -> str:
    """Why no model can take a task; empty when one can, or when the program should say it."""
    from planner_app.cli.context import Context
    from planner_app.cli.team import settle_team
    from planner_app.domain.errors import ModelMissing, PlannerError

    context = Context.of_process()
    try:
        settle_team(argparse.Namespace(), context.settings(), context.env)
    except ModelMissing as error:
        return str(error)
    except PlannerError:  # a fault in the settings: the program names it
        return ""
    return ""


if __name__ == "__main__":
    os.execv(PLANNER, [str(PLANNER), *arguments()])
