"""Steering a run: the commands from `planner cancel` to `planner budget`."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands, Parser, run_argument
from planner_app.cli.run import budget_flags


def register(commands: Commands) -> None:
    """Add the steering commands."""

    def add(name: str, text: str, *examples: str) -> Parser:
        parser = commands.add(name, text, examples, steer_run)
        run_argument(parser)
        return parser

    cancel = add("cancel", "end a run; its trace is kept", "planner cancel last")
    cancel.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")
    add("pause", "stop a run for now", "planner pause last")
    add("resume", "let a paused or left-over run go on", "planner resume last")
    interrupt = add(
        "interrupt", "stop the running action only; the task goes on", "planner interrupt last"
    )
    interrupt.add_argument("--step", metavar="ID", help="only this step's action")
    add("retry", "a new run of the same task", "planner retry last")
    steer = add("steer", "add a message to a run", 'planner steer last "Prefer primary sources."')
    steer.add_argument("text", metavar="TEXT", help="what the run should know")
    answer = add("answer", "answer a run's question", 'planner answer last "The 2024 edition."')
    answer.add_argument("text", metavar="TEXT", help="the answer")
    answer.add_argument(
        "--question", metavar="ID", help="which one; the oldest open one if left out"
    )
    approve = add(
        "approve",
        "allow what a run asks for",
        "planner approve last",
        "planner approve last --edit",
        "planner approve last --plan edited.json",
    )
    approve.add_argument(
        "--plan", metavar="FILE", help="your own edit of the proposed plan, as JSON"
    )
    approve.add_argument(
        "--edit", action="store_true", help="edit the proposed plan in $VISUAL or $EDITOR first"
    )
    approve.add_argument(
        "--for-run", action="store_true", help="allow the same for the rest of this run"
    )
    approve.add_argument(
        "--question", metavar="ID", help="which one; the oldest open one if left out"
    )
    reject = add(
        "reject", "refuse what a run asks for", 'planner reject last --reason "Too broad."'
    )
    reject.add_argument("--reason", required=True, metavar="TEXT", help="the planner reads it")
    reject.add_argument(
        "--for-run", action="store_true", help="refuse the same for the rest of this run"
    )
    reject.add_argument(
        "--question", metavar="ID", help="which one; the oldest open one if left out"
    )
    budget = add(
        "budget",
        "set what a run may spend, also while it goes on",
        "planner budget last --max-usd 5",
        "planner budget last --max-calls none",
    )
    budget_flags(budget)


def steer_run(args: argparse.Namespace, context: Context) -> int:
    """Send the command and say what became of it."""
    from planner_app.cli.steering import steer

    return steer(args, context)
