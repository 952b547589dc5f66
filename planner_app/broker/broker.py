"""One run's tools on the host: a call comes in by name and arguments, a value or an error goes out.

The order of every call: is there such a tool, are its arguments right, does a person have to
agree, and then the work, within the tool's time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue

from planner_app.broker import session_tools
from planner_app.broker.catalogue import ToolModule
from planner_app.broker.port import (
    CallContext,
    NetPolicy,
    NewSource,
    PageStore,
    SearchEngine,
    StoredSource,
    ToolFailed,
    ToolProblem,
    ToolRefused,
    ToolValue,
)
from planner_app.broker.reader import Reader
from planner_app.broker.registry import Registry
from planner_app.broker.signatures import ToolFunction
from planner_app.broker.web_tools import WebTools
from planner_app.domain.errors import PlannerError

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time that sources are stamped with."""
    return datetime.now(UTC)


class Broker:
    """Serves the calls of one run. It remembers what the run fetched."""

    def __init__(
        self,
        modules: Iterable[ToolModule],
        search: SearchEngine,
        pages: PageStore,
        reader: Reader,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`search`, `pages` and `reader` may be shared by runs, and are closed by their owner."""
        web = WebTools(search, pages, reader, clock)
        self._registry = Registry(modules, {**web.functions(), **session_tools.FUNCTIONS})

    @property
    def names(self) -> tuple[str, ...]:
        """The host functions, those that the engine does by itself too."""
        return self._registry.names

    def function(self, name: str) -> ToolFunction:
        """The signature behind a name. ToolRefused if there is none."""
        return self._registry.find(name).function

    def validate(self, name: str, args: Mapping[str, JsonValue]) -> dict[str, Any]:
        """The arguments, completed by defaults; for `ask_user` too. Raises ToolRefused."""
        return self._registry.validate(name, args)

    async def call(self, name: str, args: Mapping[str, JsonValue], ctx: CallContext) -> ToolValue:
        """Do it. Raises ToolRefused or ToolFailed, nothing else; cancelling it stops the work."""
        tool = self._registry.find(name)
        arguments = self._registry.validate(name, args)
        function = tool.function
        if tool.perform is None:
            raise ToolRefused("unknown", f"{name} is not a call that leaves the run")
        if function.approval == "outside":
            shown = ", ".join(f"{key}={str(value)[:80]!r}" for key, value in arguments.items())
            if not await ctx.approve(f"call {name}", shown):
                raise ToolRefused("approval", f"the person did not agree to {name}({shown})")
        try:
            async with asyncio.timeout(function.timeout) as limit:
                return await tool.perform(_Call(ctx, limit), **arguments)
        except ToolProblem:
            raise
        except TimeoutError:
            why = f"{name} took longer than {function.timeout:.0f} s"
            raise ToolFailed("timeout", why, retryable=True) from None
        except PlannerError as error:  # the run's own: a sandbox that is gone, a full disk
            raise ToolFailed("internal", f"{name} could not finish: {error}"[:600]) from error
        except Exception as error:
            _log.exception("tool %s broke", name)
            what = f"{type(error).__name__}: {error}"[:300]
            raise ToolFailed("internal", f"{name} broke on the host ({what})") from error


class _Call:
    """The call's context; the tool's time stands still while a person thinks."""

    def __init__(self, inner: CallContext, limit: asyncio.Timeout) -> None:
        self._inner = inner
        self._limit = limit

    @property
    def policy(self) -> NetPolicy:
        return self._inner.policy

    def add_source(self, source: NewSource) -> int:
        return self._inner.add_source(source)

    def source_text(self, n: int) -> StoredSource | None:
        return self._inner.source_text(n)

    def seen(self, url: str) -> bool:
        return self._inner.seen(url)

    async def read_file(self, path: str, max_bytes: int) -> bytes:
        return await self._inner.read_file(path, max_bytes)

    async def write_file(self, path: str, data: bytes) -> None:
        await self._inner.write_file(path, data)

    def save_artifact(self, name: str, title: str, data: bytes) -> None:
        self._inner.save_artifact(name, title, data)

    async def approve(self, what: str, detail: str) -> bool:
        loop = asyncio.get_running_loop()
        ends = self._limit.when()
        left = None if ends is None else ends - loop.time()
        self._limit.reschedule(None)
        try:
            return await self._inner.approve(what, detail)
        finally:
            if left is not None and not self._limit.expired():
                self._limit.reschedule(loop.time() + left)
