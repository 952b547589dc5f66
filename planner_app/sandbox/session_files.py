"""The part of a session that concerns workspace files: names and sizes checked on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from planner_app.sandbox.collect import clean_name
from planner_app.sandbox.session import JSON, FileInfo
from planner_app.sandbox.transfers import Transfers, collect, pieces

MAX_LISTED = 10_000
MAX_LEFT_OUT = 20


class SessionFiles:
    """Reads, writes and lists the workspace, also while an action runs."""

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers

    async def read_file(self, path: str, max_bytes: int) -> bytes:
        """See Session.read_file."""
        request: dict[str, JSON] = {"kind": "read", "path": path, "max_bytes": max_bytes}
        return await collect(self._transfers.receive(request), max_bytes)

    async def write_file(self, path: str, data: bytes) -> None:
        """See Session.write_file."""
        await self._transfers.deliver({"kind": "write", "path": path}, pieces(data))

    async def list_files(self) -> tuple[FileInfo, ...]:
        """See Session.list_files."""
        found = []
        for entry in await self._transfers.listing():
            match entry:
                case [str(name), int(size), int() | float() as mtime]:
                    info = _file_info(name, size, mtime)
                    if info is not None:
                        found.append(info)
        return tuple(found[:MAX_LISTED])

    def export_workspace(self) -> AsyncIterator[bytes]:
        """See Session.export_workspace."""
        return self._transfers.receive({"kind": "pack"})

    async def import_workspace(self, chunks: AsyncIterator[bytes]) -> tuple[str, ...]:
        """See Session.import_workspace."""
        done = await self._transfers.deliver({"kind": "unpack"}, chunks)
        names = done.get("left_out")
        told = names[:MAX_LEFT_OUT] if isinstance(names, list) else []
        return tuple(n for n in told if isinstance(n, str) and clean_name(n) == n)


def _file_info(name: str, size: int, mtime: float) -> FileInfo | None:
    cleaned = clean_name(name)
    if cleaned is None or isinstance(size, bool) or not 0 <= size < 2**53:
        return None
    try:
        at = datetime.fromtimestamp(mtime, UTC)
    except (ValueError, OverflowError, OSError):
        at = datetime.fromtimestamp(0, UTC)
    return FileInfo(cleaned, size, at)
