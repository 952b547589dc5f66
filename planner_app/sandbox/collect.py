"""Puts an action's frames together into its result, believing the guest nothing."""

from __future__ import annotations

import math
from codecs import getincrementaldecoder
from typing import Protocol

from planner_app.sandbox.limits import Limits
from planner_app.sandbox.session import (
    ActionResult,
    Display,
    Exported,
    GuestError,
    OnOutput,
    Status,
)
from planner_app.sandbox.wire import PIECE, Frame, WireError, number_of, text_of

MAX_DISPLAYS = 32
MAX_DISPLAY_BYTES = 16 << 20
MAX_FILES = 200
MAX_NAME = 1000
MIMES = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/svg+xml",
        "text/html",
        "text/markdown",
        "text/plain",
        "application/json",
    }
)


class Collector(Protocol):
    """Takes the frames of one operation that come before its result."""

    def take(self, kind: str, message: Frame, blob: bytes) -> None:
        """Raises WireError for a frame that has no place here."""
        ...


class Nothing:
    """For operations that only have a result; what they print is left out."""

    def take(self, kind: str, message: Frame, blob: bytes) -> None:
        if kind not in ("out", "display"):
            raise WireError(f"an unexpected frame {kind[:50]!r}")


class _Text:
    """One output stream: decoded piece by piece, with a note where bytes are missing."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._parts: list[str] = []

    def add(self, data: bytes) -> str:
        text = self._decode(data)
        self._parts.append(text)
        return text

    def gap(self, missing: int) -> str:
        note = self._decode(b"", True) + f"\n... {missing:,} bytes of output left out ...\n"
        self._parts.append(note)
        return note

    def end(self) -> str:
        self._parts.append(self._decode(b"", True))
        return "".join(self._parts)


class ActionCollector:
    """Output and displays of one action."""

    def __init__(self, limits: Limits, on_output: OnOutput | None) -> None:
        self._room = limits.output_bytes + 2 * limits.tail_bytes
        self._result_chars = limits.result_chars
        self._on_output = on_output
        self._texts = {"stdout": _Text(), "stderr": _Text()}
        self._cut: set[str] = set()
        """The streams of which the middle is missing."""
        self._displays: list[Display] = []
        self._display_bytes = 0
        self.listener_error: Exception | None = None
        """What the output's listener raised; it is called no more then."""

    def take(self, kind: str, message: Frame, blob: bytes) -> None:
        if kind == "out":
            self._take_output(message, blob)
        elif kind == "display":
            self._take_display(message, blob)
        else:
            raise WireError(f"an unexpected frame {kind[:50]!r}")

    def _take_output(self, message: Frame, blob: bytes) -> None:
        stream = message.get("s")
        if stream not in ("stdout", "stderr"):
            raise WireError("output of no known stream")
        self._room -= len(blob)
        if self._room < 0:
            raise WireError("more output than agreed")
        text = self._texts[stream]
        missing = number_of(message, "missing") or 0
        if missing < 0 or (stream in self._cut and missing) or not (blob or missing):
            raise WireError("output that is none, or is cut twice")
        if missing:
            self._cut.add(stream)
        note = text.gap(missing) if missing else ""
        self._tell(stream, note + text.add(blob))

    def _tell(self, stream: str, text: str) -> None:
        if self._on_output is None or not text:
            return
        try:
            self._on_output(stream, text)
        except Exception as error:  # noqa: BLE001 - raised again by run(), when it is safe to
            self.listener_error, self._on_output = error, None

    def _take_display(self, message: Frame, blob: bytes) -> None:
        mime = text_of(message, "mime", 100)
        self._display_bytes += len(blob)
        fits = len(self._displays) < MAX_DISPLAYS and self._display_bytes <= MAX_DISPLAY_BYTES
        if mime in MIMES and fits:
            self._displays.append(Display(mime, blob))

    def result(self, message: Frame, took_ms: float) -> ActionResult:
        """The whole result. `took_ms` stands in for a time that the guest did not tell."""
        status, why = _status(message)
        value = message.get("value")
        dropped = number_of(message, "dropped")
        return ActionResult(
            status=status,
            stdout=self._texts["stdout"].end(),
            stderr=self._texts["stderr"].end(),
            value=text_of(message, "value", 2 * self._result_chars) if value is not None else None,
            value_type=text_of(message, "value_type", 200) or None,
            error=self._error(message),
            displays=tuple(self._displays),
            files=_files(message),
            ms=_milliseconds(message, took_ms),
            dropped_bytes=max(0, dropped or 0),
            state_lost=message.get("state_lost") is True,
            oom=message.get("oom") is True,
            why=why,
        )

    def _error(self, message: Frame) -> GuestError | None:
        error = message.get("error")
        if not isinstance(error, dict):
            return None
        return GuestError(
            name=text_of(error, "name", 200, "Exception"),
            message=text_of(error, "message", 4000),
            traceback=text_of(error, "traceback", 2 * self._result_chars),
        )


def _status(message: Frame) -> tuple[Status, str]:
    """The result's status and its reason, from what ended the action and who wanted it to end."""
    raw, cause = message.get("status"), message.get("cause")
    why = text_of(message, "why", 500)
    if raw == "ok":
        return "ok", "it finished although it had been told to stop" if cause else ""
    if cause == "end" or raw == "ended":
        return "ended", why or "a tool's answer ended the action"
    if cause == "timeout":
        return "timeout", why or "its time was up"
    if cause == "interrupt":
        return "interrupted", why or "it was interrupted"
    if raw == "interrupted":  # KeyboardInterrupt that nobody but the code asked for
        return "error", why
    if raw == "error":
        return "error", why
    if raw == "exit":
        return "exit", f"SystemExit({why})"
    return "died", why or "its process was lost"


def _files(message: Frame) -> tuple[str, ...]:
    files = message.get("files")
    if not isinstance(files, list):
        return ()
    names = [clean_name(name) for name in files[:MAX_FILES] if isinstance(name, str)]
    return tuple(name for name in names if name is not None)


def clean_name(name: str) -> str | None:
    """A workspace file's relative name; None if it is anything else."""
    parts = name.split("/")
    bad = (
        len(name) > MAX_NAME
        or any(part in ("", ".", "..") for part in parts)
        or not name.isprintable()
        or "\\" in name
    )
    return None if bad else name


def _milliseconds(message: Frame, took_ms: float) -> float:
    ms = message.get("ms")
    if isinstance(ms, int | float) and not isinstance(ms, bool) and math.isfinite(ms):
        return min(max(0.0, float(ms)), took_ms + 1000.0)
    return took_ms


class OnePiece:
    """A piece of a pickle on its way out."""

    def __init__(self) -> None:
        self.data = b""

    def take(self, kind: str, message: Frame, blob: bytes) -> None:
        if kind == "part" and not self.data and len(blob) <= PIECE:
            self.data = blob
        elif kind not in ("out", "display"):
            raise WireError(f"an unexpected frame {kind[:50]!r}")


class ExportCollector:
    """What is said of variables; of none that was not asked for."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._variables: dict[str, Frame] = {}

    def take(self, kind: str, message: Frame, blob: bytes) -> None:
        if kind == "exported":
            name = message.get("name")
            if not isinstance(name, str) or name not in self._names or name in self._variables:
                raise WireError("a variable that was not asked for")
            self._variables[name] = message
        elif kind not in ("out", "display"):
            raise WireError(f"an unexpected frame {kind[:50]!r}")

    def result(self, why: str) -> dict[str, Exported]:
        """What came; the rest failed because of `why`."""
        found = {}
        for name in self._names:
            head = self._variables.get(name)
            failed = Exported("failed", error=why or "it was not sent")
            found[name] = failed if head is None else _exported(head)
        return found


def _exported(head: Frame) -> Exported:
    type_name, summary = text_of(head, "type_name", 200), text_of(head, "summary", 400)
    kind = head.get("kind")
    if kind == "json":
        value = head.get("value")
        return Exported("json", value=value, type_name=type_name, summary=summary)
    if kind == "pickle":
        return Exported("pickle", type_name=type_name, summary=summary)
    error = text_of(head, "error", 500, "no reason given")
    gone = kind == "missing"
    return Exported("missing" if gone else "failed", type_name=type_name, error=error)
