"""Measure the model layer: splitter, parser, overhead of a call and of a token, import of litellm.

    python -m bench.models            # from the root of a checkout: figures and ratios of one run
    python -m bench.models --quick    # fewer rounds

Calls go to the loopback server of the tests, through real litellm and HTTP; bare litellm against
the same server in the same run is what ours is compared with.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable

from pydantic import BaseModel

from planner_app.models.lite import load_litellm
from planner_app.models.litellm_client import LiteLLMClient, LiteLLMOptions
from planner_app.models.port import Message, ModelRequest, ModelSpec, ReplyKey
from planner_app.models.profiles import ProfileBook
from planner_app.models.structured import StructuredError, parse
from planner_app.models.think import ThinkSplitter
from tests.loopback.server import LoopbackServer, Reply

CHUNK = 64 * 1024


class Action(BaseModel):
    thought: str
    code: str | None
    done: bool


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


HARD: dict[str, Callable[[int], str]] = {
    "valid": lambda n: json.dumps({"thought": "x" * n, "code": "y", "done": True}),
    "trailing comma": lambda n: '{"thought": "' + "a b " * (n // 4) + '", "code": "", "done": 1,}',
    "escapes": lambda n: '{"thought": "' + "\\d" * (n // 2) + '", "code": "", "done": true}',
    "inner quotes": lambda n: '{"thought": "' + 'a "b" ' * (n // 6) + '", "code": "", "done": 1}',
    "braces only": lambda n: "{" * n,
    "brackets mixed": lambda n: "[{" * (n // 2),
    "quotes and braces": lambda n: '{"' * (n // 2),
    "cut keys": lambda n: '{"thought" 1}' * (n // 13),
    "comments": lambda n: '{"thought": "' + '"/*' * (n // 3),
    "fences": lambda n: "```json\n" * (n // 8),
    "think tags": lambda n: "<think>" * (n // 7),
    "prose": lambda n: "some {text} here [1] " * (n // 21),
}


def parser(rounds: int) -> None:
    def read(text: str) -> None:
        try:
            parse(text, Action)
        except StructuredError:
            return

    worst = 0.0
    for name, make in HARD.items():
        one, two = make(170_000), make(340_000)
        first = best(lambda one=one: read(one), rounds)
        second = best(lambda two=two: read(two), rounds)
        worst = max(worst, second / max(first, 1e-4))
        line(
            f"parse 170 KB, {name}",
            f"{first * 1e3:.0f} ms",
            f"twice as long: x{second / first:.1f}",
        )
    line("parser, worst growth when doubled", f"x{worst:.1f}", "about 2: linear")


def request(base: str, max_tokens: int = 100_000) -> ModelRequest:
    return ModelRequest(
        spec=ModelSpec(name="openai/bench", api_base=base),
        messages=(Message(role="user", content="hello"),),
        max_tokens=max_tokens,
        deadline_s=60.0,
        key=ReplyKey(role="planner", purpose="plan", turn=1),
    )


async def calls(rounds: int) -> None:
    began = time.perf_counter()
    litellm = await load_litellm()
    line("import of litellm, in a thread, once", f"{time.perf_counter() - began:.2f} s", "")
    server = LoopbackServer()
    await server.start()
    client = LiteLLMClient(LiteLLMOptions(ProfileBook.load()))

    async def bare() -> None:
        stream = await litellm.acompletion(
            model="openai/bench",
            messages=[{"role": "user", "content": "hello"}],
            api_base=server.base,
            api_key="none",
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=1000,
            max_retries=0,
            timeout=60.0,
        )
        async for chunk in stream:
            if chunk.choices:
                _ = chunk.choices[0].delta.content

    async def ours() -> None:
        await client.complete(request(server.base), lambda _: None)

    async def timed(tokens: int) -> tuple[float, float]:
        """Median seconds of a call, bare and ours, taken in turns."""
        server.serve("bench", Reply("".join(f"{n:04}" for n in range(tokens)), chunk=4))
        await bare()
        await ours()
        bares, mine = [], []
        for _ in range(rounds):
            for work, times in ((bare, bares), (ours, mine)):
                began = time.perf_counter()
                await work()
                times.append(time.perf_counter() - began)
        return statistics.median(bares), statistics.median(mine)

    short_bare, short_ours = await timed(1)
    line("call of one token, bare litellm p50", f"{short_bare * 1e3:.1f} ms", "")
    over = (short_ours - short_bare) * 1e3
    line("our overhead per call, p50", f"{over:.2f} ms", "< 5")
    many = 1000
    long_bare, long_ours = await timed(many)
    bare_token = (long_bare - short_bare) / many * 1e6
    ours_token = ((long_ours - short_ours) - (long_bare - short_bare)) / many * 1e6
    line("litellm and HTTP per streamed token", f"{bare_token:.0f} us", "")
    line(
        "ours on top per streamed token",
        f"{ours_token:.1f} us",
        f"{ours_token / bare_token:.0%} of litellm's; < 25 %",
    )
    await client.aclose()
    await server.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = options.parse_args().quick
    splitter(2 if quick else 5)
    parser(1 if quick else 3)
    asyncio.run(calls(10 if quick else 40))


if __name__ == "__main__":
    main()
