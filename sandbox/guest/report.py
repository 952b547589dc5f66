"""Puts values and errors into words that fit: bounded, without colours and without our frames."""

from __future__ import annotations

import io
import os
import sys

from .frames import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceback import TracebackException

HERE = os.path.dirname(os.path.abspath(__file__))
LEAST_RECURSION = 1000
DEEP, LAST_FRAMES = 5000, 200
"""Of a stack deeper than the one, only so many frames as the other says are looked at."""
LONG_COLLECTION = 5000
MAX_FACTS, MAX_DIMENSIONS = 500, 64
TEXTS = (str, bytes, bytearray)
_NAME_OF = type.__dict__["__name__"].__get__
COLOURS = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_]?)"


def cut_middle(text: str, cap: int) -> str:
    """At most about `cap` characters of a text: its beginning, its end, and what is missing."""
    if len(text) <= cap:
        return text
    head, tail = cap * 2 // 3, cap // 3
    missing = len(text) - head - tail
    return f"{text[:head]}\n... {missing:,} characters left out ...\n{text[-tail:]}"


def plain(text: str) -> str:
    """The characters only: what code calls a text may be of a class with ways of its own."""
    return str.__str__(text)


def clean(text: str) -> str:
    """Without terminal colours, and encodable."""
    text = plain(text)
    if "\x1b" in text or "\x9b" in text:
        import re  # slow, and needed here only

        text = re.sub(COLOURS, "", text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def describe_value(value: object, cap: int) -> str:
    """repr, or for a value over the cap its beginning and end with type, shape and size."""
    try:
        if type(value) in TEXTS and len(value) > cap:  # type: ignore[arg-type]
            head, tail = value[: cap * 2 // 3], value[-(cap // 3) :]  # type: ignore[index]
            return clean(f"{head!r} ... {tail!r}\n{summarise(value)}")
        if type(value) in (list, tuple, set, frozenset, dict):
            size = len(value)  # type: ignore[arg-type]
            if size > LONG_COLLECTION:
                return clean(cut_middle(_short_repr(value), cap) + "\n" + summarise(value))
        text = clean(repr(value))
        if len(text) <= cap:
            return text
        return cut_middle(text, cap) + "\n" + summarise(value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"<repr failed: {type(error).__name__}>\n{summarise(value)}"


def _short_repr(value: object) -> str:
    from reprlib import Repr

    short = Repr()
    short.maxlist = short.maxtuple = short.maxset = short.maxfrozenset = short.maxdict = 50
    short.maxstring = short.maxother = 200
    return short.repr(value)


def class_name(value: object) -> str:
    """The name of a value's class, also where the class would rather not say it."""
    return clean(plain(_NAME_OF(type(value)))[:200])


def summarise(value: object) -> str:
    """One line: type, shape, number of items, size in memory where it is told."""
    facts = [class_name(value)]
    try:
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            facts.append("shape " + " x ".join(str(int(n)) for n in shape[:MAX_DIMENSIONS]))
        elif hasattr(value, "__len__"):
            facts.append(f"{len(value):,} long")
        elif issubclass(type(value), int):  # one too long for Python to write it out
            facts.append(f"about {int(value.bit_length() * 0.30103) + 1:,} digits")  # type: ignore[attr-defined]
        kind = getattr(value, "dtype", None)
        if kind is not None:
            facts.append(f"dtype {str(kind)[:60]}")
        size = getattr(value, "nbytes", None)
        size = size if isinstance(size, int) else sys.getsizeof(value)
        facts.append(f"{size:,} bytes")
    except KeyboardInterrupt:
        raise
    except BaseException:
        facts.append("size unknown")
    return f"<{', '.join(facts)[:MAX_FACTS]}>"


def describe_error(error: BaseException, cap: int) -> Message:
    """Class, message and traceback of what an action raised."""
    name = class_name(error)
    try:
        message = cut_middle(clean(str(error)), 2000)
    except BaseException:  # an interrupt, too: what is told here is why it all ended
        message = ""
    try:
        if isinstance(error, SyntaxError):
            _quote_line(error)
        text = _traceback(error)
    except BaseException as broken:
        text = f"{name}: {message}\n(no traceback: {type(broken).__name__} while it was made)\n"
    return {"name": name, "message": message, "traceback": cut_middle(clean(text), cap)}


def split_lines(code: str) -> list[str]:
    """The lines as Python counts them: a form feed or an odd separator ends none."""
    return list(io.StringIO(code, newline=None))


def _quote_line(error: SyntaxError) -> None:
    """The compiler's later stages know the line's number only: `return` outside a function."""
    if error.text is None and error.filename and error.lineno:
        import linecache

        error.text = linecache.getline(error.filename, error.lineno) or None


def _traceback(error: BaseException) -> str:
    from traceback import TracebackException

    if sys.getrecursionlimit() < LEAST_RECURSION:
        sys.setrecursionlimit(LEAST_RECURSION)  # an action that made it smaller is told in full
    limit = None if _depth(error) <= DEEP else -LAST_FRAMES
    told = TracebackException.from_exception(error, limit=limit)
    _leave_out_our_frames(told)
    return "".join(told.format())


def _depth(error: BaseException) -> int:
    depth, tb = 0, error.__traceback__
    while tb is not None and depth <= DEEP:
        depth, tb = depth + 1, tb.tb_next
    return depth


def _leave_out_our_frames(told: TracebackException) -> None:
    """What lies between the worker and the action's first line is nobody's business."""
    seen: set[int] = set()
    rest: list[TracebackException | None] = [told]
    while rest:
        one = rest.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if one.stack is not None:
            files = [frame.filename for frame in one.stack]
            first = next((i for i, file in enumerate(files) if file.startswith("<action-")), 0)
            one.stack[:] = [f for f in one.stack[first:] if not f.filename.startswith(HERE)]
        rest += (one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ()))
