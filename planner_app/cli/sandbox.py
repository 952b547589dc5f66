"""`planner sandbox`: the image, code in a sandbox without a model, and leftovers."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands


def register(commands: Commands) -> None:
    """Add `sandbox build|exec|clean`."""
    parser = commands.add(
        "sandbox",
        "build the image, run code in a sandbox, collect leftovers",
        ["planner sandbox build", "planner sandbox exec one.py two.py"],
    )
    actions = Commands(parser, "action", required=True)
    actions.add(
        "build",
        "build the sandbox image if it is not there or out of date",
        ["planner sandbox build"],
        build,
    )
    run = actions.add(
        "exec",
        "run each file as one action of one session and print each observation",
        ["planner sandbox exec load.py plot.py --json", "echo '1+1' | planner sandbox exec -"],
        execute,
    )
    run.add_argument("files", nargs="+", metavar="FILE", help="Python files; `-` reads stdin")
    run.add_argument("--sandbox", choices=("docker", "unsafe-host"), help="where code runs")
    run.add_argument("--timeout", metavar="TIME", help="run time of each action, such as 90s")
    actions.add("clean", "remove left-over containers and images", ["planner sandbox clean"], clean)


def build(args: argparse.Namespace, context: Context) -> int:
    """Build the image."""
    from planner_app.cli.sandboxes import build_image

    return build_image(args, context)


def execute(args: argparse.Namespace, context: Context) -> int:
    """Run files as actions."""
    from planner_app.cli.sandboxes import execute_files

    return execute_files(args, context)


def clean(args: argparse.Namespace, context: Context) -> int:
    """Collect leftovers."""
    from planner_app.cli.sandboxes import clean_up

    return clean_up(args, context)
