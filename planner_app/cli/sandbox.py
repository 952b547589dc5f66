"""`planner sandbox`: the image, code in a sandbox without a model, and leftovers."""

from __future__ import annotations

import argparse
from typing import Any

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands
from planner_app.cli.run import limit_flag

AFTER = """\
Variables and workspace files stay from action to action. An action that loses them says
state_lost; if the whole sandbox is gone, the next action runs in a new one, and says so.
Exit code: 0 when all went well, 1 when an action did not, 130 after Ctrl-C (which stops the
running action only, keeps its output, and runs no further one)."""


class InOrder(argparse.Action):
    """Gathers files and codes as (flag, text), in the order typed."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        typed = getattr(namespace, self.dest) or []
        setattr(namespace, self.dest, [*typed, (option_string or "", str(values))])


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
        "run each FILE and each -c CODE, in the order given, as one action of one session"
        " and print each observation",
        [
            "planner sandbox exec load.py plot.py --json",
            "planner sandbox exec hostile.py -c '1+1' --limit memory=256m --timeout 10s",
            "echo '1+1' | planner sandbox exec -",
        ],
        execute,
    )
    run.epilog = f"{AFTER}\n\n{run.epilog}"
    run.add_argument("files", nargs="*", metavar="FILE", help="Python files; `-` reads stdin")
    run.add_argument("--file", dest="actions", action=InOrder, help=argparse.SUPPRESS)
    run.word_flag = "--file"
    run.add_argument(
        "-c", dest="actions", metavar="CODE", action=InOrder, help="Python code (repeatable)"
    )
    run.add_argument("--sandbox", choices=("docker", "unsafe-host"), help="where code runs")
    run.add_argument("--team", metavar="T", help="with the limits of this team of the settings")
    limit_flag(run)
    run.add_argument("--timeout", metavar="TIME", help="the limit action_seconds, such as 90s")
    actions.add("clean", "remove left-over containers and images", ["planner sandbox clean"], clean)


def build(args: argparse.Namespace, context: Context) -> int:
    """Build the image."""
    from planner_app.cli.sandboxes import build_image

    return build_image(args, context)


def execute(args: argparse.Namespace, context: Context) -> int:
    """Run files as actions."""
    from planner_app.cli.executing import execute_actions

    return execute_actions(args, context)


def clean(args: argparse.Namespace, context: Context) -> int:
    """Collect leftovers."""
    from planner_app.cli.sandboxes import clean_up

    return clean_up(args, context)
