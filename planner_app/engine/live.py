"""Text as it comes: handed to the live database at once, forgotten when its event is in the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from planner_app.history.live import LiveWriter


@dataclass(frozen=True, slots=True)
class LiveStream:
    """The growing text of one move."""

    _writer: LiveWriter
    _run_id: str
    _move_id: str

    def write(self, kind: str, text: str) -> None:
        """More text of a kind: text, reasoning, stdout, stderr."""
        self._writer.write(self._run_id, self._move_id, kind, text)

    def restart(self) -> None:
        """What came so far does not count: a retry begins anew."""
        self._writer.restart(self._run_id, self._move_id)

    def pacing(self) -> bytes:
        """How the text came, as JSON lists of [ms, kind, characters]; empty when none came."""
        steps = self._writer.pacing(self._run_id, self._move_id)
        return json.dumps([[p.ms, p.kind, p.chars] for p in steps]).encode() if steps else b""


class LiveText:
    """The live streams of one run."""

    def __init__(self, writer: LiveWriter, run_id: str) -> None:
        self._writer = writer
        self._run_id = run_id
        writer.forget(run_id)

    @contextmanager
    def stream(self, move_id: str) -> Iterator[LiveStream]:
        """A stream for one move; its text goes when the block is left, after the final event."""
        try:
            yield LiveStream(self._writer, self._run_id, move_id)
        finally:
            self._writer.end(self._run_id, move_id)
