"""Try a call again when that may help: full jitter, Retry-After, and one deadline over all.

Retried are 408, 409, 429, 5xx, broken connections, timeouts and streams that were cut or empty;
never a refusal, an unknown model, an overflow or a policy. After the first piece of a stream a
retry starts the message anew, and the caller is told that the old one is superseded.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from planner_app.models.limiter import Limiter, PauseTooLongError, Turn, provider_of
from planner_app.models.port import (
    ModelClient,
    ModelError,
    ModelReply,
    ModelRequest,
    OnDelta,
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long."""

    max_retries: int = 5
    """Tries after the first one."""
    base_s: float = 1.0
    """Upper bound of the first wait, doubled for each further one."""
    cap_s: float = 60.0
    """Upper bound of any wait that the provider did not ask for."""

    def wait_s(self, number: int, rng: random.Random) -> float:
        """Seconds before retry `number` (from 1): anything up to the bound, so that calls that
        failed together do not come back together."""
        return rng.uniform(0.0, min(self.cap_s, self.base_s * 2.0 ** (number - 1)))


@dataclass(frozen=True, slots=True)
class Retry:
    """One try failed, and another follows."""

    number: int
    """1 for the first retry."""
    error: ModelError
    """What went wrong; it holds the usage and cost that are billed for it."""
    wait_s: float
    """Seconds until the next try."""
    superseded: bool
    """Pieces were given out: what was shown is to be struck out."""


OnRetry = Callable[[Retry], None]
"""Hears of each retry before its wait. It may raise a ModelError: then there is none."""


async def complete_with_retry(
    client: ModelClient,
    request: ModelRequest,
    on_delta: OnDelta,
    on_retry: OnRetry,
    *,
    policy: RetryPolicy | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    rng: random.Random | None = None,
    clock: Callable[[], float] = time.monotonic,
    limiter: Limiter | None = None,
    on_try: Callable[[], None] = lambda: None,
) -> ModelReply:
    """A reply, after as many tries as the policy and `request.deadline_s` (over all tries and
    waits, but not the turns that other calls have first) allow. `on_try` hears of each try just
    before it is sent. Raises the last ModelError, or one of kind `deadline`."""
    policy = policy or RetryPolicy()
    rng = rng or random.Random()
    tries = _Tries(client, request, on_delta, clock, limiter, on_try)
    number = 0
    while True:
        try:
            return await tries.another()
        except ModelError as error:
            number += 1
            wait = _wait(error, number, policy, rng)
            if not error.retryable or number > policy.max_retries or wait >= tries.left_s:
                if number > 1:
                    error.message += f", {number} times"
                    error.hint = error.hint or "try again later, or name fallbacks in the team"
                raise
            if error.kind == "rate_limited":
                tries.hold_all_back(wait)
            on_retry(Retry(number, error, wait, error.streamed))
            began = clock()
            await sleep(wait)
            tries.left_s -= clock() - began


def _wait(error: ModelError, number: int, policy: RetryPolicy, rng: random.Random) -> float:
    jitter = policy.wait_s(number, rng)
    return jitter if error.retry_after_s is None else max(error.retry_after_s, jitter)


class _Tries:
    """The tries of one call, each in its turn among the calls to its provider."""

    def __init__(
        self,
        client: ModelClient,
        request: ModelRequest,
        on_delta: OnDelta,
        clock: Callable[[], float],
        limiter: Limiter | None,
        on_try: Callable[[], None],
    ) -> None:
        self._client = client
        self._request = request
        self._on_delta = on_delta
        self._clock = clock
        self._limiter = limiter
        self._on_try = on_try
        self._provider = provider_of(request.spec.name, request.spec.api_base)
        self._tokens = client.count_tokens(request.spec, request.messages) + request.max_tokens
        self.left_s = request.deadline_s
        """Seconds that remain for tries and waits."""

    async def another(self) -> ModelReply:
        """One try, when its turn has come. Raises ModelError."""
        try:
            async with self._turn() as turn:
                request = self._within_time()
                began = self._clock()
                self._on_try()
                try:
                    reply = await self._client.complete(request, self._on_delta)
                finally:
                    self.left_s -= self._clock() - began
                if reply.usage.source == "provider":
                    turn.tokens = reply.usage.prompt_tokens + reply.usage.completion_tokens
                return reply
        except PauseTooLongError as error:
            raise ModelError(
                "rate_limited",
                f"{self._provider} asks to slow down for {error.wait_s:.0f} s more",
                retryable=False,
                retry_after_s=error.wait_s,
            ) from None

    def hold_all_back(self, seconds: float) -> None:
        """The provider wants fewer calls: all of this process wait."""
        if self._limiter is not None:
            self._limiter.pause(self._provider, seconds)

    def _turn(self) -> AbstractAsyncContextManager[Turn]:
        if self._limiter is None:
            return nullcontext(Turn(self._clock(), self._tokens))
        model = self._request.spec.name
        return self._limiter.slot(self._provider, self._tokens, self.left_s, model)

    def _within_time(self) -> ModelRequest:
        if self.left_s <= 0:
            whole = self._request.deadline_s
            raise ModelError("deadline", f"no time is left of the {whole:.0f} s for this call")
        return self._request.model_copy(update={"deadline_s": self.left_s})
