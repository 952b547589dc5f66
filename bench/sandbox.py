"""How fast the sandbox answers, beside the floors of the same engine in the same run.

python -m bench.sandbox [ROUNDS]     medians and p95 in milliseconds, ratios, and the bars
make bench-peers                     adds the executors of others to the run (bench/peers)

The bars in milliseconds are for a quiet machine with two cores; the ratios hold on any. Floors and
sessions are measured in turns, so that a busy machine slows both alike.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import Ours, lines
from planner_app.sandbox import (
    GuestCall,
    GuestModule,
    GuestReply,
    Launcher,
    Limits,
    SandboxOptions,
    Session,
    SessionSpec,
    open_launcher,
)

MIB = 1 << 20
KIT = GuestModule(
    "kit",
    "from planner import host\n\n@host()\ndef echo(x: int) -> int:\n    ...\n\n"
    "@host()\ndef wait() -> None:\n    ...\n",
)
SMALL = Limits(memory_bytes=256 * MIB, pids=64)
SETTLE_SECONDS = 0.25
"""The engine goes on clearing away a container after it has said that it is gone."""
PLAIN_FLAGS = ["--rm", "-i", "--network=none", "--log-driver=none"]


@dataclass
class Row:
    """One line of the table."""

    name: str
    times: list[float]
    """Milliseconds."""
    bar: float
    """Milliseconds, or the ratio to the floor if there is one."""
    floor: float = 0.0
    at: str = "median"
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * 0.95))]

    def line(self) -> str:
        value = self.p95 if self.at == "p95" else self.median
        measured = value / self.floor if self.floor else value
        unit = "x" if self.floor else "ms"
        verdict = "ok" if measured <= self.bar else "MISSED"
        ratio = f"{measured:8.2f} x" if self.floor else " " * 10
        return (
            f"{self.name:34}{self.median:9.2f}{self.p95:9.2f}{ratio}"
            f"   {self.at} <= {self.bar:g} {unit:3} {verdict:7}{self.note}"
        )


@dataclass
class Tools:
    """Answers at once, and keeps `wait` waiting."""

    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, call: GuestCall) -> GuestReply:
        if call.name == "wait":
            self.waiting.set()
            await asyncio.Event().wait()
        return GuestReply(ok=True, value=call.args.get("x"))


def spec(limits: Limits) -> SessionSpec:
    return SessionSpec("bench", "bench", 1, limits=limits, modules=(KIT,))


@asynccontextmanager
async def launcher_for(limits: Limits, **options: Any) -> AsyncIterator[Launcher]:
    with tempfile.TemporaryDirectory() as home:
        launcher = await open_launcher(
            "docker", SandboxOptions(home=Path(home), limits=limits, **options)
        )
        try:
            yield launcher
        finally:
            await launcher.close()


@asynccontextmanager
async def session_of(
    launcher: Launcher, limits: Limits, tools: Tools | None = None
) -> AsyncIterator[Session]:
    session = await launcher.open(spec(limits), tools or Tools())
    try:
        yield session
    finally:
        await session.close()


def peak_mib(*, anew: bool = False) -> float:
    """The most memory that this process has had, `anew`: counted from now on."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1000


async def checked(session: Session, code: str, value: str | None, **more: Any) -> float:
    """The milliseconds of an action whose value must be right."""
    began = time.perf_counter()
    result = await session.run(code, **more)
    took = (time.perf_counter() - began) * 1000
    if result.value != value:
        raise SystemExit(f"{code!r} gave {result}")
    return took


# -- the floors


class PlainPython:
    """`python -i` through `docker run -i`: what an answer costs at least."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, image: str) -> PlainPython:
        command = ["docker", "run", *PLAIN_FLAGS, image, "python3", "-u", "-i", "-q"]
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=null
        )
        python = cls(process)
        await python.ask()
        return python

    async def ask(self) -> None:
        if self._process.stdin is None or self._process.stdout is None:
            raise SystemExit("docker run gives no pipes")
        self._process.stdin.write(b"1+1\n")
        while await self._process.stdout.readline() != b"2\n":
            pass

    async def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()


def bare_container(client: Any, image: str) -> float:
    """Create and start a container that does nothing, in the engine's quickest way; in ms."""
    from docker.types import LogConfig

    api = client.api
    quiet = LogConfig(type="none")
    config = api.create_host_config(network_mode="none", auto_remove=True, log_config=quiet)
    began = time.perf_counter()
    made = api.create_container(image, ["sleep", "60"], network_disabled=True, host_config=config)
    api.start(made["Id"])
    took = (time.perf_counter() - began) * 1000
    api.remove_container(made["Id"], force=True)
    return took


# -- the measurements


async def warm_sums(image: str, rounds: int) -> list[Row]:
    """`1+1` and tool calls in a session, in turns with plain Python."""
    plain = await PlainPython.start(image)
    ours: list[float] = []
    floor: list[float] = []
    calls: list[float] = []
    code = (
        "import time\n_t = []\nfor _ in range(20):\n    _a = time.perf_counter()\n    echo(x=1)\n"
        "    _t.append((time.perf_counter() - _a) * 1e3)\n','.join(f'{t:.4f}' for t in _t)"
    )
    async with (
        launcher_for(SMALL, pool_size=0) as launcher,
        session_of(launcher, SMALL) as session,
    ):
        for number in range(rounds):
            for _ in range(10):
                ours.append(await checked(session, "1+1", "2"))
                floor.append(await timed(plain.ask))
            result = await session.run(code)
            if number and result.value:
                calls += [float(text) for text in result.value.strip("'").split(",")]
    await plain.close()
    ours, floor = ours[10:], floor[10:]
    floor_median = statistics.median(floor)
    warm = Row("warm 1+1", ours, 2.2, floor_median, note=f"  python -i: {floor_median:.2f} ms")
    return [warm, Row("tool call, there and back", calls, 2.0, warm.median)]


async def cold_starts(client: Any, image: str, rounds: int) -> Row:
    ours: list[float] = []
    floor: list[float] = []

    async def one_of_ours() -> None:
        began = time.perf_counter()
        session = await launcher.open(spec(SMALL), Tools())
        ours.append((time.perf_counter() - began) * 1000)
        await session.close()

    async def one_bare() -> None:
        floor.append(await asyncio.to_thread(bare_container, client, image))

    async with launcher_for(SMALL, pool_size=0) as launcher:
        for number in range(rounds):
            both = [one_of_ours, one_bare]
            for one in both if number % 2 else reversed(both):
                await asyncio.sleep(SETTLE_SECONDS)
                await one()
    median = statistics.median(floor)
    note = f"  bare create + start: {median:.0f} ms"
    return Row("ready from cold", ours, 1.25, median, note=note)


async def from_pool(rounds: int) -> Row:
    times = []
    async with launcher_for(SMALL, pool_size=2) as launcher:
        for _ in range(rounds):
            while len(getattr(launcher, "_warm")) < 2:  # noqa: ASYNC110, B009 - no event for it
                await asyncio.sleep(0.02)
            await asyncio.sleep(SETTLE_SECONDS)
            began = time.perf_counter()
            session = await launcher.open(spec(SMALL), Tools())
            await checked(session, "1+1", "2")
            times.append((time.perf_counter() - began) * 1000)
            await session.close()
    return Row("first result from the pool", times, 5.0)


BUSY = {
    "a busy loop": "print('on', flush=True)\nwhile True: pass",
    "a sleep": "import time\nprint('on', flush=True)\ntime.sleep(60)",
    "asyncio": "import asyncio\nprint('on', flush=True)\nawait asyncio.sleep(60)",
    "a tool": "wait()",
}


async def interrupts(rounds: int) -> list[Row]:
    tools, rows = Tools(), []
    async with (
        launcher_for(SMALL, pool_size=0) as launcher,
        session_of(launcher, SMALL, tools) as session,
    ):
        await session.run("kept = 1")
        for name, code in BUSY.items():
            times = []
            for _ in range(rounds):
                tools.waiting.clear()
                running = asyncio.create_task(
                    session.run(code, on_output=lambda *_: tools.waiting.set())
                )
                await tools.waiting.wait()
                await asyncio.sleep(0.002)  # let it get going: into the sleep, into the loop
                start = time.perf_counter()
                await session.interrupt()
                result = await running
                times.append((time.perf_counter() - start) * 1000)
                if result.status != "interrupted" or result.state_lost:
                    raise SystemExit(f"the interrupt of {name} gave {result}")
            rows.append(Row(f"interrupt of {name}", times, 15.0, at="p95"))
        await checked(session, "kept", "1")
    return rows


async def resets(rounds: int) -> Row:
    async with (
        launcher_for(SMALL, pool_size=0) as launcher,
        session_of(launcher, SMALL) as session,
    ):
        times = [await timed(session.reset) for _ in range(rounds)]
        await checked(session, "1+1", "2")
    return Row("reset", times, 25.0)


async def outputs(rounds: int) -> list[Row]:
    limits = Limits(memory_bytes=256 * MIB, pids=64, output_bytes=12 * MIB)
    times = []
    async with launcher_for(limits, pool_size=0) as launcher:
        async with session_of(launcher, SMALL) as session:  # first, while no heap is to spare
            before = peak_mib(anew=True)
            code = "import os\nfor _ in range(16384): os.write(1, b'x' * 65536)"
            flood = [await timed(lambda: session.run(code, timeout=100))]
            grown = peak_mib() - before
        async with session_of(launcher, limits) as session:
            for _ in range(rounds):
                began = time.perf_counter()
                code = "import os\nfor _ in range(160): os.write(1, b'x' * 65536)"
                result = await session.run(code)
                times.append((time.perf_counter() - began) * 1000)
                if len(result.stdout) != 160 * 65536 or result.dropped_bytes:
                    raise SystemExit("output was lost")
    note = f"  host grew by {grown:.1f} MB (bar: 10)"
    return [Row("10 MB of output", times, 100.0), Row("1 GB of output", flood, 60_000, note=note)]


async def twenty(actions: int) -> list[Row]:
    async with launcher_for(SMALL, pool_size=0) as launcher:
        began = time.perf_counter()
        sessions = await asyncio.gather(*(launcher.open(spec(SMALL), Tools()) for _ in range(20)))
        await asyncio.gather(*(checked(session, "1+1", "2") for session in sessions))
        took = (time.perf_counter() - began) * 1000

        async def many(session: Session) -> None:
            for n in range(actions // 20):
                await checked(session, f"{n}+1", str(n + 1))

        work = await timed(lambda: asyncio.gather(*(many(session) for session in sessions)))
        await asyncio.gather(*(session.close() for session in sessions))
    note = f"  {actions:,} actions over them in {work / 1000:.1f} s, none lost"
    return [Row("20 sandboxes at once", [took], 4000.0, note=note)]


async def memory_and_imports(client: Any, rounds: int) -> list[str | Row]:
    code = "import numpy, pandas, matplotlib.pyplot"
    times = []
    limits = Limits(memory_bytes=512 * MIB, pids=64)
    async with launcher_for(limits, pool_size=0) as launcher:
        for number in range(rounds):
            async with session_of(launcher, limits) as session:
                if number == 0:
                    await checked(session, "1+1", "2")
                    stats = client.api.stats(getattr(session, "where"), stream=False)  # noqa: B009
                times.append(await checked(session, code, None))
    preload = ("numpy", "pandas", "matplotlib.pyplot")
    async with (
        launcher_for(limits, pool_size=0, preload=preload) as launcher,
        session_of(launcher, limits) as session,
    ):
        preloaded = await checked(session, code, None)
    used = stats["memory_stats"]["usage"] / MIB
    verdict = "ok" if used <= 20 else "MISSED"
    idle = f"{'idle memory (engine count)':34}{used:9.1f} MiB{'':16}   <= 20 MiB      {verdict}"
    imports = Row("import numpy, pandas, pyplot", times, 800.0, note=f"  preloaded {preloaded:.1f}")
    return [imports, idle]


async def measure(rounds: int) -> None:
    import docker

    from planner_app.sandbox.image import ensure_image

    client = docker.from_env()
    image = ensure_image(client)
    print(f"{'milliseconds':34}{'median':>9}{'p95':>9}{'':10}   bar")

    def show(rows: Sequence[str | Row]) -> None:
        for row in rows:
            print(row if isinstance(row, str) else row.line(), flush=True)

    warm, call = await warm_sums(image, rounds)
    show([warm, call])
    cold = await cold_starts(client, image, max(8, rounds // 2))
    show([cold])
    show([await from_pool(max(5, rounds // 4))])
    show(await interrupts(rounds))
    show([await resets(rounds)])
    output, flood = await outputs(5)
    show([output, flood])
    show(await twenty(10_000))
    show(await memory_and_imports(client, 5))
    ours = Ours(cold.median, warm.median, output.median)
    show(await asyncio.to_thread(lines, client, ours, rounds))
    client.close()


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 40))
