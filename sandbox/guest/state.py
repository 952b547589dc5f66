"""Brings variables in and takes them out: JSON as such, anything else as an opaque pickle."""

from __future__ import annotations

from .frames import PIECE, Message, encode
from .report import cut_middle, summarise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    Send = Callable[[Message, bytes | memoryview], None]

MAX_JSON = 64 * 1024
MAX_TEXT = 300


class State:
    """The session's variables as they travel between sandboxes."""

    def __init__(self, namespace: dict[str, object]) -> None:
        self._namespace = namespace
        self.inputs: dict[str, object] = {}
        """What was bound from outside, by name; the actions see the same dict."""
        self._staged = bytearray()

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

    def stage(self, piece: bytes) -> Message:
        """Collect the pieces of a pickle."""
        self._staged += piece
        return {"status": "ok"}

    def bind_staged(self, name: str) -> Message:
        """Unpickle what was collected. It comes from another sandbox of the same run."""
        import pickle

        staged, self._staged = self._staged, bytearray()
        try:
            self._set(name, pickle.loads(staged))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return _refusal(f"{name} cannot be unpickled here: {_words(error)}")
        return {"status": "ok"}

    def export(self, names: object, max_bytes: object, send: Send) -> Message:
        """Send the named variables, each followed by the pieces of its pickle."""
        limit = max_bytes if isinstance(max_bytes, int) else 0
        for name in names if isinstance(names, list) else []:
            if name not in self._namespace:
                missing = f"no variable named {name!r:.100}"
                send({"t": "exported", "name": name, "kind": "missing", "error": missing}, b"")
            else:
                self._export_one(name, self._namespace[name], limit, send)
        return {"status": "ok"}

    def _export_one(self, name: str, value: object, limit: int, send: Send) -> None:
        facts: Message = {"t": "exported", "name": name, "type_name": type(value).__name__[:200]}
        facts["summary"] = cut_middle(summarise(value), MAX_TEXT)
        try:
            text = encode(value) if _is_json(value) else None
            if text is not None and len(text) <= MAX_JSON:
                send({**facts, "kind": "json", "value": value}, b"")
                return
            blob = _pickle(value, limit)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            send({**facts, "kind": "failed", "error": _words(error)}, b"")
            return
        send({**facts, "kind": "pickle", "bytes": len(blob)}, b"")
        for start in range(0, len(blob), PIECE):
            send({"t": "part"}, memoryview(blob)[start : start + PIECE])


class _Bounded:
    """A file in memory that refuses to grow past its limit."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self._limit = limit

    def write(self, piece: Buffer) -> int:
        view = memoryview(piece)  # arrays come as buffers of their own, not as bytes
        if len(self.data) + view.nbytes > self._limit:
            raise ValueError(f"its pickle is larger than {self._limit:,} bytes")
        self.data += view
        return view.nbytes


def _pickle(value: object, limit: int) -> bytearray:
    import pickle

    target = _Bounded(limit)
    pickle.Pickler(target, protocol=5).dump(value)
    return target.data


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
