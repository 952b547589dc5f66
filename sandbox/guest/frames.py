"""The wire format: u32 length of JSON, u32 length of blob, JSON object, raw blob."""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner
from struct import Struct

TYPE_CHECKING = False  # as in typing, which is too slow to import for it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

Message = dict[str, object]

PROTOCOL = 1
HEADER = Struct(">II")
MAX_BLOB = 8 << 20
MAX_JSON_FROM_HOST = 4 << 20
MAX_JSON_TO_HOST = 1 << 20
MAX_CALL_BYTES = MAX_JSON_TO_HOST - 4096
"""A tool call with its arguments."""
MAX_DEPTH = 100
"""How far lists and objects may be nested in what the code of others says: less than the host's
Python, whichever it is, can read and write."""
MAX_CONTAINERS = 50_000
"""Lists and objects in what the code of others says: an empty one takes 3 bytes here, and 70 of
the host's memory."""
PIECE = 1 << 20
"""Long data travels in blobs of this size, so that nothing waits behind it for long."""


def _no_json(value: object) -> NoReturn:
    raise TypeError(f"not JSON: {type(value).__name__}")


def encode(value: object, default: Callable[[object], object] = _no_json) -> bytes:
    """JSON of a value. Raises ValueError, TypeError or RecursionError for what has none.

    Made with the half of the module json that is written in C: the other half imports regular
    expressions, which would make each sandbox 3 ms later.
    """
    settings = (default, encode_basestring_ascii, None, ":", ",", False, False, False)
    return "".join(make_encoder({}, *settings)(value, 0)).encode("ascii")


class _Rules:
    """How JSON is read: what is read can be written again."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_int = int

    @staticmethod
    def parse_float(text: str) -> float:
        number = float(text)
        if number - number != 0:
            raise ValueError(f"{text:.50} is no number")
        return number

    @staticmethod
    def parse_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")


_scan = make_scanner(_Rules)


class ProtocolError(Exception):
    """The other side does not keep to the format."""


def pack(
    message: Message, blob: bytes | bytearray | memoryview = b"", most: int = MAX_JSON_FROM_HOST
) -> bytes:
    """One frame. Raises ValueError or TypeError for what is not JSON.

    Raises ProtocolError for more than `most` bytes of it: the code of others may have sent less,
    in a shorter way of writing.
    """
    text = encode(message)
    if len(text) > most:
        raise ProtocolError(f"{len(text):,} bytes of JSON when written out")
    return b"".join((HEADER.pack(len(text), len(blob)), text, blob))


def decode(text: bytes) -> Message:
    """The JSON object of a frame. Raises ProtocolError."""
    try:
        words = text.decode("utf-8")
        message, end = _scan(words, 0)
    except (ValueError, StopIteration, RecursionError, MemoryError) as error:
        raise ProtocolError(f"bad JSON: {type(error).__name__}") from None
    if type(message) is not dict or end != len(words):
        raise ProtocolError("not a JSON object")
    return message


def _check_shape(text: bytes, message: Message) -> None:
    """Raise ProtocolError for JSON that is nested too deeply, or made of too many parts."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return
    level: list[object] = [message]
    containers = 0
    for _ in range(MAX_DEPTH):
        lists = [value for value in level if type(value) is list]
        lists += [value.values() for value in level if type(value) is dict]
        containers += len(lists)
        if containers > MAX_CONTAINERS:
            raise ProtocolError(f"JSON of more than {MAX_CONTAINERS:,} lists and objects")
        level = [value for values in lists for value in values]
        if not level:
            return
    raise ProtocolError(f"JSON nested more than {MAX_DEPTH} deep")


class Parser:
    """Cuts a byte stream into frames; holds at most one unfinished frame."""

    def __init__(self, max_json: int, max_blob: int = MAX_BLOB, *, shallow: bool = True) -> None:
        """`shallow`: frames of the code of others, whose nesting is limited."""
        self._shallow = shallow
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
            message = decode(text)
            if self._shallow:
                _check_shape(text, message)
            yield message, blob
