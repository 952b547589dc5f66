"""Brings variables in and takes them out: JSON as such, anything else as an opaque pickle."""

from __future__ import annotations

import io
from _collections import deque

from .frames import PIECE, Message, encode
from .report import class_name, cut_middle, summarise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    Send = Callable[[Message, bytes | bytearray | memoryview], None]

MAX_JSON = 64 * 1024
MAX_TEXT = 300
_DEFINED = (type, type(lambda: None))


class State:
    """The session's variables as they travel between sandboxes."""

    def __init__(self, namespace: dict[str, object]) -> None:
        self._namespace = namespace
        self.inputs: dict[str, object] = {}
        """What was bound from outside, by name; the actions see the same dict."""
        self._staged = Pieces()
        self._pickled = Pieces()

    def _set(self, name: str, value: object) -> None:
        if not name.isidentifier():
            raise ValueError(f"not a variable's name: {name!r:.100}")
        self._namespace[name] = value
        self.inputs[name] = value
        self._namespace["inputs"] = self.inputs

    def bind(self, values: object) -> Message:
        try:
            for name, value in values.items() if isinstance(values, dict) else ():
                self._set(name, value)
        except ValueError as error:
            return _refusal(str(error))
        return {"status": "ok"}

    def stage(self, piece: bytes, *, anew: bool) -> Message:
        """Collect the pieces of a pickle."""
        if anew:
            self._staged = Pieces()
        self._staged.write(piece)
        return {"status": "ok"}

    def bind_staged(self, name: str) -> Message:
        """Unpickle what was collected. It comes from another sandbox of the same run."""
        import pickle

        staged, self._staged = self._staged, Pieces()
        try:
            self._set(name, pickle.load(io.BufferedReader(staged, PIECE)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return _refusal(f"{name} cannot be unpickled here: {_words(error)}")
        return {"status": "ok"}

    def pickle(self, name: str, max_bytes: object) -> Message:
        """Pickle a variable, and keep the pieces for those who take them."""
        import pickle

        class Pickler(pickle.Pickler):
            """Refuses what a pickle only names, and no other session has."""

            def reducer_override(self, value: object) -> object:
                if isinstance(value, _DEFINED) and value.__module__ == "__main__":
                    text = f"{value.__qualname__} was made by an action, and is not known elsewhere"
                    raise pickle.PicklingError(text)
                return NotImplemented

        self._pickled = Pieces(max_bytes if isinstance(max_bytes, int) else 0)
        try:
            Pickler(self._pickled, protocol=5).dump(self._namespace[name])
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._pickled = Pieces()
            return _refusal(_words(error))
        return {"status": "ok", "bytes": self._pickled.size}

    def take(self, send: Send) -> Message:
        """Send the next piece of what was pickled, and forget it."""
        piece = self._pickled.pop()
        if piece:
            send({"t": "part"}, piece)
        return {"status": "ok"}

    def export(self, names: object, send: Send) -> Message:
        """Say of each named variable what it is; the small and plain ones with their value."""
        for name in names if isinstance(names, list) else []:
            if name not in self._namespace:
                missing = f"no variable named {name!r:.100}"
                send({"t": "exported", "name": name, "kind": "missing", "error": missing}, b"")
            else:
                self._export_one(name, self._namespace[name], send)
        return {"status": "ok"}

    def _export_one(self, name: str, value: object, send: Send) -> None:
        facts: Message = {"t": "exported", "name": name, "type_name": class_name(value)}
        try:
            facts["summary"] = cut_middle(summarise(value), MAX_TEXT)
            if _is_json(value) and len(encode(value)) <= MAX_JSON:
                send({**facts, "kind": "json", "value": value}, b"")
                return
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            send({**facts, "kind": "failed", "error": _words(error)}, b"")
            return
        send({**facts, "kind": "pickle"}, b"")


class Pieces(io.RawIOBase):
    """A file in memory that holds long data in pieces, and lets them go as they are read."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self._pieces: deque[bytearray | memoryview] = deque()
        self._limit = limit
        self.size = 0
        """Bytes that were written."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        """Raises ValueError above the limit."""
        # Arrays come as buffers of their own: of several dimensions, in either order.
        view = data.raw() if hasattr(data, "raw") else memoryview(data).cast("B")
        size = view.nbytes
        self.size += size
        if self._limit is not None and self.size > self._limit:
            raise ValueError(f"its pickle is larger than {self._limit:,} bytes")
        while view:
            if not self._pieces or len(self._pieces[-1]) >= PIECE:
                self._pieces.append(bytearray())
            room = PIECE - len(self._pieces[-1])
            self._pieces[-1] += view[:room]
            view = view[room:]
        return size

    def readinto(self, buffer: memoryview) -> int:
        if not self._pieces:
            return 0
        piece = memoryview(self._pieces.popleft())
        size = min(len(buffer), len(piece))
        buffer[:size] = piece[:size]
        if size < len(piece):
            self._pieces.appendleft(piece[size:])
        return size

    def pop(self) -> bytearray | memoryview:
        """The next piece, which is no longer here then; empty at the end."""
        return self._pieces.popleft() if self._pieces else bytearray()


def _is_json(value: object, depth: int = 0) -> bool:
    """Whether JSON gives back exactly this value: no tuples, subclasses, NaN or odd keys."""
    kind = type(value)
    if value is None or kind in (bool, str, int):
        return True
    if kind is float:
        return value == value and abs(value) != float("inf")  # type: ignore[arg-type]
    if depth > 50:
        return False
    if isinstance(value, list) and kind is list:
        return all(_is_json(item, depth + 1) for item in value)
    if isinstance(value, dict) and kind is dict:
        return all(type(k) is str and _is_json(v, depth + 1) for k, v in value.items())
    return False


def _words(error: BaseException) -> str:
    try:
        return cut_middle(f"{type(error).__name__}: {error}", MAX_TEXT)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return type(error).__name__


def _refusal(text: str) -> Message:
    return {"status": "error", "error": {"name": "BindError", "message": text, "traceback": text}}
