"""Web search over several public backends; a search that failed is never an empty result.

ddgs by itself says "no results" also for a backend that refused to answer. So its engines are
asked one by one here, and nothing counts as "nothing found" until two of them agree.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from planner_app.broker.port import Hit, SearchQuery, ToolFailed
from planner_app.domain.errors import BadInput

BACKENDS = ("duckduckgo", "brave", "mojeek", "startpage", "yahoo")
"""In the order to try. Neighbours have indexes of their own, so that two can confirm each other."""
BACKEND_S = 8
"""Seconds that one backend may take."""
TOTAL_S = 40.0
AGREE = 2
"""Backends that must find nothing before nothing is there."""
COOL_S = 60.0
"""A backend that refused is asked last for so long, doubled at each further refusal."""
MAX_COOL_S = 1800.0

AskBackend = Callable[[str, SearchQuery], Sequence[Hit] | None]
"""Blocking: a backend's hits; None when it refused to answer. Any error: it failed."""


class PublicSearch:
    """Asks one backend after the other until one has hits."""

    def __init__(
        self,
        backends: Sequence[str] = (),
        *,
        ask: AskBackend | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        backend_s: float = BACKEND_S,
        total_s: float = TOTAL_S,
    ) -> None:
        """`backends` in the order to try; empty: our own choice. The rest is for tests."""
        self._backends = tuple(backends) or BACKENDS
        self._ask = ask or ask_ddgs
        self._sleep = sleep
        self._clock = clock
        self._rng = rng or random.Random()
        self._backend_s = backend_s
        self._total_s = total_s
        self._resting: dict[str, tuple[float, float]] = {}  # backend: until when, for how long
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="search")

    async def search(self, query: SearchQuery) -> tuple[Hit, ...]:
        """The hits. ToolFailed names each backend with its reason."""
        deadline = self._clock() + self._total_s
        empty: list[str] = []
        reasons: dict[str, str] = {}
        for position, backend in enumerate(self._in_order()):
            if self._clock() >= deadline:
                reasons[backend] = "no time left"
                continue
            if position:
                await self._sleep(self._rng.uniform(0.2, 0.6))
            answer = await self._one(backend, query)
            if isinstance(answer, str):
                reasons[backend] = answer
                self._rest(backend)
                continue
            self._resting.pop(backend, None)
            if answer:
                return answer[: query.max_results]
            empty.append(backend)
            if len(empty) >= min(AGREE, len(self._backends)):
                return ()
        reasons |= dict.fromkeys(empty, "an empty page, which no other backend confirmed")
        told = "; ".join(f"{backend}: {reason}" for backend, reason in reasons.items())
        raise ToolFailed("search", f"the search failed ({told})", retryable=True)

    async def close(self) -> None:
        """Let running requests end by themselves; they have their own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _one(self, backend: str, query: SearchQuery) -> tuple[Hit, ...] | str:
        """The backend's hits, or why it has none to give."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._backend_s + 2):
                answer = await loop.run_in_executor(self._threads, self._ask, backend, query)
        except TimeoutError:
            return "timed out"
        except Exception as error:  # noqa: BLE001  each backend fails in its own way, and is named
            return " ".join(f"{type(error).__name__}: {error}".split())[:160]
        if answer is None:
            return "refused to answer (blocked or rate limited)"
        return tuple(hit for hit in answer if hit.url.startswith(("http://", "https://")))

    def _in_order(self) -> list[str]:
        """Those that refused lately come last."""
        now = self._clock()
        return sorted(self._backends, key=lambda name: self._resting.get(name, (0.0, 0.0))[0] > now)

    def _rest(self, backend: str) -> None:
        _, before = self._resting.get(backend, (0.0, 0.0))
        length = min(MAX_COOL_S, before * 2 or COOL_S)
        self._resting[backend] = (self._clock() + length, length)


def ask_ddgs(backend: str, query: SearchQuery) -> Sequence[Hit] | None:
    """Ask one of ddgs's engines. BadInput for a name it does not have."""
    from ddgs.engines import ENGINES

    engines = ENGINES["text"]
    if backend not in engines:
        raise BadInput(f"there is no search backend {backend!r}", f"use {', '.join(engines)}")
    engine = engines[backend](timeout=BACKEND_S)
    found = engine.search(
        query.words,
        region=query.region or "us-en",
        safesearch="moderate",
        timelimit=query.time[0] if query.time else None,
        page=1,
    )
    if found is None:
        return None
    return [hit_of(str(item.title), str(item.href), str(item.body)) for item in found]


_LEADING_DATE = re.compile(
    r"^(?P<date>[A-Z][a-z]{2} \d{1,2}, \d{4}|\d{1,2} [A-Z][a-z]{2} \d{4}|\d{4}-\d{2}-\d{2})"
    r"\s*(?:[\u2014\u00b7\u2013:-]+|\.\.\.)\s*"
)


def hit_of(title: str, url: str, snippet: str, date: str | None = None) -> Hit:
    """A hit in one line each, with the date that many engines put before the snippet."""
    snippet = " ".join(snippet.split())
    found = _LEADING_DATE.match(snippet)
    if found and date is None:
        date = _iso_date(found.group("date"))
    return Hit(" ".join(title.split()) or url, url.strip(), snippet[:600], date)


def _iso_date(text: str) -> str | None:
    for form in ("%b %d, %Y", "%d %b %Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007  a day only
        except ValueError:
            continue
    return None
