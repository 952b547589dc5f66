"""Turns the flags of `run` and `continue` into a submitted task, and sees that it is worked on.

Everything that a person can get wrong, and every part that is missing, is said before anything is
recorded: nothing is delegated that could not run.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, can_ask, emit, say
from planner_app.cli.preconditions import (
    SCRIPTED,
    check_files,
    check_first_call,
    check_keys,
    check_names,
    check_price,
    check_sandbox,
    check_scripts,
    checked_limits,
)
from planner_app.cli.reading import copy_artifacts, make_folder, open_run
from planner_app.cli.run import FIRST
from planner_app.cli.team import address_of, settle_team
from planner_app.domain.errors import BadInput, EngineMissing, ImageMissing
from planner_app.domain.teams import ROLES
from planner_app.settings_keys import needs_of

if TYPE_CHECKING:
    from planner_app.examples.library import Example
    from planner_app.queue import Membership, Queue, Submission, Submitted
    from planner_app.settings import Flag, SandboxKind, Settings

MAX_STDIN_BYTES = 4_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What is about to be submitted, and under which settings it runs here."""

    submission: Submission
    settings: Settings
    needs: Sequence[tuple[str, ...]] = ()
    """The variables in which each key that it needs may be."""
    team: str = ""
    """Who works and why, as people are told; empty: an example says it."""


def delegate(args: argparse.Namespace, context: Context, follow_up_of: str | None) -> int:
    """Submit the task and drive it here, or hand it to the worker."""
    from planner_app.queue import Queue

    if follow_up_of is not None:
        with open_run(context, follow_up_of) as (_, run_id):
            follow_up_of = run_id
    wanted = prepare(args, context)
    submission = dataclasses.replace(wanted.submission, follow_up_of=follow_up_of)
    with context.history() as history:
        queue = Queue(history)
        if args.background:
            _make_way(queue, wanted.needs, context)
        member = None if args.background else queue.join("run")
        try:
            submitted = queue.submit(
                submission, wanted.settings, worker_id=member.worker_id if member else None
            )
            if wanted.team and not args.json:
                say(f"team: {wanted.team}")
            for note in submitted.notes:
                say(f"note: {note}")
            if member is None:
                return _hand_over(args, context, queue, submitted)
            return _run_here(args, context, queue, member, submitted, wanted.settings)
        finally:
            if member is not None:
                member.leave()


def prepare(args: argparse.Namespace, context: Context) -> Wanted:
    """Check flags, team, keys, prices and engine. Raises what the first missing thing raises."""
    flags = setting_flags(args)
    settings = context.settings(flags)
    limits = checked_limits(args, settings)
    if args.out:
        make_folder(Path(args.out))
    if args.example is not None:
        return _prepare_example(args, context, settings)
    text = _task_text(args.task)
    check_files(args, settings)
    team = settle_team(args, settings, context.env)
    check_scripts(team, context)
    check_names(team, settings)
    check_keys(team, settings, context)
    check_price(args, team, settings)
    check_first_call(team, settings, text)
    check_sandbox(settings, limits)
    submission = _submission(args, context, settings, text, team.models)
    asked = [team.models[role] for role in ROLES if address_of(team, role, settings) is None]
    needs = needs_of(asked, context.env)
    submission = dataclasses.replace(submission, api_bases=team.api_bases)
    return Wanted(submission, settings, needs, team.why)


def setting_flags(args: argparse.Namespace) -> list[Flag]:
    """The flags that stand for settings."""
    from planner_app.settings import Flag

    return [
        *budget_settings(args),
        Flag("--approve", "approve.mode", args.approve),
        Flag("--net", "net.policy", args.net),
        Flag("--sandbox", "sandbox.kind", args.sandbox),
    ]


def budget_settings(args: argparse.Namespace) -> list[Flag]:
    """The flags of a budget as settings."""
    from planner_app.settings import Flag

    return [
        Flag("--max-usd", "budget.usd", args.max_usd),
        Flag("--max-tokens", "budget.tokens", args.max_tokens),
        Flag("--max-minutes", "budget.minutes", args.max_minutes),
        Flag("--max-calls", "budget.calls", args.max_calls),
        Flag("--max-actions", "budget.actions", args.max_actions),
    ]


def retry(args: argparse.Namespace, context: Context) -> int:
    """A new run of the same task, with the same team and files, for the worker."""
    from planner_app.domain.catalogue import RunAttached, RunCreated
    from planner_app.domain.ids import new_id
    from planner_app.domain.summary import RunSummary
    from planner_app.history import NewRun
    from planner_app.queue import Queue, Submitted

    with open_run(context, args.run) as (history, run_id):
        row = history.run(run_id)
        if not row.ended:
            raise BadInput(
                f"run {run_id} has not ended ({row.summary.status})",
                f"end it first: planner cancel {run_id}",
            )
        (first,) = history.events(run_id, limit=1)
        created = RunCreated.model_validate(first.data)
        again = created.model_copy(update={"parent_run_id": run_id, "parent_seq": None})
        new = NewRun(
            id=new_id("r"),
            task_id=row.task_id,
            summary=RunSummary(
                status="queued",
                phase="queued",
                title=row.summary.title,
                example=row.summary.example,
            ),
            team=row.team,
            folder=str(context.cwd),
            parent_run_id=run_id,
        )
        queue = Queue(history)
        if created.example is None:
            asked = [m for m in created.models.values() if m not in created.api_bases]
            api_base = context.settings().models.api_base
            needs = needs_of([m for m in asked if api_base(m) is None], context.env)
            _make_way(queue, needs, context)
        drafts = [again.draft(actor="user", blobs=first.blobs)]
        drafts += [
            RunAttached.model_validate(event.data).draft(actor="user", blobs=event.blobs)
            for event in history.events(run_id, after=1)
            if event.type == "run.attached"
        ]
        history.create_run(new, drafts)
        return _hand_over(args, context, queue, Submitted(row.task_id, new.id))


# --- what is wanted ---


def _prepare_example(args: argparse.Namespace, context: Context, settings: Settings) -> Wanted:
    from planner_app.examples.library import NOTICE, load_example

    if args.task is not None:
        raise BadInput("an example brings its own task", "leave TASK out, or --example")
    example = load_example(None if args.example == FIRST else args.example)
    kind = _sandbox_for_example(args, example, settings)
    if kind != settings.sandbox.kind:
        from planner_app.settings import Flag

        settings = context.settings([*setting_flags(args), Flag("no engine", "sandbox.kind", kind)])
    say(f"example {example.name}: {NOTICE}")
    submission = _submission(args, context, settings, example.task, example.models, example)
    return Wanted(submission, settings)


def _sandbox_for_example(
    args: argparse.Namespace, example: Example, settings: Settings
) -> SandboxKind:
    """Our own code may run in a local process where no container can be had; never unsaid.

    Raises EngineMissing or ImageMissing when a container was asked for by name, or when the
    example needs packages that only the image has.
    """
    if settings.sandbox.kind != "docker":
        return settings.sandbox.kind
    try:
        check_sandbox(settings, checked_limits(args, settings))
    except (EngineMissing, ImageMissing) as error:
        if args.sandbox == "docker":
            raise
        if example.needs_packages:
            why = f"{error.message}, and the example {example.name} needs the image's packages"
            raise type(error)(why, error.hint) from error
        say(f"{error.message}: the example's own code runs in a local process, not isolated")
        return "unsafe-host"
    return "docker"


def _submission(
    args: argparse.Namespace,
    context: Context,
    settings: Settings,
    text: str,
    models: dict[str, str],
    example: Example | None = None,
) -> Submission:
    from planner_app.queue import Submission
    from planner_app.settings_limits import read_limit_flags

    files = tuple(Path(name) for name in args.file)
    return Submission(
        text=text,
        files=files if example is None else (*example.files, *files),
        dirs=tuple(Path(name) for name in args.dir),
        team=args.team,
        models={role: _lasting(model, context.cwd) for role, model in models.items()},
        approve=settings.approve.mode,
        net=settings.net.policy,
        budget=settings.budget.limits(),
        schema=Path(args.schema) if args.schema else None,
        tools=tuple(Path(name) for name in args.tool),
        tags=tuple(args.tag),
        sandbox=settings.sandbox.kind,
        limits=read_limit_flags(args.limit),
        no_input=args.no_input,
        headless=not args.background and not can_ask(stdin_taken=args.task == "-"),
        example=example.name if example else None,
        folder=context.cwd,
    )


def _lasting(model: str, cwd: Path) -> str:
    """A script is named by its whole path: the worker has another working folder."""
    path = model.removeprefix(SCRIPTED)
    if path == model or Path(path).is_absolute() or not (cwd / path).exists():
        return model
    return f"{SCRIPTED}{cwd / path}"


def _task_text(task: str | None) -> str:
    """The task as typed, or all of stdin. What else can be wrong with it, submitting says."""
    if task is None:
        raise BadInput("there is no task", 'planner run "TASK", or planner run --example')
    if task != "-":
        return _not_empty(task)
    if sys.stdin is None or sys.stdin.isatty():
        raise BadInput("`-` reads the task from stdin, which is a terminal", "pipe it in")
    data = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    if len(data) > MAX_STDIN_BYTES:
        raise BadInput("the task on stdin is over 4 MB", "attach it with --file")
    try:
        return _not_empty(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadInput("the task on stdin is not UTF-8 text", "attach it with --file") from None


def _not_empty(text: str) -> str:
    if not text.strip():
        raise BadInput("the task is empty", 'say what to do: planner run "TASK"')
    from planner_app.queue.submission import MAX_TEXT

    if len(text) > MAX_TEXT:
        raise BadInput(
            f"the task has {len(text):,} characters, over the limit of {MAX_TEXT:,}",
            "put it in a file and attach it with --file",
        )
    return text


# --- getting it done ---


def _make_way(queue: Queue, needs: Sequence[tuple[str, ...]], context: Context) -> None:
    """A worker takes the task only with the keys that its models need. Raises Missing."""
    from planner_app.queue import make_way

    if said := make_way(queue, needs, context.env):
        say(said)


def _hand_over(
    args: argparse.Namespace, context: Context, queue: Queue, submitted: Submitted
) -> int:
    from planner_app.queue import ensure_worker

    ensure_worker(queue, context.paths(), context.env)
    if args.json:
        emit({"task_id": submitted.task_id, "run_id": submitted.run_id})
    else:
        again = getattr(args, "command", "") == "retry"
        print(submitted.run_id if again else submitted.task_id)
        say(f"follow it with: planner watch {submitted.run_id}")
    return 0


def _run_here(
    args: argparse.Namespace,
    context: Context,
    queue: Queue,
    member: Membership,
    submitted: Submitted,
    settings: Settings,
) -> int:
    from planner_app.cli.driving import Manner, drive_here

    manner = Manner(
        as_json=args.json, ask=can_ask(stdin_taken=args.task == "-") and not args.no_input
    )
    if not args.json:
        say(f"run {submitted.run_id}")
    history = queue.history
    outcome, code = drive_here(history, queue, member, submitted, settings, manner, context)
    if args.out and outcome.ended:
        for path in copy_artifacts(history, submitted.run_id, Path(args.out)).values():
            say(f"wrote {path}")
    return code
