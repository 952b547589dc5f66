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
from dataclasses import dataclass

from planner_app.models.limiter import Limiter, provider_of
from planner_app.models.port import (
    ModelClient,
    ModelError,
    ModelReply,
    ModelRequest,
    OnDelta,
    model_error,
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
) -> ModelReply:
    """A reply, after as many tries as the policy and `request.deadline_s` (over all tries and
    waits) allow. Raises the last ModelError, or one of kind `deadline`."""
    policy = policy or RetryPolicy()
    rng = rng or random.Random()
    ends = clock() + request.deadline_s
    provider = provider_of(request.spec.name, request.spec.api_base)
    number = 0
    while True:
        try:
            return await _one_try(client, request, on_delta, ends, clock, limiter, provider)
        except ModelError as error:
            number += 1
            wait = _wait(error, number, policy, rng)
            if error.kind == "rate_limited" and limiter is not None:
                limiter.pause(provider, wait)
            if not error.retryable or number > policy.max_retries or clock() + wait >= ends:
                raise
            on_retry(Retry(number, error, wait, error.streamed))
            await sleep(wait)


def _wait(error: ModelError, number: int, policy: RetryPolicy, rng: random.Random) -> float:
    jitter = policy.wait_s(number, rng)
    return jitter if error.retry_after_s is None else max(error.retry_after_s, jitter)


async def _one_try(
    client: ModelClient,
    request: ModelRequest,
    on_delta: OnDelta,
    ends: float,
    clock: Callable[[], float],
    limiter: Limiter | None,
    provider: str,
) -> ModelReply:
    if limiter is None:
        return await client.complete(_within(request, ends - clock()), on_delta)
    async with limiter.slot(provider):
        return await client.complete(_within(request, ends - clock()), on_delta)


def _within(request: ModelRequest, left_s: float) -> ModelRequest:
    if left_s <= 0:
        raise model_error(
            "deadline", f"no time is left of the {request.deadline_s:.0f} s for this call"
        )
    return request.model_copy(update={"deadline_s": left_s})
