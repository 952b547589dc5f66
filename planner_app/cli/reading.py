"""Opening the history to read a run, and what of it leaves as JSON or as files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from planner_app.cli.context import Context
from planner_app.domain.errors import BadInput, NotFound

if TYPE_CHECKING:
    from planner_app.history import History, RunRow


def open_or_none(context: Context) -> History | None:
    """The history; None when nothing was ever delegated."""
    try:
        return context.history(create=False)
    except NotFound:
        return None


@contextmanager
def open_run(context: Context, name: str) -> Iterator[tuple[History, str]]:
    """The history and the run that a person named. Raises NotFound with the nearest name."""
    from planner_app.queue import Queue

    with context.history(create=False) as history:
        yield history, Queue(history).resolve(name, context.cwd)


def run_json(row: RunRow) -> dict[str, Any]:
    """A run of a list as JSON."""
    return {
        "run_id": row.run_id,
        "task_id": row.task_id,
        "created_at": row.created_at.isoformat(),
        "last_at": row.last_at.isoformat(),
        "folder": row.folder,
        "team": row.team,
        "tags": list(row.tags),
        "parent_run_id": row.parent_run_id,
        **row.summary.model_dump(mode="json"),
    }


def copy_artifacts(history: History, run_id: str, folder: Path) -> dict[str, Path]:
    """Write the run's artifacts below the folder; name to file.

    A file that is there already with other contents is kept, and ours gets a number. Raises
    BadInput when the folder cannot be written.
    """
    copied: dict[str, Path] = {}
    make_folder(folder)
    try:
        for row in history.artifacts(run_id):
            data = history.get_blob(row.sha256)
            *parents, last = _inside(row.name).parts
            place = folder
            for part in parents:
                place = _free(place / part)
            place.mkdir(parents=True, exist_ok=True)
            path = _free(place / last, data)
            path.write_bytes(data)
            copied[row.name] = path
    except OSError as error:
        raise BadInput(f"cannot write to {folder}: {error.strerror}") from error
    return copied


def make_folder(folder: Path) -> None:
    """The folder is there and can be written to. Raises BadInput."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write to {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"cannot write to {folder}: you may not")


def _inside(name: str) -> PurePosixPath:
    """The name as a path that stays below a folder, whatever a model called its file."""
    parts = [p for p in PurePosixPath(name).parts if p not in ("/", "..", ".")]
    clean = ["".join(c if c.isprintable() else "_" for c in part)[:200] for part in parts]
    return PurePosixPath(*clean) if clean else PurePosixPath("artifact")


def _free(path: Path, data: bytes | None = None) -> Path:
    """The path, or the first of `name-2`, ... that is free, or holds the data (None: a folder)."""

    def fits(candidate: Path) -> bool:
        if data is None:
            return candidate.is_dir()
        return candidate.is_file() and candidate.read_bytes() == data

    number = 1
    candidate = path
    while candidate.is_symlink() or (candidate.exists() and not fits(candidate)):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
