"""Bound how hard one provider is pressed by all runs of a process.

At most so many calls at once, and so many requests and tokens in any minute; after a 429 every
call to that provider waits until the pause is over, and pauses do not add up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard a provider may be pressed."""

    at_once: int = 8
    """Calls under way at the same time."""
    requests_per_minute: int | None = None
    """Calls begun in any minute; None: no limit."""
    tokens_per_minute: int | None = None
    """Tokens of calls begun in any minute, prompt and reply; None: no limit."""


class PauseTooLongError(Exception):
    """A provider's pause outlasts the caller's patience."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"a pause of {wait_s:.0f} s")
        self.wait_s = wait_s
        """Seconds until calls may begin again."""


@dataclass(slots=True)
class Turn:
    """One call's place among the others."""

    began: float
    """When it began, on the limiter's clock."""
    tokens: int
    """What it counts for; to be set right once the provider has counted."""


@dataclass(slots=True)
class _Provider:
    pace: Pace
    calls: asyncio.Semaphore
    until: float = 0.0
    turns: deque[Turn] = field(default_factory=deque)

    def wait_s(self, now: float, tokens: int) -> float:
        """Seconds until the limits per minute let one more call begin."""
        while self.turns and self.turns[0].began <= now - MINUTE:
            self.turns.popleft()
        rows, most = self.pace.requests_per_minute, self.pace.tokens_per_minute
        wait = 0.0
        if rows is not None and len(self.turns) >= rows:
            wait = self.turns[len(self.turns) - rows].began + MINUTE - now
        if most is not None:
            left = sum(turn.tokens for turn in self.turns)
            for turn in self.turns:
                if left + tokens <= most:
                    break
                # A call that is larger than a minute's tokens goes when it is alone.
                left -= turn.tokens
                wait = max(wait, turn.began + MINUTE - now)
        return wait


class Limiter:
    """Shared by all runs of a worker. `clock` is monotonic, in seconds.

    `pace_of` gives the pace of a provider, from its name here and the first model asked of it.
    """

    def __init__(
        self,
        pace_of: Callable[[str, str], Pace] = lambda _provider, _model: Pace(),
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pace_of = pace_of
        self.clock = clock
        """Seconds, for all that is waited for here."""
        self.sleep = sleep
        """How that is waited for."""
        self._providers: dict[str, _Provider] = {}

    def _of(self, provider: str, model: str = "") -> _Provider:
        if provider not in self._providers:
            pace = self._pace_of(provider, model)
            self._providers[provider] = _Provider(pace, asyncio.Semaphore(pace.at_once))
        return self._providers[provider]

    @asynccontextmanager
    async def slot(
        self, provider: str, tokens: int = 0, patience_s: float | None = None, model: str = ""
    ) -> AsyncIterator[Turn]:
        """A place among the calls to a provider, once no pause is on and its limits allow it.

        Raises PauseTooLongError when the provider's own pause is longer than `patience_s`.
        """
        state = self._of(provider, model)
        async with state.calls:
            while True:
                now = self.clock()
                pause = state.until - now
                if patience_s is not None and pause > patience_s:
                    raise PauseTooLongError(pause)
                wait = max(pause, state.wait_s(now, tokens))
                if wait <= 0:
                    break
                await self.sleep(wait)
            turn = Turn(now, tokens)
            state.turns.append(turn)
            yield turn

    def pause(self, provider: str, seconds: float) -> None:
        """No call to this provider begins for so long. A shorter pause changes nothing."""
        state = self._of(provider)
        state.until = max(state.until, self.clock() + seconds)

    def waiting_s(self, provider: str) -> float:
        """Seconds until calls to a provider may begin; 0 when none is held back."""
        return max(0.0, self._of(provider).until - self.clock())


def provider_of(name: str, api_base: str | None = None) -> str:
    """Whose limits a model counts against: its server when it has one, else its provider."""
    return api_base or name.partition("/")[0]
