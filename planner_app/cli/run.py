"""`planner run` and `planner continue`: what a person wants done, as flags."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands, Parser, run_argument

APPROVE_MODES = ("never", "outside", "plan", "actions")
SANDBOXES = ("docker", "unsafe-host")
FIRST = "first"
"""What `--example` without a name stands for."""


def register(commands: Commands) -> None:
    """Add `run` and `continue`."""
    run = commands.add(
        "run",
        "run a task here and now: progress on stderr, the answer alone on stdout",
        [
            'planner run "Which of the three is cheapest per gram?" --file prices.csv',
            "planner run --example",
            'planner run "Compare ..." --background',
            "echo 'Summarise ...' | planner run - --json",
        ],
        run_task,
    )
    run.add_argument("task", nargs="?", metavar="TASK", help="what to do; `-` reads it from stdin")
    run.add_argument(
        "--example",
        nargs="?",
        const=FIRST,
        metavar="NAME",
        help="a bundled example: scripted model replies, everything else real",
    )
    run_flags(run)
    follow = commands.add(
        "continue",
        "a follow-up: a new run that knows an earlier one's facts, answer, sources and artifacts",
        ['planner continue last "And in euros?"'],
        continue_run,
    )
    run_argument(follow)
    follow.add_argument("task", metavar="TEXT", help="what to do now; `-` reads it from stdin")
    run_flags(follow)


def limit_flag(group: argparse._ActionsContainer) -> None:
    """`--limit`, which `run`, `continue` and `sandbox exec` share."""
    group.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what a sandbox may use, over the team's and [sandbox]'s (repeatable): memory=2g"
        " cpus=1.5 pids=256 tmp=64m workspace=1g inodes=50000 action_seconds=90s"
        " grace_seconds=2s output_bytes=1m tail_bytes=8k result_chars=20000",
    )


def budget_flags(group: argparse._ActionsContainer) -> None:
    """What a run may spend, which `run`, `continue` and `budget` share."""
    group.add_argument("--max-usd", metavar="N", help="US dollars, or none")
    group.add_argument("--max-tokens", metavar="N", help="tokens in all, or none")
    group.add_argument("--max-minutes", metavar="N", help="working time, or none")
    group.add_argument("--max-calls", metavar="N", help="model calls, or none")
    group.add_argument("--max-actions", metavar="N", help="code actions, or none")


def run_flags(parser: Parser) -> None:
    """The flags that `run` and `continue` share."""
    what = parser.add_argument_group("what it works on")
    what.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="F",
        help="attach (repeatable); at most 50 MB each and 200 MB in all, unless [attachments] says"
        " otherwise",
    )
    what.add_argument(
        "--dir",
        action="append",
        default=[],
        metavar="D",
        help="attach a folder with all below it (repeatable); at most 5,000 files in all",
    )
    what.add_argument(
        "--schema", metavar="FILE", help="a JSON Schema: the answer on stdout is JSON that fits it"
    )
    what.add_argument(
        "--tool", action="append", default=[], metavar="FILE", help="own tool module (repeatable)"
    )
    what.add_argument(
        "--tag", action="append", default=[], help="a word to find it by (repeatable)"
    )
    who = parser.add_argument_group("who works")
    who.add_argument("--team", metavar="T", help="a team of the settings")
    who.add_argument("--planner", metavar="M", help="model that plans")
    who.add_argument("--executor", metavar="M", help="model that writes code")
    who.add_argument("--checker", metavar="M", help="model that checks the answer")
    bounds = parser.add_argument_group("what it may do")
    bounds.add_argument(
        "--approve",
        choices=APPROVE_MODES,
        help="when to ask you: outside, before new hosts and effects outside (the default); plan or"
        " actions, before the plan or each action too; never, where leave counts as refused",
    )
    bounds.add_argument("--net", metavar="open|seen|off|HOSTS", help="where tools may go")
    bounds.add_argument("--sandbox", choices=SANDBOXES, help="where code runs")
    limit_flag(bounds)
    budget_flags(bounds)
    how = parser.add_argument_group("how it runs")
    how.add_argument(
        "--background", action="store_true", help="hand it to the worker and print the task id"
    )
    how.add_argument("--no-input", action="store_true", help="questions take their defaults")
    how.add_argument("--out", metavar="DIR", help="copy the artifacts there")


def run_task(args: argparse.Namespace, context: Context) -> int:
    """Delegate a task, or a bundled example."""
    from planner_app.cli.delegate import delegate

    return delegate(args, context, follow_up_of=None)


def continue_run(args: argparse.Namespace, context: Context) -> int:
    """Delegate a follow-up of an earlier run."""
    from planner_app.cli.delegate import delegate

    args.example = None
    return delegate(args, context, follow_up_of=args.run)
