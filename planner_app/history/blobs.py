"""Bytes by their sha256: compressed, stored once, and the newest texts kept at hand."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from planner_app.domain.errors import HistoryError, NotFound
from planner_app.history.columns import BLOB

_SMALL = 200
"""Bytes below which compression gains nothing."""
_PROBE = 64 * 1024
_KEPT_BYTES = 8 * 1024 * 1024
_LARGE = 64
"""What takes more than this part of it is a file, or a piece of one, and is not asked for again."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Bytes as they are stored."""

    sha256: str
    size: int
    codec: str
    data: bytes


def pack(data: bytes) -> Packed:
    """Compresses `data` where that makes it smaller; images and archives stay as they are."""
    sha = hashlib.sha256(data).hexdigest()
    if len(data) >= _SMALL:
        head = data[:_PROBE]
        if len(data) <= _PROBE or len(zlib.compress(head, 1)) < 0.95 * len(head):
            small = zlib.compress(data, 6 if len(data) < 256 * 1024 else 3)
            if len(small) < len(data):
                return Packed(sha, len(data), "zlib", small)
    return Packed(sha, len(data), "raw", data)


def unpack(sha256: str, codec: str, data: bytes) -> bytes:
    """The bytes again. Raises HistoryError when they are not what was stored."""
    try:
        plain = zlib.decompress(data) if codec == "zlib" else data
    except zlib.error as error:
        raise HistoryError(f"blob {sha256[:12]} of the history is damaged") from error
    if hashlib.sha256(plain).hexdigest() != sha256:
        raise HistoryError(f"blob {sha256[:12]} of the history is damaged")
    return plain


_STORE = insert(BLOB).on_conflict_do_nothing()


def store(connection: Connection, blobs: Iterable[Packed]) -> None:
    """Writes those that are not there yet."""
    rows = [{"sha256": b.sha256, "size": b.size, "codec": b.codec, "data": b.data} for b in blobs]
    if rows:
        connection.execute(_STORE, rows)


def load(connection: Connection, shas: Sequence[str]) -> dict[str, bytes]:
    """The bytes by sha256. Raises NotFound naming one that is not there."""
    found: dict[str, bytes] = {}
    wanted = list(dict.fromkeys(shas))
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        query = select(BLOB.c.sha256, BLOB.c.codec, BLOB.c.data).where(BLOB.c.sha256.in_(part))
        for sha, codec, data in connection.execute(query):
            found[sha] = unpack(sha, codec, data)
    for sha in wanted:
        if sha not in found:
            raise NotFound(f"the history holds no blob {sha[:12]}")
    return found


class RecentBlobs:
    """The newest bytes put or read, so that indexing and prompts need not load them again."""

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, blobs: Mapping[str, bytes]) -> None:
        """Remembers these; the oldest go when the limit is passed."""
        with self._lock:
            for sha, data in blobs.items():
                if len(data) > self._limit // _LARGE or sha in self._kept:
                    continue
                self._kept[sha] = data
                self._bytes += len(data)
            while self._bytes > self._limit:
                self._bytes -= len(self._kept.popitem(last=False)[1])

    def get(self, sha: str) -> bytes | None:
        """The bytes, if they are at hand."""
        with self._lock:
            data = self._kept.get(sha)
            if data is not None:
                self._kept.move_to_end(sha)
            return data

    def reader(self, connection: Connection) -> Callable[[str], bytes]:
        """A way to the bytes of any blob that takes those at hand first."""

        def read(sha: str) -> bytes:
            data = self.get(sha)
            if data is None:
                data = load(connection, [sha])[sha]
                self.keep({sha: data})
            return data

        return read
