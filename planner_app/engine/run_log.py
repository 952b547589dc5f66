"""The one appender of a run: facts go to the history, then into the state, then to viewers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from planner_app.domain.events import Event, EventDraft
from planner_app.domain.fold import fold
from planner_app.domain.state import RunState
from planner_app.engine.run_clock import RunClock
from planner_app.history import History
from planner_app.history.blobs import Packed, unpack

OnEvent = Callable[[Event], None]
WAITING_BYTES = 32 * 1024
"""Most bytes that one `put` lets wait for the next facts; more are packed off the event loop."""


class RunLog:
    """A run's state, and the only way to change it: by appending what happened."""

    def __init__(
        self,
        history: History,
        run_id: str,
        fence: int,
        state: RunState,
        on_event: OnEvent | None = None,
    ) -> None:
        self.history = history
        self.run_id = run_id
        self.state = state
        self._clock = RunClock(state.last_at)
        self._fence = fence
        self._on_event = on_event
        self._lock = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._numbers = {_source_key(s.kind, s.url, s.sha256): n for n, s in state.sources.items()}
        self._newest = max(state.sources, default=0)
        self._owners = {name: kept.step_id for name, kept in state.artifacts.items()}
        self._pending: set[asyncio.Task[list[Event]]] = set()
        self._unwritten: dict[str, Packed] = {}

    async def append(self, *drafts: EventDraft, durable: bool = False) -> list[Event]:
        """Record facts together. They are in the state once this returns.

        Cancelling the caller does not undo them: what is being written is written, and the state
        follows. After the run's end nothing is added. Raises FenceLost when another driver has
        the run.
        """
        if not drafts:
            return []
        return await asyncio.shield(self._started(drafts, durable))

    def append_soon(self, *drafts: EventDraft) -> None:
        """Record facts without waiting; they come before whatever is appended later."""
        self._started(drafts, durable=False)

    def _started(
        self, drafts: Sequence[EventDraft], durable: bool, only_at: int | None = None
    ) -> asyncio.Task[list[Event]]:
        task = asyncio.create_task(self._append(drafts, durable, only_at))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return task

    async def append_at(self, seq: int, *drafts: EventDraft) -> bool:
        """Record facts if nothing else was recorded since `seq`; False: something was."""
        return bool(await asyncio.shield(self._started(drafts, durable=False, only_at=seq)))

    async def _append(
        self, drafts: Sequence[EventDraft], durable: bool, only_at: int | None
    ) -> list[Event]:
        async with self._lock:
            if self.state.final is not None:
                return []  # the run is over: what was still under way is no part of it
            if only_at is not None and only_at != self.state.last_seq:
                return []
            now = max(self.now(), self.state.last_at)
            expected = self._expected(drafts, now)
            packed = tuple(self._unwritten.values())
            events = await self.history.append(
                self.run_id,
                self._fence,
                drafts,
                summary=expected.summary(),
                durable=durable,
                at=now,
                packed=packed,
            )
            for blob in packed:
                self._unwritten.pop(blob.sha256, None)
            came = (events[-1].seq, events[-1].at) == (expected.last_seq, now)
            self.state = expected if came else fold(events, self.state)
            if self._on_event is not None:
                for event in events:
                    self._on_event(event)
        async with self._changed:
            self._changed.notify_all()
        return events

    def _expected(self, drafts: Sequence[EventDraft], now: datetime) -> RunState:
        """The state after these facts."""
        first = self.state.last_seq + 1
        events = [Event.of(draft, self.run_id, first + i, now) for i, draft in enumerate(drafts)]
        return fold(events, self.state)

    def now(self) -> datetime:
        """The time by which this run is driven; it never jumps."""
        return self._clock.now()

    async def settled(self) -> None:
        """Waits for appends whose callers were cancelled."""
        if self._pending:
            await asyncio.gather(*self._pending, return_exceptions=True)

    async def until(self, holds: Callable[[RunState], bool]) -> None:
        """Waits until the state has a property."""
        async with self._changed:
            await self._changed.wait_for(lambda: holds(self.state))

    async def put(self, *datas: bytes) -> list[str]:
        """Bytes for facts to name; their sha256 in the same order.

        They are stored with the next facts, in one commit; what is big does not wait for that.
        """
        if sum(map(len, datas)) > WAITING_BYTES:
            return await self.history.put_blobs(datas)
        packed = self.history.pack_blobs(datas)
        self._unwritten.update((blob.sha256, blob) for blob in packed)
        return [blob.sha256 for blob in packed]

    async def put_text(self, text: str) -> str:
        """`put` for one text."""
        return (await self.put(text.encode("utf-8", "replace")))[0]

    def read(self, sha: str) -> str:
        """A blob as text. Raises NotFound."""
        if (waiting := self._unwritten.get(sha)) is not None:
            data = unpack(sha, waiting.codec, waiting.data)
        else:
            data = self.history.get_blob(sha)
        return data.decode("utf-8", "replace")

    def number(self, kind: str, url: str | None, sha256: str) -> tuple[int, bool]:
        """The number of a source, and whether it is new; the same source keeps its number."""
        key = _source_key(kind, url, sha256)
        known = self._numbers.get(key)
        if known is not None:
            return known, False
        self._newest += 1
        self._numbers[key] = self._newest
        return self._newest, True

    def artifact_name(self, name: str, step_id: str | None) -> str:
        """The name under which a step's file is kept. One of a step that it does not go on from
        is another file, and stays: this one gets the step's id before its name."""
        owner = self._owners.get(name)
        if owner is not None and step_id is not None and not self._follows(step_id, owner):
            return self.artifact_name(f"{step_id}/{name}", step_id)
        self._owners[name] = step_id
        return name

    def _follows(self, step_id: str, earlier: str) -> bool:
        waiting, seen = [step_id], {step_id}
        while waiting:
            new = set(self.state.steps[waiting.pop()].step.deps) - seen
            waiting += new
            seen |= new
        return earlier in seen


def _source_key(kind: str, url: str | None, sha256: str) -> tuple[Any, ...]:
    return (kind, url, sha256)
