"""Turns what a person typed and attached into a recorded task, or says in one line why not."""

from __future__ import annotations

import ast
import difflib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from planner_app.domain.catalogue import Attachment, BudgetLimits, RunAttached, RunCreated
from planner_app.domain.errors import BadInput
from planner_app.domain.events import MAX_DATA_BYTES, EventData, EventDraft
from planner_app.domain.ids import new_id
from planner_app.domain.summary import RunSummary
from planner_app.history import History, NewRun, NewTask
from planner_app.history.scrub import Scrubber
from planner_app.queue import attachments
from planner_app.queue.followup import Earlier, read_earlier
from planner_app.queue.leases import take
from planner_app.queue.port import Lease
from planner_app.queue.schemas import check_schema
from planner_app.settings import Settings
from planner_app.settings_limits import settle

MAX_TEXT = 100_000
_MAX_SMALL_FILE = 256 * 1024
_STORED_TOGETHER = 8 * 1024 * 1024
_ROLES = ("planner", "executor", "checker")
_HEAD = 2_000
_EVENT_BYTES = MAX_DATA_BYTES - 256


@dataclass(frozen=True, slots=True)
class Submission:
    """What a person asks for. None, or empty: as the settings say."""

    text: str
    files: tuple[Path, ...] = ()
    dirs: tuple[Path, ...] = ()
    team: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    """Role to model name, over the team's."""
    api_bases: Mapping[str, str] = field(default_factory=dict)
    """Model to the address of the local server that was found serving it."""
    approve: Literal["never", "outside", "plan", "actions"] | None = None
    net: str | None = None
    """None: the settings', else `open`, and `seen` when there are attachments."""
    budget: BudgetLimits | None = None
    schema: Path | None = None
    """A JSON Schema that the answer's data must fit."""
    tools: tuple[Path, ...] = ()
    """The person's own tool modules."""
    tags: tuple[str, ...] = ()
    sandbox: Literal["docker", "unsafe-host"] | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    """Limits of its sandboxes by name, over its team's and those of [sandbox]."""
    no_input: bool = False
    headless: bool = False
    example: str | None = None
    folder: Path | None = None
    """The working folder; None: unknown."""
    follow_up_of: str | None = None
    """Run whose task goes on."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The names under which the work goes on."""

    task_id: str
    run_id: str
    notes: tuple[str, ...] = ()
    """What a person should know, such as a renamed attachment; one line each."""
    lease: Lease | None = None
    """The right to drive the run, when it was claimed with its submission."""


@dataclass(slots=True)
class _Parts:
    """What is gathered for the first event."""

    blobs: dict[str, str] = field(default_factory=dict)
    attached: list[Attachment] = field(default_factory=list)
    tools: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def submit(
    history: History, wanted: Submission, settings: Settings, worker_id: str | None = None
) -> Submitted:
    """Records a task (or a further run of one), its run and its first event, safe on the disk.

    With `worker_id` that worker holds the run from its first moment: one that has other keys, or
    another network, can never take it. Raises BadInput for anything that a person can get wrong;
    then nothing was recorded that shows.
    """
    text = _checked_text(wanted.text)
    team, models = _team(wanted, settings)
    budget = _checked_budget(wanted.budget or settings.budget.limits())
    earlier = read_earlier(history, wanted.follow_up_of) if wanted.follow_up_of else None
    limits = {**(earlier.limits if earlier else {}), **wanted.limits}
    bounds = settle(settings.limits(team, limits))
    tags = tuple(_checked_tag(tag) for tag in wanted.tags)
    net = _net(wanted.net) if wanted.net is not None else None
    parts = _Parts()
    scrubbed = Scrubber.from_env(os.environ).text(text)
    if scrubbed != text:
        parts.notes.append("a key in the text was taken out before it was saved")
    _add_schema(history, wanted.schema, parts)
    _add_tools(history, wanted.tools, parts)
    _attach(history, wanted, settings, earlier, bounds, parts)
    parts.blobs["text"] = history.put_blob(scrubbed.encode())
    task_id = earlier.task_id if earlier else new_id("t")
    known_team = settings.teams.get(team)
    minutes = settings.approve.answer_minutes
    created = RunCreated(
        task_id=task_id,
        text=scrubbed[:_HEAD],
        team=team,
        models=models,
        api_bases=dict(wanted.api_bases),
        mode=known_team.mode if known_team else "team",
        max_parallel=known_team.max_parallel if known_team else 3,
        attachments=parts.attached,
        budget=budget,
        approve=wanted.approve or settings.approve.mode,
        answer_seconds=None if minutes is None else minutes * 60,
        net=net or (earlier.net if earlier else settings.net.policy_for(bool(parts.attached))),
        sandbox=wanted.sandbox or settings.sandbox.kind,
        limits=limits,
        tools=parts.tools,
        has_schema="schema" in parts.blobs,
        no_input=wanted.no_input,
        headless=wanted.headless,
        tags=list(tags),
        example=wanted.example,
        folder=_storable(str(wanted.folder)) if wanted.folder else None,
        parent_run_id=wanted.follow_up_of,
        background=earlier.background if earlier else "",
    )
    return _record(history, created, parts, worker_id)


def _record(
    history: History, created: RunCreated, parts: _Parts, worker_id: str | None
) -> Submitted:
    drafts = _drafts(created, parts.blobs)
    title = _title(created.text)
    run = NewRun(
        id=new_id("r"),
        task_id=created.task_id,
        summary=RunSummary(status="queued", phase="queued", title=title, example=created.example),
        team=created.team,
        folder=created.folder,
        parent_run_id=created.parent_run_id,
    )
    task = None
    if created.parent_run_id is None:
        task = NewTask(
            id=created.task_id,
            title=title,
            text_sha=parts.blobs["text"],
            tags=tuple(created.tags),
            example=created.example,
        )
    lease: Lease | None = None

    def claim(connection: Connection) -> None:
        nonlocal lease
        lease = None if worker_id is None else take(connection, run.id, worker_id)

    history.create_run(run, drafts, task=task, also=claim)
    return Submitted(created.task_id, run.id, tuple(parts.notes), lease)


def _drafts(created: RunCreated, blobs: dict[str, str]) -> list[EventDraft]:
    """The run's first event, and as many more as it takes to name all attachments."""
    head = _fitting(created.model_copy(update={"attachments": []}))
    groups: list[list[Attachment]] = [[]]
    room = _EVENT_BYTES - _bytes(head)
    for file in created.attachments:
        room -= _bytes(file)
        if room < 0:
            groups.append([])
            room = _EVENT_BYTES - _bytes(file)
        groups[-1].append(file)
    first = head.model_copy(update={"attachments": groups[0]})
    drafts = [first.draft(actor="user", blobs=blobs | _blobs(groups[0]))]
    for group in groups[1:]:
        more = RunAttached(attachments=group)
        drafts.append(more.draft(actor="user", blobs=_blobs(group)))
    return drafts


def _blobs(files: list[Attachment]) -> dict[str, str]:
    return {file.name: file.sha256 for file in files}


def _fitting(created: RunCreated) -> RunCreated:
    """The event within its 16 KiB: what an earlier run said gives way."""
    over = _bytes(created) - _EVENT_BYTES
    if over <= 0:
        return created
    said = created.background.encode()
    if len(said) <= over:
        raise BadInput("the tags, models and limits are more than a task can hold", "use fewer")
    shorter = said[: len(said) - over - 8].decode(errors="ignore") + "…"
    return _fitting(created.model_copy(update={"background": shorter}))


def _bytes(data: EventData) -> int:
    """How much of an event it takes, at most."""
    return len(json.dumps(data.model_dump(mode="json"), ensure_ascii=False).encode()) + 2


def _title(text: str) -> str:
    return next((line.strip()[:120] for line in text.splitlines() if line.strip()), "")


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _checked_text(text: str) -> str:
    if not text.strip():
        raise BadInput("the task is empty", 'say what to do, as in: planner run "TASK"')
    if len(text) > MAX_TEXT:
        raise BadInput(
            f"the task has {len(text):,} characters, over the limit of {MAX_TEXT:,}",
            "put it in a file and attach it with --file",
        )
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise BadInput("the task is not text", "attach a binary file with --file")
    return text


def _team(wanted: Submission, settings: Settings) -> tuple[str, dict[str, str]]:
    """The team's name and the models that are settled now; roles left open come from the keys."""
    name = wanted.team or settings.team
    team = settings.teams.get(name)
    if team is None and name != "default":
        known = sorted({*settings.teams, "default"})
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known teams: {', '.join(known)}"
        raise BadInput(f"there is no team {name[:40]!r}", hint)
    models = {role: getattr(team, role) for role in _ROLES if getattr(team, role, None)}
    for role, model in wanted.models.items():
        if role not in _ROLES:
            raise BadInput(f"there is no role {role[:40]!r}", f"roles: {', '.join(_ROLES)}")
        if not model.strip() or "\n" in model:
            raise BadInput(f"the model for {role} is empty", f"for example: --{role} NAME")
        models[role] = model.strip()
    return name, models


def _checked_budget(budget: BudgetLimits) -> BudgetLimits:
    for name, value in budget.model_dump().items():
        if value is not None and (not math.isfinite(value) or value < 0):
            raise BadInput(f"the budget for {name} is {value}", "use a number from 0 upwards")
    return budget


def _checked_tag(tag: str) -> str:
    tag = tag.strip()
    if not tag or len(tag) > 60 or not tag.isprintable():
        raise BadInput(f"the tag {tag[:60]!r} cannot be used", "use up to 60 plain characters")
    return tag


def _net(text: str) -> str:
    from pydantic import ValidationError

    from planner_app.settings import NetSettings

    try:
        return NetSettings(policy=text).policy or text
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput(f"--net {text[:60]!r} cannot be used", why) from error


def _attach(
    history: History,
    wanted: Submission,
    settings: Settings,
    earlier: Earlier | None,
    bounds: Mapping[str, float],
    parts: _Parts,
) -> None:
    """Stores the files; a follow-up has those of the earlier run too, and what it produced."""
    kept = earlier.attachments if earlier else ()
    parts.attached += kept
    # The names of the event's other blobs are not free for files.
    taken = {"text", "schema", *(file.name for file in kept)}
    listing = attachments.list_files(wanted.files, wanted.dirs, taken)
    parts.notes += listing.notes
    _check_room([f.bytes for f in kept] + [_size(f.path) for f in listing.files], bounds)
    caps = attachments.Caps(settings.attachments.max_file, settings.attachments.max_total)
    group: dict[str, bytes] = {}
    total = waiting = 0
    for found in listing.files:
        data = group[found.name] = attachments.read(found, caps, total)
        total += len(data)
        waiting += len(data)
        if waiting > _STORED_TOGETHER:
            parts.attached += _stored(history, group)
            group, waiting = {}, 0
    parts.attached += _stored(history, group)


def _stored(history: History, files: dict[str, bytes]) -> list[Attachment]:
    shas = history.put_blobs_now(list(files.values()))
    return [
        Attachment(name=name, sha256=sha, bytes=len(data))
        for (name, data), sha in zip(files.items(), shas, strict=True)
    ]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reading it says why
        return 0


def _check_room(sizes: Sequence[int], bounds: Mapping[str, float]) -> None:
    """Raises BadInput for files that a sandbox could not hold."""
    size, room = sum(sizes), int(bounds["workspace_bytes"])
    if size > room:
        raise BadInput(
            f"the files have {attachments.size_text(size)} in all, and a sandbox's workspace"
            f" {attachments.size_text(room)}",
            "attach fewer, or give it more: --limit workspace=1g --limit memory=2g",
        )
    if len(sizes) >= bounds["inodes"]:
        raise BadInput(
            f"{len(sizes):,} files are attached, and a sandbox may hold"
            f" {bounds['inodes']:,.0f} files and folders",
            "attach fewer, or allow more: --limit inodes=50000",
        )


def _small_text(path: Path, what: str) -> str:
    try:
        if path.is_dir() or (path.exists() and not path.is_file()):
            raise BadInput(f"{what} {path} is not a plain file")
        data = path.read_bytes() if path.stat().st_size <= _MAX_SMALL_FILE else None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise BadInput(f"{what} {path} cannot be read: {why}", "check its name") from error
    if data is None:
        raise BadInput(f"{what} {path} is over {attachments.size_text(_MAX_SMALL_FILE)}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{what} {path} is not UTF-8 text") from error


def _add_schema(history: History, path: Path | None, parts: _Parts) -> None:
    if path is None:
        return
    text = _small_text(path, "the schema")
    check_schema(str(path), text)
    parts.blobs["schema"] = history.put_blob(text.encode())


def _add_tools(history: History, paths: tuple[Path, ...], parts: _Parts) -> None:
    for path in paths:
        name = path.stem
        if path.suffix != ".py" or not name.isidentifier():
            raise BadInput(
                f"the tool {path} is no Python module", "its name must be like my_tool.py"
            )
        if name in parts.tools:
            raise BadInput(f"two tools are called {name}", "rename one of them")
        source = _small_text(path, "the tool")
        try:
            ast.parse(source, filename=path.name)
        except (SyntaxError, ValueError, RecursionError) as error:
            line = getattr(error, "lineno", None)
            at = f"line {line}: " if line else ""
            why = getattr(error, "msg", None) or str(error)
            raise BadInput(f"the tool {path} is not valid Python: {at}{why}") from error
        sha = history.put_blob(source.encode())
        parts.tools[name] = sha
        parts.blobs[f"tool:{name}"] = sha
