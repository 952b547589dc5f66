"""Measure the model layer: splitter, overhead of a call and of a token, import of litellm.

    python -m bench.models            # from the root of a checkout: figures and ratios of one run
    python -m bench.models --quick    # fewer rounds

Calls go to the loopback server of the tests, in a process of its own, through real litellm and
HTTP; bare litellm against the same server in the same run is what ours is compared with. A long
reply costs less with us than without: of the chunks that litellm reads again at the end, few stay.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

from planner_app.domain.catalogue import BudgetLimits
from planner_app.domain.fold import fold
from planner_app.domain.moves import CallModel
from planner_app.engine.assembly import assemble
from planner_app.engine.run_log import RunLog
from planner_app.engine.services import open_services
from planner_app.history import History
from planner_app.models.lite import load_litellm
from planner_app.models.litellm_client import LiteLLMClient, LiteLLMOptions
from planner_app.models.port import Message, ModelClient, ModelRequest, ModelSpec, ReplyKey
from planner_app.models.profiles import ProfileBook
from planner_app.models.think import ThinkSplitter
from planner_app.queue.embedded import Queue
from planner_app.queue.submission import Submission
from planner_app.settings import ModelsSettings, load_settings

CHUNK = 64 * 1024


def line(name: str, value: str, target: str) -> None:
    print(f"{name:<46} {value:>16}   {target}")


def best(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the fastest of some rounds, so that a busy machine does not count."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def splitter(rounds: int) -> None:
    for name, text in (
        ("prose", "word and some more text. " * 4000),
        ("code full of <", "if a<b: x<<y </p> <t " * 4000),
    ):
        chunk = text[:CHUNK]

        def big(chunk: str = chunk) -> None:
            made = ThinkSplitter()
            made.feed("<think>")
            for _ in range(50):
                made.feed(chunk)

        seconds = best(big, rounds)
        line(f"splitter, 64 KiB chunks, {name}", f"{50 * CHUNK / seconds / 1e6:.0f} MB/s", "> 50")

    def small() -> None:
        made = ThinkSplitter()
        made.feed("<think>")
        for _ in range(20_000):
            made.feed("token ")

    line("splitter, one token", f"{best(small, rounds) / 20_000 * 1e6:.2f} us", "< 3")


NAME = "openai/bench"
VERDICT = '{"ok": true, "problems": [], "unsupported": []}'
Work = Callable[[], Awaitable[object]]


@asynccontextmanager
async def server(tokens: int) -> AsyncIterator[str]:
    """The loopback server in a process of its own, so that its work is not counted as ours.

    It thinks so many tokens aloud, and then says little.
    """
    thought = "".join(f" w{n % 999:03}" for n in range(tokens))
    script = {"bench": [{"text": VERDICT, "reasoning": thought, "chunk": 5}]}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(script, file)
        file.flush()
        command = (sys.executable, "-m", "tests.loopback.server", "--script", file.name)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        try:
            yield (await process.stdout.readline()).decode().strip()
        finally:
            process.terminate()
            await process.wait()


def bare(litellm: ModuleType, base: str, messages: Sequence[Message]) -> Work:
    """The same call without us."""

    async def work() -> None:
        stream = await litellm.acompletion(
            model=NAME,
            messages=[{"role": one.role, "content": one.content} for one in messages],
            api_base=base,
            api_key="none",
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=100_000,
            max_retries=0,
            timeout=60.0,
        )
        async for chunk in stream:
            if chunk.choices:
                _ = chunk.choices[0].delta.content

    return work


def client_call(client: ModelClient, base: str, messages: Sequence[Message]) -> Work:
    """The call through our client: splitter, deadlines, usage, price."""
    request = ModelRequest(
        spec=ModelSpec(name=NAME, api_base=base),
        messages=tuple(messages),
        max_tokens=100_000,
        deadline_s=60.0,
        key=ReplyKey(role="planner", purpose="plan", turn=1),
    )

    async def work() -> None:
        await client.complete(request, lambda _: None)

    return work


@asynccontextmanager
async def run_call(base: str) -> AsyncIterator[tuple[Work, tuple[Message, ...]]]:
    """The call as a run makes it: budget, request and events recorded, live text, the verdict;
    and the messages that it sends."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(Path(folder), {**os.environ, "PLANNER_HOME": folder})
        models = ModelsSettings(api_bases={"openai/": base})
        settings = settings.model_copy(update={"models": models})
        history = History.open(settings.paths.database)
        queue = Queue(history)
        roles = dict.fromkeys(("planner", "executor", "checker"), NAME)
        free = BudgetLimits(usd=None, seconds=None, calls=None)
        wanted = Submission(text="A task.", models=roles, sandbox="unsafe-host", budget=free)
        run_id = queue.submit(wanted, settings).run_id
        me = queue.join("run")
        lease = queue.claim(me.worker_id, run_id)
        assert lease is not None
        async with open_services(settings, history, queue) as services:
            state = fold(await history.load_events(run_id))
            log = RunLog(history, run_id, lease.fence, state)
            crew = await assemble(log, services)
            turns = itertools.count(1)

            async def work() -> None:
                turn = next(turns)
                chat = f"checker/{turn}"
                move = CallModel(f"check/-/0/{turn}/1", "checker", "check", chat, turn)
                await crew.calls.perform(move)

            await work()
            sent = history.request(run_id, "check/-/0/1/1")
            yield work, tuple(Message.model_validate(one) for one in sent)
            ended = [e.type for e in history.events(run_id)].count("answer.checked")
            assert ended == next(turns) - 1, "every call was made and read"
            await crew.sessions.close()
        me.leave()
        history.close()


async def timed(works: Sequence[Work], rounds: int) -> list[tuple[float, float]]:
    """Median wall and CPU seconds of each work, taken in turns after one to warm up."""
    walls: list[list[float]] = [[] for _ in works]
    cpus: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for index, work in enumerate(works):
            wall, cpu = time.perf_counter(), time.process_time()
            await work()
            if number:
                walls[index].append(time.perf_counter() - wall)
                cpus[index].append(time.process_time() - cpu)
    return [(statistics.median(w), statistics.median(c)) for w, c in zip(walls, cpus, strict=True)]


def synced(rounds: int) -> float:
    """Median milliseconds in which the disk takes 4 KiB more of a file: each call waits for one."""
    times = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(rounds):
            began = time.perf_counter()
            os.write(file.fileno(), bytes(4096))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


async def both(litellm: ModuleType, tokens: int, rounds: int) -> list[tuple[float, float]]:
    """Bare, through our client, and as a run makes it, of one length of request and reply."""
    client = LiteLLMClient(LiteLLMOptions(ProfileBook.load()))
    async with server(tokens) as base, run_call(base) as (in_run, messages):
        alone, ours = bare(litellm, base, messages), client_call(client, base, messages)
        found = await timed([alone, ours, in_run], rounds)
    await client.aclose()
    return found


async def calls(rounds: int, many: int) -> None:
    began = time.perf_counter()
    litellm = await load_litellm()
    line("import of litellm, in a thread, once", f"{time.perf_counter() - began:.2f} s", "")
    short = await both(litellm, 1, rounds)
    line("call of one token, bare litellm, p50", f"{short[0][0] * 1e3:.1f} ms", "")
    for name, found in zip(("our client", "a run's call, fsynced"), short[1:], strict=True):
        wall, cpu = (1e3 * (ours - bare) for ours, bare in zip(found, short[0], strict=True))
        line(f"{name}, on top per call, p50", f"{wall:.2f} ms", f"< 5; CPU {cpu:.2f} ms")
    line("of that, one fsync of this disk, p50", f"{synced(rounds):.2f} ms", "")
    long = await both(litellm, many, max(3, rounds // 8))
    bare_us, client_us, run_us = (
        (after[1] - before[1]) / many * 1e6 for before, after in zip(short, long, strict=True)
    )
    line("litellm and HTTP, CPU per streamed token", f"{bare_us:.0f} us", f"of {many:,} tokens")
    for name, us in (("our client", client_us), ("a run's call, live text too", run_us)):
        share = (us - bare_us) / bare_us
        line(f"{name}, on top per token", f"{us - bare_us:.1f} us", f"{share:.0%}; < 25 %")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = options.parse_args().quick
    splitter(2 if quick else 5)
    asyncio.run(calls(10 if quick else 40, 1_000 if quick else 3_000))


if __name__ == "__main__":
    main()
