"""Bound how hard one provider is pressed by all runs of a process.

At most so many calls at once; after a 429 every call to that provider waits until the pause is
over, and pauses do not add up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Provider:
    calls: asyncio.Semaphore
    until: float = 0.0


class Limiter:
    """Shared by all runs of a worker. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        at_once: int = 8,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._at_once = at_once
        self._clock = clock
        self._sleep = sleep
        self._providers: dict[str, _Provider] = {}

    def _of(self, provider: str) -> _Provider:
        if provider not in self._providers:
            self._providers[provider] = _Provider(asyncio.Semaphore(self._at_once))
        return self._providers[provider]

    @asynccontextmanager
    async def slot(self, provider: str) -> AsyncIterator[None]:
        """A place among the calls to a provider, once no pause is on."""
        state = self._of(provider)
        async with state.calls:
            while (wait := state.until - self._clock()) > 0:
                await self._sleep(wait)
            yield

    def pause(self, provider: str, seconds: float) -> None:
        """No call to this provider begins for so long. A shorter pause changes nothing."""
        state = self._of(provider)
        state.until = max(state.until, self._clock() + seconds)

    def waiting_s(self, provider: str) -> float:
        """Seconds until calls to a provider may begin; 0 when none is held back."""
        return max(0.0, self._of(provider).until - self._clock())


def provider_of(name: str, api_base: str | None = None) -> str:
    """Whose limits a model counts against: its server when it has one, else its provider."""
    return api_base or name.partition("/")[0]
