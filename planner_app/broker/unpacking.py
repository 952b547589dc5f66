"""Undoes a response's compression without ever holding more than the bound."""

from __future__ import annotations

import zlib
from typing import Protocol

from planner_app.broker.port import ToolFailed

ACCEPTED = "gzip, deflate"
"""What a request says it can read."""
_GZIP = 31
_ZLIB = 15
_RAW = -15
_MAX_MEMBERS = 100
_LOW_NIBBLE = 0x0F
_DEFLATE_METHOD = 8


class Unpacker(Protocol):
    """Takes the body piece by piece."""

    def feed(self, piece: bytes, room: int) -> bytes:
        """The next bytes of the content, at most `room` of them."""
        ...


def unpacker_for(encoding: str) -> Unpacker:
    """For a Content-Encoding header. ToolFailed for one that was not asked for."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in ("gzip", "x-gzip"):
        return _Compressed(_GZIP)
    if name == "deflate":
        return _Compressed(None)
    raise ToolFailed("unreadable", f"the server sent an encoding nobody asked for: {name[:40]!r}")


class _Plain:
    def feed(self, piece: bytes, room: int) -> bytes:
        return piece[:room]


class _Compressed:
    """gzip of one or more members, or deflate with or without its zlib header."""

    def __init__(self, window: int | None) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window) if window is not None else None
        self._members = 1

    def feed(self, piece: bytes, room: int) -> bytes:
        """What does not fit into `room` is dropped: the caller stops there anyway."""
        out = bytearray()
        while piece and len(out) < room:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._guess(piece))
            if self._stream.eof:
                if self._window != _GZIP or not piece.startswith(b"\x1f"):
                    break  # padding behind the end
                self._members += 1
                if self._members > _MAX_MEMBERS:  # each costs a copy of what is left
                    raise ToolFailed("unreadable", "the body is cut into too many gzip members")
                self._stream = zlib.decompressobj(_GZIP)
            try:
                out += self._stream.decompress(piece, room - len(out))
            except zlib.error as error:
                raise ToolFailed("unreadable", f"broken compression: {error}") from None
            piece = self._stream.unused_data if self._stream.eof else b""
        return bytes(out)

    @staticmethod
    def _guess(piece: bytes) -> int:
        has_header = piece[0] & _LOW_NIBBLE == _DEFLATE_METHOD and (
            len(piece) == 1 or (piece[0] * 256 + piece[1]) % 31 == 0
        )
        return _ZLIB if has_header else _RAW
