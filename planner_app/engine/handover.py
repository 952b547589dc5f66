"""What an attempt leaves to those after it: variables, its workspace, and artifacts.

Workspaces and pickled variables are kept in pieces of 256 KiB, so that 100 MB never stand in the
host's memory at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from planner_app.broker.session_tools import MAX_ARTIFACT_BYTES
from planner_app.domain.catalogue import Attachment
from planner_app.domain.errors import PlannerError
from planner_app.domain.events import EventDraft
from planner_app.domain.state import RunState
from planner_app.engine.run_log import RunLog
from planner_app.engine.tool_calls import artifact_draft
from planner_app.sandbox.session import BindFailed, Exported, FileInfo, Session, SessionClosed

MAX_VALUE_BYTES = 256 * 1024 * 1024
MAX_WORKSPACE_BYTES = 512 * 1024 * 1024
MAX_LEFT_FILES = 20
"""Files that become artifacts without being named."""
MAX_LEFT_BYTES = 10 * 1024 * 1024
PREVIEW_CHARS = 400
_PIECE = 256 * 1024
_SAME_SECONDS = 0.001
"""By how much a file's time may differ after its way through an archive."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A kept workspace."""

    pieces: tuple[str, ...]
    """sha256 of the parts of its tar, in order."""
    files: dict[str, tuple[int, float | None]]
    """Name to size and time of change (Unix time; None: not known)."""

    def to_json(self) -> bytes:
        """As it is stored."""
        return json.dumps({"pieces": self.pieces, "files": self.files}).encode()

    @classmethod
    def read(cls, log: RunLog, sha: str) -> Workspace:
        """From its blob. Raises NotFound."""
        data = json.loads(log.read(sha))
        files = {
            name: (known, None) if isinstance(known, int) else (known[0], known[1])
            for name, known in data["files"].items()  # earlier versions kept the size alone
        }
        return cls(tuple(data["pieces"]), files)


async def keep_values(
    log: RunLog, session: Session, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """How each variable is recorded, and the blobs with their bytes."""
    values: dict[str, Any] = {}
    blobs: dict[str, str] = {}
    for name, value in (await session.export(names)).items() if names else ():
        try:
            entry, sha = await _kept(log, session, name, value)
        except BindFailed as error:
            entry, sha = _not_kept(error.message), None
        values[name] = entry
        if sha is not None:
            blobs[f"value:{name}"] = sha
    return values, blobs


async def _kept(
    log: RunLog, session: Session, name: str, value: Exported
) -> tuple[dict[str, Any], str | None]:
    if value.kind == "json":
        data = json.dumps(value.value).encode()  # ASCII holds halves of surrogate pairs, too
        text = json.dumps(value.value, ensure_ascii=False)
        preview = text[:PREVIEW_CHARS].encode("utf-8", "replace").decode()
        size, sha = len(data), (await log.put(data))[0]
    elif value.kind == "pickle":
        pieces, size = await _put_pieces(log, session.export_pickle(name, MAX_VALUE_BYTES))
        preview = value.summary[:PREVIEW_CHARS]
        sha = (await log.put(json.dumps({"pieces": pieces}).encode()))[0]
    else:
        return _not_kept(value.error or "there is no such variable"), None
    entry = {"kind": value.kind, "preview": preview, "bytes": size, "type": value.type_name[:100]}
    return entry, sha


def _not_kept(why: str) -> dict[str, Any]:
    return {"kind": "failed", "preview": f"not handed on: {why[:200]}", "bytes": 0}


async def give_values(
    log: RunLog, session: Session, values: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], dict[str, str]]:
    """Bind recorded variables again; the names of those that are there, and why others are not."""
    bound, failed = [], {}
    for name, value in values.items():
        sha = value.get("sha")
        if sha is None:
            continue
        data = json.loads(log.read(sha))
        try:
            if value["kind"] == "json":
                await session.bind({name: data})
            else:
                await session.import_pickle(name, _get_pieces(log, data["pieces"]))
        except BindFailed as error:
            failed[name] = error.message
        else:
            bound.append(name)
    return bound, failed


async def keep_artifacts(
    log: RunLog, session: Session, names: Sequence[str], step_id: str
) -> tuple[list[EventDraft], dict[str, str]]:
    """The named files as artifacts, unless just those bytes are kept already, and why others are
    not."""
    drafts, failed = [], {}
    for name in names:
        try:
            data = await session.read_file(name, MAX_ARTIFACT_BYTES)
        except SessionClosed:
            raise
        except (PlannerError, OSError) as error:
            failed[name] = str(error)
            continue
        kept = log.state.artifacts.get(name)
        if kept is not None and kept.sha256 == hashlib.sha256(data).hexdigest():
            continue
        drafts.append(await artifact_draft(log, name, "", data, step_id))
    return drafts, failed


def left_files(
    log: RunLog, files: Sequence[FileInfo], step_id: str, named: Sequence[str]
) -> tuple[list[str], str]:
    """Files that the attempt made or changed and did not name, which become artifacts too; and
    what is to be said of those that do not."""
    made = [
        file
        for file in _made(log, files, step_id)
        if file.name not in named
        and file.bytes > 0
        and not any(part.startswith((".", "__")) for part in file.name.split("/"))
    ]
    small = [file.name for file in made if file.bytes <= MAX_LEFT_BYTES]
    large = [f"{f.name} ({f.bytes / 1e6:.0f} MB)" for f in made if f.bytes > MAX_LEFT_BYTES]
    whys = []
    if large:
        whys.append(f"over {MAX_LEFT_BYTES / 1e6:.0f} MB: {', '.join(large[:5])}")
    if len(small) > MAX_LEFT_FILES:
        whys.append(f"{len(small) - MAX_LEFT_FILES} files beyond the first {MAX_LEFT_FILES}")
    note = f"files that no report names are not all kept as artifacts: {'; '.join(whys)}"
    return small[:MAX_LEFT_FILES], note[:500] if whys else ""


def _made(log: RunLog, files: Sequence[FileInfo], step_id: str) -> list[FileInfo]:
    """Those that are not as they were given: new ones, and changed ones."""
    at = given_at(log)
    given: dict[str, tuple[int, float | None]] = {
        file.name: (file.bytes, at) for file in given_files(log, step_id)
    }
    for sha in earlier_workspaces(log.state, step_id):
        for name, held in Workspace.read(log, sha).files.items():
            given[name] = max(held, given.get(name, held), key=lambda known: known[1] or 0.0)
    made = []
    for file in files:
        size, changed = given.get(file.name, (None, None))
        moved = changed is not None and abs(file.mtime.timestamp() - changed) > _SAME_SECONDS
        if file.bytes != size or moved:
            made.append(file)
    return made


def given_at(log: RunLog) -> int:
    """The time that given files bear (Unix time): before whatever a step changes."""
    return int(log.state.created_at.timestamp())


def given_files(log: RunLog, step_id: str) -> list[Attachment]:
    """What a step has beside the workspaces of those before it: the task's files, and artifacts
    of those that their workspaces do not hold."""
    state = log.state
    held: set[str] = set()
    for sha in earlier_workspaces(state, step_id):
        held |= Workspace.read(log, sha).files.keys()
    kept = [
        Attachment(name=artifact.name, sha256=artifact.sha256, bytes=artifact.bytes)
        for artifact in state.artifacts.values()
        if artifact.step_id in state.steps[step_id].step.deps and artifact.name not in held
    ]
    return [*state.attachments, *kept]


def earlier_workspaces(state: RunState, step_id: str) -> list[str]:
    """The blobs of the workspaces that a step goes on from, in the order of its dependencies; of
    one that left none, those that it had itself."""
    found, seen = [], set()
    waiting = [*state.steps[step_id].step.deps]
    while waiting:
        dep = state.steps[waiting.pop(0)]
        if dep.workspace is None:
            waiting = [d for d in dep.step.deps if d not in seen] + waiting
        elif dep.workspace not in found:
            found.append(dep.workspace)
        seen.add(dep.step.id)
    return found


async def keep_workspace(
    log: RunLog, session: Session, files: Sequence[FileInfo], step_id: str
) -> tuple[str | None, str]:
    """The workspace's blob, and why there is none. Attachments alone are given anew anyway."""
    attached = {a.name for a in log.state.attachments}
    if all(file.name in attached for file in files) and not _made(log, files, step_id):
        return None, ""
    size = sum(file.bytes for file in files)
    if size > MAX_WORKSPACE_BYTES:
        most = MAX_WORKSPACE_BYTES // 2**20
        return None, f"the workspace is not handed on: {size / 2**20:.0f} MiB, {most} at most"
    pieces, _ = await _put_pieces(log, session.export_workspace())
    kept = Workspace(tuple(pieces), {f.name: (f.bytes, f.mtime.timestamp()) for f in files})
    return (await log.put(kept.to_json()))[0], ""


async def give_workspace(log: RunLog, session: Session, sha: str) -> tuple[str, ...]:
    """Unpack a kept workspace into a session's own; names of files whose place is taken."""
    return await session.import_workspace(_get_pieces(log, Workspace.read(log, sha).pieces))


async def _put_pieces(log: RunLog, chunks: AsyncIterator[bytes]) -> tuple[list[str], int]:
    """Store a stream; the sha256 of its pieces in order, and how many bytes it had."""
    pieces: list[str] = []
    size = 0
    buffer = bytearray()
    async with aclosing(chunks) as source:  # type: ignore[type-var]
        async for chunk in source:
            size += len(chunk)
            buffer += chunk
            while len(buffer) >= _PIECE:
                pieces += await log.put(bytes(buffer[:_PIECE]))
                del buffer[:_PIECE]
    pieces += await log.put(bytes(buffer))
    return pieces, size


async def _get_pieces(log: RunLog, pieces: Sequence[str]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield (await log.history.load_blobs([piece]))[piece]
