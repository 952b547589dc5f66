"""Opens sessions in containers, from a pool of warm ones where it can."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Literal

from planner_app.domain.errors import EngineMissing, PlannerError, SandboxError
from planner_app.sandbox import engine as containers
from planner_app.sandbox.attach import attach
from planner_app.sandbox.engine import Engine
from planner_app.sandbox.guest_session import GuestSession
from planner_app.sandbox.limits import Limits
from planner_app.sandbox.options import SandboxOptions
from planner_app.sandbox.session import Session, SessionSpec, ToolHandler

log = logging.getLogger(__name__)

MACHINE_LIMITS = ("memory_bytes", "cpus", "pids", "tmp_bytes", "workspace_bytes", "inodes")
"""The limits that a container is made with; the others can still be told to a warm one."""
REFILL_DELAY = 0.2
"""Seconds that the session which was just taken has the machine to itself."""
REFILL_PAUSES = (1.0, 5.0, 30.0)
"""Seconds before the pool tries again after its first, second and later failures."""


class DockerLauncher:
    """One container per session, and a few that wait for theirs."""

    kind: Literal["docker", "unsafe-host"] = "docker"

    def __init__(self, engine: Engine, options: SandboxOptions) -> None:
        self._engine = engine
        self._options = options
        self._starts = asyncio.Semaphore(max(1, options.parallel_starts))
        self._warm: list[GuestSession] = []
        self._open: set[GuestSession] = set()
        self._wanted = asyncio.Event()
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False

    @classmethod
    async def start(cls, engine: Engine, options: SandboxOptions) -> DockerLauncher:
        """A launcher that fills its pool in the background."""
        launcher = cls(engine, options)
        launcher._keep(asyncio.create_task(launcher._collect(), name="collect leftovers"))
        if options.pool_size > 0:
            launcher._wanted.set()
            launcher._keep(asyncio.create_task(launcher._refill(), name="sandbox pool"))
        return launcher

    def _keep(self, task: asyncio.Task[object]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _collect(self) -> None:
        """What processes that died left behind; a failure here is no reason not to work."""
        client, home = self._engine.client, self._options.home
        try:
            names = await asyncio.to_thread(containers.remove_leftovers, client, home)
        except PlannerError as error:
            log.warning("%s", error)
        else:
            if names:
                log.info("removed left-over sandboxes: %s", ", ".join(names))

    async def open(self, spec: SessionSpec, tools: ToolHandler) -> Session:
        """See Launcher.open."""
        if self._closed:
            raise SandboxError("no sandbox is opened any more: the launcher is closed")
        session = self._take_warm(spec.limits)
        if session is None:
            labels = _labels(spec)
            session = await self._start_one(
                spec.limits, labels, lambda new: new.configure(spec, tools)
            )
            self._keep_track(session)
            return session
        self._keep_track(session)
        try:
            await session.configure(spec, tools)
        except BaseException:
            await self._end(session)
            raise
        return session

    def _keep_track(self, session: GuestSession) -> None:
        self._open = {other for other in self._open if not other.ended} | {session}

    def _take_warm(self, limits: Limits) -> GuestSession | None:
        fits = all(getattr(limits, n) == getattr(self._options.limits, n) for n in MACHINE_LIMITS)
        while fits and self._warm:
            session = self._warm.pop(0)
            self._wanted.set()
            if session.alive:
                return session
            self._open.add(session)  # dead: it clears itself away, and close() waits for that
        return None

    async def _start_one(
        self,
        limits: Limits,
        labels: dict[str, str],
        prepare: Callable[[GuestSession], Awaitable[None]],
    ) -> GuestSession:
        """Create, attach, start, and wait until it is ready. Leaves nothing behind if it fails.

        `prepare` runs beside the start: what it sends is there when the guest begins to read.
        """
        engine = self._engine
        async with self._starts:
            making = asyncio.ensure_future(
                asyncio.to_thread(containers.create, engine, self._options, limits, labels)
            )
            try:
                container = await asyncio.shield(making)
            except asyncio.CancelledError:
                self._keep(asyncio.create_task(self._unmake(making), name="unmake a sandbox"))
                raise

            async def end() -> None:
                await self._end_container(container)

            try:
                stream = await attach(engine, container)
            except BaseException:
                await asyncio.shield(self._remove(container))
                raise
            session = GuestSession(stream, container[:12], end)
            preparing = asyncio.ensure_future(prepare(session))
            try:
                await self._begin(session, container)
                await preparing
            except BaseException:
                preparing.cancel()
                await asyncio.gather(preparing, return_exceptions=True)
                await session.close()
                raise
        return session

    async def _begin(self, session: GuestSession, container: str) -> None:
        await asyncio.to_thread(containers.start, self._engine, container)
        await session.start()

    async def _unmake(self, making: asyncio.Future[str]) -> None:
        """Its start was cancelled while the engine was creating it."""
        with contextlib.suppress(PlannerError):  # then there is nothing to remove
            await self._remove(await making)

    async def _remove(self, container: str) -> None:
        try:
            await self._end_container(container)
        except EngineMissing as error:
            log.warning("%s", error)

    async def _end_container(self, container: str) -> None:
        """Raises EngineMissing."""
        try:
            await asyncio.to_thread(containers.remove, self._engine, container)
        except SandboxError as error:
            log.warning("%s", error)  # its stdin is closed, so it ends itself

    async def _refill(self) -> None:
        """Keep the pool at its size; stops nothing and waits longer when the engine fails."""
        failures = 0
        labels = {containers.RUN: "pool"}
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await asyncio.sleep(REFILL_DELAY)
            while len(self._warm) < self._options.pool_size:
                try:
                    session = await self._start_one(self._options.limits, labels, _as_it_is)
                except PlannerError as error:
                    log.warning("the sandbox pool could not be filled: %s", error)
                    await asyncio.sleep(REFILL_PAUSES[min(failures, len(REFILL_PAUSES) - 1)])
                    failures += 1
                else:
                    failures = 0
                    self._warm.append(session)

    async def _end(self, session: GuestSession) -> None:
        self._open.discard(session)
        await session.close()

    async def close(self) -> None:
        """See Launcher.close."""
        self._closed = True
        for task in self._tasks:
            if task.get_name() == "sandbox pool":
                task.cancel()
        sessions = [*self._warm, *self._open]
        self._warm.clear()
        self._open.clear()
        await asyncio.gather(*(session.close() for session in sessions))
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._engine.client.close)


async def _as_it_is(session: GuestSession) -> None:
    """A session of the pool is nobody's yet."""


def _labels(spec: SessionSpec) -> dict[str, str]:
    return {
        **spec.labels,
        containers.RUN: spec.run_id,
        containers.STEP: spec.step_id,
        containers.ATTEMPT: str(spec.attempt),
    }
