"""`History`: one open database, with its writer, its readers and its watcher.

Methods without `async` block and may be called from any thread; each that an event loop needs has
an async form. Writes go through one thread, reads use connections of their own and wait for no
writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine

from planner_app.domain.events import Event, EventDraft
from planner_app.domain.summary import RunSummary
from planner_app.history import blobs, lists, log, requests, search
from planner_app.history.blobs import Packed
from planner_app.history.faults import storage
from planner_app.history.lists import ArtifactRow, NewRun, NewTask, RunRow, SourceRow
from planner_app.history.open import database_file, open_engine
from planner_app.history.search import Hit, Kind
from planner_app.history.times import to_us
from planner_app.history.watch import Watcher
from planner_app.history.writer import Work, Writer

T = TypeVar("T")
PATIENCE_SECONDS = 600.0
"""Somebody may look at the file in a database browser, or make a backup of it."""


class History:
    """The record of all runs."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.path = path
        """The database file."""
        self.folder = path.parent
        """Where its companions are: live.db, workers/."""
        self._engine = engine
        self._writer = Writer(engine, str(path))
        self._watcher = Watcher(path)
        self._recent = blobs.RecentBlobs()

    @classmethod
    def open(
        cls,
        place: str | Path,
        *,
        create: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Self:
        """Opens, and if need be creates or migrates, the database at `place` (a path or address).

        With `env`, PLANNER_DATABASE_URL wins. Raises NotFound when there is none and `create` is
        False, BadInput for an address that cannot be used, HistoryError for a file that cannot.
        """
        path = database_file(place, env)
        return cls(open_engine(path, create=create), path)

    def be_patient(
        self, on_wait: Callable[[str], object], seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Where runs are driven, writes wait this long for a program that has the file locked.

        What they hold was paid for. `on_wait` hears of each wait, in the writer's thread.
        """
        self._writer.be_patient(on_wait, seconds)

    def close(self) -> None:
        """Finishes what is being written and lets go of the file."""
        self._writer.close()
        self._watcher.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # --- the two ways in, for this package and the queue ---------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database."""
        with storage(str(self.path)), self._engine.connect() as connection:
            yield connection

    def write(self, work: Work[T], *, durable: bool = False) -> T:
        """Runs `work` in a transaction of the writer's thread and waits for the commit."""
        return self._writer.write(work, durable=durable)

    def submit(self, work: Work[T], *, durable: bool = False) -> Future[T]:
        """The same without waiting."""
        return self._writer.submit(work, durable=durable)

    async def write_async(self, work: Work[T], *, durable: bool = False) -> T:
        """The same for an event loop."""
        return await asyncio.wrap_future(self._writer.submit(work, durable=durable))

    # --- the log -------------------------------------------------------------------------------

    def create_run(
        self,
        run: NewRun,
        drafts: Sequence[EventDraft],
        *,
        task: NewTask | None = None,
        also: Callable[[Connection], None] | None = None,
    ) -> list[Event]:
        """Records a new run with its first events, and its task when that is new too; on disk.

        `also` writes more in the same transaction.
        """
        new = log.Append.of(run.id, None, drafts, None)

        def work(connection: Connection) -> list[Event]:
            if task is not None:
                lists.insert_task(connection, task)
            lists.insert_run(connection, run)
            events = log.append(connection, new, self._recent.reader(connection))
            if also is not None:
                also(connection)
            return events

        return self.write(work, durable=True)

    async def append(
        self,
        run_id: str,
        fence: int | None,
        drafts: Sequence[EventDraft],
        *,
        summary: RunSummary | None = None,
        durable: bool = False,
        at: datetime | None = None,
        packed: Sequence[Packed] = (),
    ) -> list[Event]:
        """Adds facts to a run's log, with `seq` and time; returns after the commit.

        `durable` waits for the disk too. `at` is when they happened (None: now), but never before
        the run's last event. Blobs that the drafts name were put before, or are `packed` and are
        stored with them. Raises FenceLost when `fence` is not the run's newest, ValueError for
        data over 16 KiB.
        """
        work = self._appending(run_id, fence, drafts, summary, at, packed)
        return await self.write_async(work, durable=durable)

    def append_now(
        self,
        run_id: str,
        fence: int | None,
        drafts: Sequence[EventDraft],
        *,
        summary: RunSummary | None = None,
        durable: bool = False,
    ) -> list[Event]:
        """`append` for code without an event loop."""
        return self.write(self._appending(run_id, fence, drafts, summary), durable=durable)

    def _appending(
        self,
        run_id: str,
        fence: int | None,
        drafts: Sequence[EventDraft],
        summary: RunSummary | None,
        at: datetime | None = None,
        packed: Sequence[Packed] = (),
    ) -> Work[list[Event]]:
        at_us = None if at is None else to_us(at)
        new = log.Append.of(run_id, fence, drafts, summary, at_us, packed)
        return lambda connection: log.append(connection, new, self._recent.reader(connection))

    def events(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        """The run's events with a `seq` over `after`, in order, upcast; unknown runs have none."""
        with self.reading() as connection:
            return log.events(connection, run_id, after, limit)

    async def load_events(
        self, run_id: str, after: int = 0, limit: int | None = None
    ) -> list[Event]:
        """`events` off the event loop."""
        return await asyncio.to_thread(self.events, run_id, after, limit)

    async def load_attempt(self, run_id: str, step_id: str, attempt: int) -> list[Event]:
        """The events of one attempt at a step, in order, off the event loop."""

        def read() -> list[Event]:
            with self.reading() as connection:
                return log.attempt_events(connection, run_id, step_id, attempt)

        return await asyncio.to_thread(read)

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[list[Event]]:
        """The events after `after`, then new ones as any process appends them. Does not end."""
        async for _ in self.changes():
            new = await self.load_events(run_id, after)
            if new:
                after = new[-1].seq
                yield new

    def request(self, run_id: str, move_id: str) -> list[dict[str, Any]]:
        """The exact messages of a model call. Raises NotFound for an unknown one."""
        with self.reading() as connection:
            found = log.events(connection, run_id)
            return requests.rebuild(found, move_id, self._recent.reader(connection))

    # --- blobs ---------------------------------------------------------------------------------

    def put_blob(self, data: bytes) -> str:
        """Stores bytes once and returns their sha256."""
        return self.put_blobs_now([data])[0]

    def put_blobs_now(self, datas: Sequence[bytes]) -> list[str]:
        """`put_blobs` for code without an event loop."""
        packed = self.pack_blobs(datas)
        self.write(lambda connection: blobs.store(connection, packed))
        return [p.sha256 for p in packed]

    async def put_blobs(self, datas: Sequence[bytes]) -> list[str]:
        """Stores several in one transaction; returns their sha256 in the same order."""
        if not datas:
            return []
        packed = await asyncio.to_thread(self.pack_blobs, datas)
        await self.write_async(lambda connection: blobs.store(connection, packed))
        return [p.sha256 for p in packed]

    def pack_blobs(self, datas: Sequence[bytes]) -> list[Packed]:
        """Bytes made ready to be stored with the facts that name them."""
        packed = [blobs.pack(data) for data in datas]
        self._recent.keep({p.sha256: data for p, data in zip(packed, datas, strict=True)})
        return packed

    def get_blob(self, sha256: str) -> bytes:
        """The bytes. Raises NotFound when they are not there, HistoryError when damaged."""
        return self.get_blobs([sha256])[sha256]

    def get_blobs(self, shas: Sequence[str]) -> dict[str, bytes]:
        """Several at once, by sha256."""
        found = {sha: data for sha in shas if (data := self._recent.get(sha)) is not None}
        missing = [sha for sha in shas if sha not in found]
        if missing:
            with self.reading() as connection:
                loaded = blobs.load(connection, missing)
            self._recent.keep(loaded)
            found |= loaded
        return found

    async def load_blobs(self, shas: Sequence[str]) -> dict[str, bytes]:
        """`get_blobs` off the event loop."""
        return await asyncio.to_thread(self.get_blobs, shas)

    # --- lists ---------------------------------------------------------------------------------

    def runs(
        self,
        *,
        status: Sequence[str] = (),
        tag: str | None = None,
        task_id: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[RunRow]:
        """Runs with their summaries, the newest first; empty `status` means all."""
        with self.reading() as connection:
            return lists.runs(
                connection, status=status, tag=tag, task_id=task_id, limit=limit, offset=offset
            )

    def run(self, run_id: str) -> RunRow:
        """One run. Raises NotFound."""
        with self.reading() as connection:
            return lists.run(connection, run_id)

    def status_counts(self) -> dict[str, int]:
        """How many runs stand at each status."""
        with self.reading() as connection:
            return lists.status_counts(connection)

    def spent_since(self, since: datetime) -> float:
        """US dollars that all runs spent at or after `since`."""
        with self.reading() as connection:
            return lists.spent_since(connection, since)

    def sources(self, run_id: str) -> list[SourceRow]:
        """A run's sources by number."""
        with self.reading() as connection:
            return lists.sources(connection, run_id)

    def artifacts(self, run_id: str) -> list[ArtifactRow]:
        """A run's artifacts, the newest of each name."""
        with self.reading() as connection:
            return lists.artifacts(connection, run_id)

    def search(
        self,
        words: str,
        *,
        kinds: Sequence[Kind] = (),
        run_id: str | None = None,
        limit: int = 20,
    ) -> list[Hit]:
        """Full-text search in all runs, best first; any text is a valid query."""
        with self.reading() as connection:
            read = self._recent.reader(connection)
            return search.search(connection, words, read, kinds=kinds, run_id=run_id, limit=limit)

    # --- changes -------------------------------------------------------------------------------

    @property
    def watcher(self) -> Watcher:
        """Tells of changes that any process makes."""
        return self._watcher

    def changes(self) -> AsyncIterator[None]:
        """Yields at once, then within about 50 ms after each change by any process."""
        return self._watcher.changes()

    def wait_for_change(self, timeout: float) -> bool:
        """Blocks until any process changes something; False when `timeout` seconds pass first."""
        return self._watcher.wait(timeout)
