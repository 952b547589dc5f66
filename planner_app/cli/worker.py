"""`planner worker`: the background process that drives delegated runs."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands


def register(commands: Commands) -> None:
    """Add `worker start|stop|status|run`."""
    parser = commands.add(
        "worker",
        "the background worker",
        ["planner worker status", "planner worker run --max-runs 2"],
    )
    actions = Commands(parser, "action", required=True)
    actions.add("start", "start it if none runs", ["planner worker start"], start_worker)
    stop = actions.add(
        "stop",
        "stop it; its runs go on when one starts again",
        ["planner worker stop"],
        stop_worker,
    )
    stop.add_argument(
        "--wait", default="20s", metavar="TIME", help="how long to wait for it to end (20s)"
    )
    actions.add(
        "status", "which workers live and what they drive", ["planner worker status"], status
    )
    run = actions.add(
        "run",
        "stay in the foreground: as a service, or on a further machine",
        ["planner worker run", "planner worker run --max-runs 2 --idle-minutes 60"],
        run_here,
    )
    run.add_argument("--max-runs", metavar="N", help="runs driven at once")
    run.add_argument("--idle-minutes", metavar="N", help="ends after so long without work")


def start_worker(args: argparse.Namespace, context: Context) -> int:
    """Start a detached worker."""
    from planner_app.cli.workers import start

    return start(args, context)


def stop_worker(args: argparse.Namespace, context: Context) -> int:
    """Stop the workers of this history on this machine."""
    from planner_app.cli.workers import stop

    return stop(args, context)


def status(args: argparse.Namespace, context: Context) -> int:
    """Print the live workers."""
    from planner_app.cli.workers import show

    return show(args, context)


def run_here(args: argparse.Namespace, context: Context) -> int:
    """Drive runs in this process."""
    from planner_app.cli.workers import run

    return run(args, context)
