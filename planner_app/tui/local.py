"""The gateway to this machine's history and queue. Heavy: imported in a thread, after paint."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from planner_app.history import History
from planner_app.history.live import RESTART, LiveReader, LiveRow, live_file
from planner_app.queue import CommandKind, Queue, ensure_worker, make_way
from planner_app.tui.desk import Checks, Desk
from planner_app.tui.editing import PlanFile
from planner_app.tui.gateway import ExampleCard, Found, TeamLine
from planner_app.view.inbox import TaskRow, row_of
from planner_app.view.live import Live
from planner_app.view.status import ENDED, RUN_LOOKS

if TYPE_CHECKING:
    from planner_app.domain.events import Event
    from planner_app.history import RunRow
    from planner_app.settings import Settings

NEWEST = 500
"""Runs that the inbox lists, besides all that have not ended; the search finds the others."""
QUIET_AFTER = 10.0
"""Seconds without a change after which the look-out becomes lazier, to leave the machine alone."""
QUIET_PAUSE = 0.1
TAIL_CHARS = 12_000
MOVES = 16
"""Moves whose growing text is kept; more do not go on at once in one run."""
_GOING = tuple(name for name in RUN_LOOKS if name not in ENDED)
_FIELDS = {"reasoning": "reasoning", "text": "text", "stdout": "output", "stderr": "output"}


class LocalGateway:
    """History, queue and live text in the data folder. Methods may be called from any thread."""

    def __init__(self, settings: Settings, env: Mapping[str, str], desk: Desk) -> None:
        self._settings, self._env, self._desk = settings, env, desk
        self._history = History.open(settings.database_url or settings.paths.database)
        self._queue = Queue(self._history)
        self._live = LiveReader(live_file(self._history.path))
        self._seen, self._seen_at = -1, 0.0
        self._live_run = ""
        self._live_at = 0
        self._live_texts: dict[str, Live] = {}

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        checks: Checks | None = None,
    ) -> LocalGateway:
        """Opens, and if need be creates, the history. Raises HistoryError, BadInput."""
        env = os.environ if env is None else env
        return cls(settings, env, Desk(settings, env, cwd, checks or Checks()))

    # --- reading -----------------------------------------------------------------------------

    def team(self) -> TeamLine:
        return self._desk.team_line()

    def rows(self) -> list[TaskRow]:
        self._live_run = ""
        found = {row.run_id: row for row in self._history.runs(limit=NEWEST)}
        found |= {row.run_id: row for row in self._history.runs(status=_GOING)}
        return [_task_row(row) for row in found.values()]

    def events(self, run_id: str, after: int) -> list[Event]:
        return self._history.events(run_id, after)

    def blob(self, sha: str) -> bytes:
        return self._history.get_blob(sha)

    def live(self, run_id: str) -> Mapping[str, Live]:
        if run_id != self._live_run:
            self._live_run, self._live_at, self._live_texts = run_id, 0, {}
        while rows := self._live.read(run_id, self._live_at):
            self._live_at = rows[-1].id
            texts = dict(self._live_texts)
            for row in rows:
                texts[row.move_id] = _longer(texts.get(row.move_id) or Live(), row)
            self._live_texts = dict(list(texts.items())[-MOVES:])
        return self._live_texts

    def find(self, words: str) -> list[Found]:
        return [
            Found(hit.run_id, hit.run_title, hit.kind, hit.snippet, hit.marks, hit.seq)
            for hit in self._history.search(words, limit=60)
        ]

    def examples(self) -> Sequence[ExampleCard]:
        return self._desk.examples()

    # --- asking ------------------------------------------------------------------------------

    def resolve(self, run: str, cwd: Path | None) -> str:
        """The run that a person means. Raises NotFound."""
        return self._queue.resolve(run, cwd)

    def submit(self, text: str, follow_up_of: str | None = None) -> str:
        submission, settings = self._desk.task(text, follow_up_of)
        make_way(self._queue, self._desk.needs(), self._env)
        run_id = self._queue.submit(submission, settings).run_id
        self._see_to_worker()
        return run_id

    def submit_example(self, name: str) -> str:
        submission, settings = self._desk.example(name)
        run_id = self._queue.submit(submission, settings).run_id
        self._see_to_worker()
        return run_id

    def command(self, run_id: str, kind: str, data: Mapping[str, object]) -> None:
        self._queue.command(run_id, cast("CommandKind", kind), dict(data))
        self._see_to_worker()

    def _see_to_worker(self) -> None:
        ensure_worker(self._queue, self._settings.paths, self._env)

    def plan_file(self, run_id: str) -> PlanFile:
        from planner_app.domain.fold import fold

        return PlanFile(self._history.folder / "plans", fold(self._history.events(run_id)))

    # --- changes -----------------------------------------------------------------------------

    def changes(self) -> int:
        count = self._history.watcher.count()
        return count + self._live.count() if self._live_run else count

    def wait(self, seen: int, timeout: float) -> bool:
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        deadline = now + timeout
        while self.changes() == seen:
            now = time.monotonic()
            if now >= deadline:
                return False
            quiet = now - self._seen_at > QUIET_AFTER
            time.sleep(QUIET_PAUSE if quiet else self._history.watcher.pause())
        return True

    def close(self) -> None:
        self._live.close()
        self._history.close()


def _longer(live: Live, row: LiveRow) -> Live:
    """The end of the text with one more piece; what scrolled away long ago is not kept."""
    if row.kind == RESTART:
        return Live()
    said = {"reasoning": live.reasoning, "text": live.text, "output": live.output}
    if field := _FIELDS.get(row.kind):
        said[field] = (said[field] + row.text)[-TAIL_CHARS:]
    return Live(**said)


def _task_row(row: RunRow) -> TaskRow:
    return row_of(row.run_id, row.task_id, row.created_at, row.summary, row.tags)
