"""`planner tasks|find|artifacts|show`: reading what has been done."""

from __future__ import annotations

import argparse
import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, columns, emit, one_line, say
from planner_app.cli.parser import Commands, run_argument
from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from planner_app.domain.state import RunState

STATUSES = (
    "queued", "planning", "executing", "reviewing", "answering", "checking", "waiting_user",
    "paused", "done", "partial", "failed", "cancelled",
)  # fmt: skip


def register(commands: Commands) -> None:
    """Add the reading commands."""
    tasks = commands.add(
        "tasks",
        "tasks and runs with status, age and cost",
        ["planner tasks", "planner tasks --status failed --tag work"],
        list_tasks,
    )
    tasks.add_argument("--status", choices=STATUSES, help="only runs with this status")
    tasks.add_argument("--tag", help="only tasks with this tag")
    tasks.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (50)")
    find = commands.add(
        "find", "full-text search in all runs", ['planner find "battery life"'], find_words
    )
    find.add_argument("words", nargs="+", metavar="WORDS", help="what to look for")
    find.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (20)")
    artifacts = commands.add(
        "artifacts",
        "list or copy out what a run produced",
        ["planner artifacts last", "planner artifacts last -o results/"],
        list_artifacts,
    )
    run_argument(artifacts)
    artifacts.add_argument("-o", "--out", metavar="DIR", help="copy them into this folder")
    show = commands.add(
        "show",
        "plan, steps, answer with sources, cost and timings of a run",
        ["planner show last", "planner show last --events", "planner show r_4k --json"],
        show_run,
    )
    run_argument(show)
    show.add_argument("--events", action="store_true", help="all its events, a line each")


def list_tasks(args: argparse.Namespace, context: Context) -> int:
    """Print the runs, those that need you first."""
    from planner_app.cli.reading import open_or_none, run_json

    if args.limit < 1:
        raise BadInput("--limit must be 1 or more")
    history = open_or_none(context)
    rows = []
    if history is not None:
        with history:
            status = [args.status] if args.status else []
            rows = history.runs(status=status, tag=args.tag, limit=args.limit)
    if args.json:
        emit({"runs": [run_json(row) for row in rows]})
        return 0
    if not rows:
        say("no tasks" if args.status or args.tag else 'no tasks yet: planner run "..."')
        return 0
    from planner_app.view.inbox import row_of
    from planner_app.view.text import task_rows

    shown = [row_of(r.run_id, r.task_id, r.created_at, r.summary, r.tags) for r in rows]
    for line in task_rows(shown, datetime.now(UTC), columns()):
        print(line)
    return 0


def find_words(args: argparse.Namespace, context: Context) -> int:
    """Print where the words stand."""
    from planner_app.cli.reading import open_or_none
    from planner_app.view.text import found_line

    words = " ".join(args.words)
    if not any(c.isalnum() for c in words):
        raise BadInput("there is no word to look for", "planner find battery")
    history = open_or_none(context)
    hits = []
    if history is not None:
        with history:
            hits = history.search(words, limit=max(1, args.limit))
    if args.json:
        emit({"hits": [dataclasses.asdict(hit) for hit in hits]})
        return 0
    if not hits:
        say("nothing found")
        return 0
    for hit in hits:
        print(found_line(hit.run_id, f"{hit.kind}: {hit.run_title}", hit.snippet, columns()))
    return 0


def list_artifacts(args: argparse.Namespace, context: Context) -> int:
    """Print or copy out a run's artifacts."""
    from planner_app.cli.reading import copy_artifacts, open_run
    from planner_app.view import figures

    with open_run(context, args.run) as (history, run_id):
        rows = history.artifacts(run_id)
        copied = copy_artifacts(history, run_id, Path(args.out)) if args.out else {}
    if args.json:
        emit(
            {
                "run_id": run_id,
                "artifacts": [
                    {
                        "name": row.name,
                        "title": row.title,
                        "mime": row.mime,
                        "bytes": row.bytes,
                        "sha256": row.sha256,
                        "path": str(copied[row.name]) if row.name in copied else None,
                    }
                    for row in rows
                ],
            }
        )
        return 0
    if not rows:
        say(f"{run_id} produced no artifacts")
    for row in rows:
        name = one_line(row.name)
        where = f"  -> {copied[row.name]}" if row.name in copied else ""
        print(f"{name:<30} {figures.size(row.bytes):>8}  {one_line(row.title)}{where}".rstrip())
    return 0


def show_run(args: argparse.Namespace, context: Context) -> int:
    """Print a run, folded, or its events."""
    from planner_app.cli.reading import open_run

    with open_run(context, args.run) as (history, run_id):
        events = history.events(run_id)
        if args.events:
            from planner_app.view.text import event_line

            for event in events:
                print(event.to_json() if args.json else event_line(event, columns()))
            return 0
        from planner_app.domain.fold import fold

        state = fold(events)
        if args.json:
            emit(state.model_dump(mode="json"))
            return 0
        from planner_app.cli.asking import how_to_reply
        from planner_app.view.reducer import view_of
        from planner_app.view.text import show_lines

        view = view_of(events)
        now = None if view.ended else datetime.now(UTC)
        for line in (*show_lines(view, history.get_blob, now, columns()), *cost_lines(state)):
            print(line)
        for question in () if view.ended else view.questions:
            say(f"reply with: {how_to_reply(question.kind, run_id)}")
    return 0


def cost_lines(state: RunState) -> list[str]:
    """What the run cost, and each role, model and step of it; nothing where nothing was paid."""
    from planner_app.view import figures

    spent = state.spent
    if not spent.usd and not spent.unpriced_calls:
        return []
    lines = ["", f"Cost: {figures.cost(spent.usd, spent.unpriced_calls)}"]
    for name, costs, tokens, unpriced in (
        ("by role", spent.by_role, spent.tokens_by_role, spent.unpriced_by_role),
        ("by model", spent.by_model, spent.tokens_by_model, spent.unpriced_by_model),
        ("by step", spent.by_step, spent.tokens_by_step, spent.unpriced_by_step),
    ):
        paid = [
            f"{one_line(who)} {figures.cost(usd, unpriced.get(who, 0))}"
            f" ({figures.count(tokens.get(who, 0))} tok)"
            for who, usd in costs.items()
            if usd or unpriced.get(who)
        ]
        if paid:
            lines.append(f"  {name:<9} {'; '.join(paid)}")
    return lines
