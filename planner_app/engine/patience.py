"""Waits for a container engine that gives no answer, since it may only be restarting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from planner_app.domain.errors import EngineMissing

T = TypeVar("T")
ENGINE_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before an engine that gives no answer is asked again: one that restarts takes a few."""


async def outlast(
    ask: Callable[[], Awaitable[T]], tell: Callable[[str], Awaitable[None]] | None = None
) -> T:
    """What `ask` gives, asked again for as long as it raises EngineMissing and patience lasts.

    `tell` hears once that the engine is waited for. Raises what the last try raised.
    """
    patience = sum(ENGINE_PAUSES)
    until = time.monotonic() + patience
    for number, pause in enumerate(ENGINE_PAUSES):
        try:
            return await ask()
        except EngineMissing as error:
            if time.monotonic() + pause > until:  # it took its time to say nothing
                raise
            if number == 0 and tell is not None:
                await tell(f"{error.message}; it is waited for, {patience:.0f} s at most")
            await asyncio.sleep(pause)
    return await ask()
