"""The wire format: u32 length of JSON, u32 length of blob, JSON object, raw blob."""

from __future__ import annotations

import json
from collections.abc import Iterator
from struct import Struct

Message = dict[str, object]

PROTOCOL = 1
HEADER = Struct(">II")
MAX_BLOB = 8 << 20
MAX_JSON_FROM_HOST = 4 << 20
MAX_JSON_TO_HOST = 1 << 20
MAX_CALL_BYTES = MAX_JSON_TO_HOST - 4096
"""A tool call with its arguments."""
PIECE = 1 << 20
"""Long data travels in blobs of this size, so that nothing waits behind it for long."""

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder().decode


class ProtocolError(Exception):
    """The other side does not keep to the format."""


def pack(message: Message, blob: bytes | bytearray | memoryview = b"") -> bytes:
    """One frame. Raises ValueError or TypeError for what is not JSON."""
    text = _encode(message).encode("ascii")
    return b"".join((HEADER.pack(len(text), len(blob)), text, blob))


def decode(text: bytes) -> Message:
    """The JSON object of a frame. Raises ProtocolError."""
    try:
        message = _decode(text.decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise ProtocolError(f"bad JSON: {type(error).__name__}") from None
    if type(message) is not dict:
        raise ProtocolError("not a JSON object")
    return message


class Parser:
    """Cuts a byte stream into frames; holds at most one unfinished frame."""

    def __init__(self, max_json: int, max_blob: int = MAX_BLOB) -> None:
        self._buffer = bytearray()
        self._max_json = max_json
        self._max_blob = max_blob
        self.json_size = 0
        """Length of the latest frame's JSON."""

    def feed(self, data: bytes) -> Iterator[tuple[Message, bytes]]:
        """The frames that `data` completes. Raises ProtocolError."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 8:
            json_size, blob_size = HEADER.unpack_from(buffer)
            if not 2 <= json_size <= self._max_json or blob_size > self._max_blob:
                raise ProtocolError(f"bad frame header {json_size}/{blob_size}")
            end = 8 + json_size + blob_size
            if len(buffer) < end:
                return
            self.json_size = json_size
            text = bytes(buffer[8 : 8 + json_size])
            blob = bytes(memoryview(buffer)[8 + json_size : end]) if blob_size else b""
            del buffer[:end]  # before anything can go wrong, so that nothing piles up
            yield decode(text), blob
