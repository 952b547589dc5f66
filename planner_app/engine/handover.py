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
from planner_app.domain.errors import PlannerError
from planner_app.domain.events import EventDraft
from planner_app.domain.state import RunState
from planner_app.engine.run_log import RunLog
from planner_app.engine.tool_calls import artifact_draft
from planner_app.sandbox.session import BindFailed, Exported, FileInfo, Session

MAX_VALUE_BYTES = 256 * 1024 * 1024
MAX_WORKSPACE_BYTES = 512 * 1024 * 1024
MAX_LEFT_FILES = 20
"""Files that become artifacts without being named."""
MAX_LEFT_BYTES = 10 * 1024 * 1024
PREVIEW_CHARS = 400
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Workspace:
    """A kept workspace."""

    pieces: tuple[str, ...]
    """sha256 of the parts of its tar, in order."""
    files: dict[str, int]
    """Name to size."""

    def to_json(self) -> bytes:
        """As it is stored."""
        return json.dumps({"pieces": self.pieces, "files": self.files}).encode()

    @classmethod
    def read(cls, log: RunLog, sha: str) -> Workspace:
        """From its blob. Raises NotFound."""
        data = json.loads(log.read(sha))
        return cls(tuple(data["pieces"]), data["files"])


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
        data = json.dumps(value.value, ensure_ascii=False).encode("utf-8", "replace")
        preview = data[: 4 * PREVIEW_CHARS].decode("utf-8", "ignore")[:PREVIEW_CHARS]
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
) -> list[str]:
    """Bind recorded variables again; the names of those that were kept. Raises BindFailed."""
    bound = []
    for name, value in values.items():
        sha = value.get("sha")
        if sha is None:
            continue
        bound.append(name)
        data = json.loads(log.read(sha))
        if value["kind"] == "json":
            await session.bind({name: data})
        else:
            await session.import_pickle(name, _get_pieces(log, data["pieces"]))
    return bound


async def keep_artifacts(
    log: RunLog, session: Session, names: Sequence[str], step_id: str
) -> tuple[list[EventDraft], list[str]]:
    """The named files as artifacts, unless just those bytes are kept already, and those names
    that are no file."""
    drafts, missing = [], []
    for name in names:
        try:
            data = await session.read_file(name, MAX_ARTIFACT_BYTES)
        except (PlannerError, OSError):
            missing.append(name)
            continue
        kept = log.state.artifacts.get(name)
        if kept is not None and kept.sha256 == hashlib.sha256(data).hexdigest():
            continue
        drafts.append(await artifact_draft(log, name, "", data, step_id))
    return drafts, missing


def left_files(
    log: RunLog, files: Sequence[FileInfo], step_id: str, named: Sequence[str]
) -> tuple[list[str], str]:
    """Files that the attempt made itself and did not name, which become artifacts too; and what
    is to be said of those that do not."""
    kept = {name: artifact.bytes for name, artifact in log.state.artifacts.items()}
    given = _given(log, log.state, step_id)
    made = [
        file
        for file in files
        if file.name not in named
        and file.bytes not in (given.get(file.name), kept.get(file.name))
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


def _given(log: RunLog, state: RunState, step_id: str) -> dict[str, int]:
    """Files that were there before the attempt: attachments, and the workspaces of other steps."""
    given = {attached.name: attached.bytes for attached in state.attachments}
    for dep in state.steps[step_id].step.deps:
        sha = state.steps[dep].workspace
        if sha is not None:
            given |= Workspace.read(log, sha).files
    return given


async def keep_workspace(
    log: RunLog, session: Session, files: Sequence[FileInfo]
) -> tuple[str | None, str]:
    """The workspace's blob, and why there is none. Attachments alone are given anew anyway."""
    attached = {a.name for a in log.state.attachments}
    if all(file.name in attached for file in files):
        return None, ""
    size = sum(file.bytes for file in files)
    if size > MAX_WORKSPACE_BYTES:
        most = MAX_WORKSPACE_BYTES // 2**20
        return None, f"the workspace is not handed on: {size / 2**20:.0f} MiB, {most} at most"
    pieces, _ = await _put_pieces(log, session.export_workspace())
    kept = Workspace(tuple(pieces), {file.name: file.bytes for file in files})
    return (await log.put(kept.to_json()))[0], ""


async def give_workspace(log: RunLog, session: Session, sha: str) -> None:
    """Unpack a kept workspace into a session's own."""
    await session.import_workspace(_get_pieces(log, Workspace.read(log, sha).pieces))


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
