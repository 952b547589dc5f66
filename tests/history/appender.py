"""Appends for ever and says what was committed: `python -m tests.history.appender DATABASE RUN`."""

from __future__ import annotations

import asyncio
import itertools
import sys

from planner_app.history import History
from tests.history.conftest import note


async def main(database: str, run_id: str) -> None:
    history = History.open(database)

    async def fill(who: int) -> None:
        for n in itertools.count():
            drafts = [note(f"{who} {n} {part}") for part in range(3)]
            events = await history.append(run_id, 1, drafts, durable=n % 7 == 0)
            print(who, n, events[-1].seq, flush=True)

    await asyncio.gather(*(fill(who) for who in range(4)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
