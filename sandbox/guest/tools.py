"""Calls the host's tools by name and arguments, from any thread, coroutine or child process."""

from __future__ import annotations

import os
from _socket import AF_UNIX, socket

from .frames import HEADER, MAX_CALL_BYTES, decode, encode


class ToolError(Exception):
    """A tool refused the call or failed; the text says why and what can be done."""

    __module__ = "planner"


class EndAction(BaseException):
    """The host ends the action here; what follows is not run, all variables stay."""


def _plain(value: object) -> object:
    """What JSON lacks and code often has at hand: numpy's numbers and arrays, paths, sets."""
    if hasattr(value, "__fspath__"):
        return os.fspath(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    for method in ("item", "tolist", "isoformat"):
        convert = getattr(value, method, None)
        if convert is not None and not isinstance(value, type):
            if method == "item" and getattr(value, "size", 1) != 1:
                continue
            return convert()
    raise TypeError(f"tools take JSON values, not {type(value).__name__}")


def _exactly(sock: socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise ToolError("the call was dropped: too many calls, or the sandbox is ending")
        data += piece
    return bytes(data)


class Line:
    """The way to the host."""

    def __init__(self, address: str) -> None:
        self._address = address

    def call(self, name: str, arguments: dict[str, object]) -> object:
        """Ask the host and wait for its answer. Raises ToolError and EndAction."""
        call = encode({"name": name, "args": arguments}, _plain)
        if len(call) > MAX_CALL_BYTES:
            raise ToolError(
                f"the arguments of {name}() are too large: {len(call):,} bytes,"
                f" at most {MAX_CALL_BYTES:,}; put the data into a workspace file instead"
            )
        sock = socket(AF_UNIX)
        try:
            sock.connect(self._address)
            sock.sendall(HEADER.pack(len(call), 0) + call)
            json_size, blob_size = HEADER.unpack(_exactly(sock, 8))
            message = decode(_exactly(sock, json_size))
            blob = _exactly(sock, blob_size)
        finally:
            sock.close()
        if message.get("end"):
            raise EndAction
        if not message.get("ok"):
            raise ToolError(str(message.get("error")))
        return blob or message.get("value")
