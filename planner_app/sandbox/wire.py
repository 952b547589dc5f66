"""The wire format on the host's side, strict: the guest at the other end may be an enemy."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import NoReturn

from planner_app.sandbox.session import JSON

PROTOCOL = 1
HEADER = Struct(">II")
MAX_BLOB = 8 << 20
MAX_JSON_TO_GUEST = 4 << 20
MAX_JSON_FROM_GUEST = 1 << 20
MAX_DEPTH = 100
"""How far lists and objects may be nested: whoever is handed what is read can write it again."""
PIECE = 1 << 20
"""Size of the pieces in which long data travels."""

Frame = dict[str, JSON]


class WireError(Exception):
    """The guest broke the protocol; nothing more from it can be believed."""


def pack(message: Mapping[str, JSON], blob: bytes | memoryview = b"") -> bytes:
    """One frame. Raises ValueError for what is no JSON or too large."""
    text = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    if len(text) > MAX_JSON_TO_GUEST or len(blob) > MAX_BLOB:
        raise ValueError(f"too large for one frame: {len(text)} + {len(blob)} bytes")
    return b"".join((HEADER.pack(len(text), len(blob)), text, blob))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.50} is no number")
    return number


_decoder = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def _decode(text: bytes) -> Frame:
    try:
        message = _decoder.decode(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"bad JSON ({type(error).__name__})") from None
    if not isinstance(message, dict):
        raise WireError("a frame that is no JSON object")
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _is_deeper(message, MAX_DEPTH):
        raise WireError(f"JSON nested more than {MAX_DEPTH} deep")
    return message


def _is_deeper(value: JSON, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        inner = [
            v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)
        ]
        level = [item for values in inner for item in values]
        if not level:
            return False
    return True


class FrameParser:
    """Cuts the guest's bytes into frames; memory is bounded by one frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.json_size = 0
        """Length of the latest frame's JSON: what it may cost in memory is a multiple of this."""

    def feed(self, data: bytes) -> Iterator[tuple[Frame, bytes]]:
        """The frames that `data` completes. Raises WireError at the first bad one."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= HEADER.size:
            json_size, blob_size = HEADER.unpack_from(buffer)
            if not 2 <= json_size <= MAX_JSON_FROM_GUEST or blob_size > MAX_BLOB:
                raise WireError(f"a frame header of {json_size} and {blob_size} bytes")
            start = HEADER.size + json_size
            end = start + blob_size
            if len(buffer) < end:
                return
            self.json_size = json_size
            message = _decode(bytes(buffer[HEADER.size : start]))
            blob = bytes(memoryview(buffer)[start:end])
            del buffer[:end]
            yield message, blob


def text_of(message: Frame, name: str, most: int, default: str = "") -> str:
    """A text field of an untrusted frame, cut to `most` characters, always encodable."""
    value = message.get(name)
    if not isinstance(value, str):
        return default
    return value[:most].encode("utf-8", "replace").decode("utf-8")


def number_of(message: Frame, name: str) -> int | None:
    """A whole number of an untrusted frame that fits 53 bits; None for anything else."""
    value = message.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return value
    return None
