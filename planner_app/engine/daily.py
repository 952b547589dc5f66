"""What is left of a day's dollars, counting what the calls under way here may still cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime


class DailyBudget:
    """One for all runs of a process, so that calls that start together cannot pass it together."""

    def __init__(
        self, limit: Callable[[], float | None], spent_since: Callable[[datetime], float]
    ) -> None:
        self._limit = limit
        self._spent_since = spent_since
        self._promised: dict[tuple[str, str], float] = {}
        self._released = asyncio.Event()

    def left(self) -> float | None:
        """US dollars that nobody has spent since midnight, here; None: there is no limit."""
        limit = self._limit()
        if limit is None:
            return None
        now = datetime.now().astimezone()
        return limit - self._spent_since(now.replace(hour=0, minute=0, second=0, microsecond=0))

    @property
    def promised(self) -> float:
        """US dollars that calls under way may still cost; what is left has to pay them, too."""
        return sum(self._promised.values())

    def promise(self, call: tuple[str, str], usd: float | None) -> None:
        """A call (its run and move) begins that costs at most so much; None: nobody knows."""
        self._promised[call] = usd or 0.0

    def release(self, call: tuple[str, str]) -> None:
        """It has ended, and what it cost is in the history."""
        self._promised.pop(call, None)
        self._released.set()
        self._released = asyncio.Event()

    async def one_released(self) -> None:
        """Waits until a call under way has ended."""
        await self._released.wait()
