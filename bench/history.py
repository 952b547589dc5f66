"""Measures history and queue beside plain sqlite3 on the same disk: `python -m bench.history`.

Every figure is printed with its ratio to the plain form from the same run. The plain form writes
one row and commits in the same thread: no fence, no summary, no second thread, no JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from planner_app.domain.catalogue import NoteAdded, RunCreated, SourceAdded
from planner_app.domain.events import EventDraft
from planner_app.domain.summary import RunSummary
from planner_app.history import History, NewRun, NewTask
from planner_app.history.live import LiveReader, LiveWriter
from planner_app.queue import Lease, Queue
from planner_app.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parent.parent
SUMMARY = RunSummary(status="executing", phase="executing", title="Measure", steps_total=3)
NOTE = NoteAdded(text="An ordinary note of a hundred characters or so. " * 2).draft()
EVENTS = 10_000
TIMES = 300


def plain(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("CREATE TABLE IF NOT EXISTS e (run, seq, data, PRIMARY KEY (run, seq))")
    return connection


def plain_write(connection: sqlite3.Connection, seq: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO e VALUES ('r', ?, ?)", (seq, json.dumps(NOTE.data)))
    connection.execute("COMMIT")


def spans(times: int, work: Callable[[int], object]) -> list[float]:
    """Milliseconds of each call."""
    found = []
    for n in range(times):
        began = time.perf_counter()
        work(n)
        found.append((time.perf_counter() - began) * 1000)
    return found


def median_ms(times: int, work: Callable[[int], object]) -> float:
    return statistics.median(spans(times, work))


def show(name: str, ours: float, unit: str, base: float | None = None, beside: str = "") -> None:
    ratio = "" if base is None else f"   {ours / base:6.2f} x {beside} ({base:.3f} {unit})"
    print(f"{name:<46}{ours:10.3f} {unit}{ratio}", flush=True)


def lease_on_new_run(queue: Queue, settings: Settings, text: str = "Measure") -> Lease:
    from planner_app.queue import Submission

    run_id = queue.submit(Submission(text), settings).run_id
    lease = queue.claim(queue.join("worker").worker_id, run_id)
    assert lease
    return lease


def measure_opening(folder: Path) -> None:
    def first(n: int) -> None:
        History.open(folder / f"new{n}" / "planner.db").close()

    def bare(n: int) -> None:
        connection = plain(folder / f"bare{n}.db", "NORMAL")
        connection.close()

    first_ms = median_ms(7, first)
    show("first open (schema and all)", first_ms, "ms", median_ms(7, bare), "a new plain file")

    def again(_: int) -> None:
        with History.open(folder / "new0" / "planner.db") as history:
            history.runs(limit=50)

    def plain_again(_: int) -> None:
        connection = sqlite3.connect(folder / "bare0.db")
        connection.execute("SELECT * FROM e LIMIT 50").fetchall()
        connection.close()

    show("open and list", median_ms(30, again), "ms", median_ms(30, plain_again), "plain")


async def append(history: History, lease: Lease, durable: bool) -> None:
    await history.append(lease.run_id, lease.fence, [NOTE], summary=SUMMARY, durable=durable)


async def measure_appends(history: History, lease: Lease, folder: Path) -> None:
    for synchronous in ("NORMAL", "FULL"):
        durable = synchronous == "FULL"
        bare = plain(folder / f"{synchronous}.db", synchronous)
        base = median_ms(TIMES, lambda n, bare=bare: plain_write(bare, n))
        found = []
        for _ in range(TIMES):
            began = time.perf_counter()
            await append(history, lease, durable)
            found.append((time.perf_counter() - began) * 1000)
        name = "append, fsynced" if durable else "append"
        show(name, statistics.median(found), "ms", base, "plain insert and commit")
        bare.close()


async def measure_group(history: History, queue: Queue, settings: Settings) -> None:
    leases = [lease_on_new_run(queue, settings) for _ in range(8)]

    async def fill(lease: Lease) -> None:
        for _ in range(100):
            await append(history, lease, True)

    began = time.perf_counter()
    await fill(leases[0])
    alone = 100 / (time.perf_counter() - began)
    began = time.perf_counter()
    await asyncio.gather(*map(fill, leases))
    together = 800 / (time.perf_counter() - began)
    show("fsynced appends of 8 runs at once", together, "/s", alone, "of one run")


def measure_reading(history: History, lease: Lease, folder: Path) -> None:
    have = history.run(lease.run_id).seq
    for _ in range((EVENTS - have) // 500 + 1):
        history.append_now(lease.run_id, lease.fence, [NOTE] * 500)
    bare = plain(folder / "read.db", "NORMAL")
    data = json.dumps(NOTE.data)
    bare.executemany("INSERT INTO e VALUES ('r', ?, ?)", ((n, data) for n in range(EVENTS)))

    def plain_read(_: int) -> None:
        rows = bare.execute("SELECT seq, data FROM e WHERE run='r' ORDER BY seq LIMIT ?", (EVENTS,))
        [(seq, json.loads(text)) for seq, text in rows]

    ours = median_ms(5, lambda _: history.events(lease.run_id, 0, EVENTS))
    show("read 10,000 events", ours, "ms", median_ms(5, plain_read), "plain rows and json.loads")
    tail = median_ms(100, lambda _: history.events(lease.run_id, EVENTS - 5, 5))
    show("read the last 5 of them", tail, "ms")


def measure_lists(history: History) -> None:
    sha = history.put_blob(b"x")
    created = RunCreated(task_id="t", text="Which glacier is the longest?").draft()
    for n in range(1000):
        run, task = f"r_{n:010}", f"t_{n:010}"
        new = NewRun(run, task, SUMMARY)
        history.create_run(new, [created], task=NewTask(task, "Measure", sha))
    show("list 50 of 1,000 runs", median_ms(30, lambda _: history.runs(limit=50)), "ms")
    show("list 1,000 runs", median_ms(10, lambda _: history.runs()), "ms")


def measure_search(history: History, lease: Lease) -> None:
    words = [f"word{n % 5000}" for n in range(30_000)]
    page = " ".join(words)

    def source(n: int) -> EventDraft:
        sha = history.put_blob(f"{page} unique{n}".encode())
        data = SourceAdded(n=n + 1, kind="page", title=f"Page {n}", mime="text/html")
        return data.draft(blobs={"text": sha})

    pages = [source(n) for n in range(20)]

    def index(n: int) -> None:
        history.append_now(lease.run_id, lease.fence, [pages[n]])

    show(f"index a page of {len(page) // 1000} kB", median_ms(20, index), "ms")
    show("find a word in one page", median_ms(20, lambda n: history.search(f"unique{n}")), "ms")
    show("find a word in every page", median_ms(10, lambda _: history.search("word7 word8")), "ms")


WATCH = """
import asyncio, sys, time
from planner_app.history import History
async def main():
    with History.open(sys.argv[1]) as history:
        changes = history.changes()
        await anext(changes)
        print("ready", flush=True)
        async for _ in changes:
            print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
asyncio.run(main())
"""
IDLE = """
import asyncio, sys, time
from planner_app.history import History
async def main():
    with History.open(sys.argv[1]) as history:
        changes = history.changes()
        await anext(changes)
        began = time.process_time()
        try:
            await asyncio.wait_for(anext(changes), 10)
        except TimeoutError:
            pass
        print((time.process_time() - began) / 10 * 100)
asyncio.run(main())
"""


def measure_watching(history: History, lease: Lease) -> None:
    command = [sys.executable, "-c", WATCH, str(history.path)]
    found = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        for n in range(60):
            time.sleep(0.11 + 0.007 * (n % 10))  # at every phase of the other's looks
            history.append_now(lease.run_id, lease.fence, [NOTE])
            done = time.clock_gettime(time.CLOCK_MONOTONIC)
            found.append((float(process.stdout.readline()) - done) * 1000)
        process.kill()
    found.sort()
    show("another process notices, p50", found[30], "ms")
    show("another process notices, worst of 60", found[-1], "ms")
    idle = subprocess.check_output(
        [sys.executable, "-c", IDLE, str(history.path)], cwd=ROOT, text=True
    )
    show("CPU of watching while nothing changes", float(idle), "%")


def measure_live(folder: Path) -> None:
    writer, reader = LiveWriter(folder / "live.db"), LiveReader(folder / "live.db")
    tokens = 20_000
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    for n in range(tokens):
        writer.write("r", f"m{n % 8}", "text", "token ")
        if n % 400 == 0:
            time.sleep(0.1)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    writer.close()
    rows = len(reader.read("r", limit=100_000))
    reader.close()
    show(f"live text, {tokens / took:.0f} tokens/s in 8 streams", cpu / took * 100, "% CPU")
    show("live rows a second and stream", rows / took / 8, "")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_opening(folder)
        settings = load_settings(folder, {"PLANNER_HOME": str(folder / "home")})
        with History.open(settings.paths.database) as history:
            queue = Queue(history)
            lease = lease_on_new_run(queue, settings)
            asyncio.run(measure_appends(history, lease, folder))
            asyncio.run(measure_group(history, queue, settings))
            measure_reading(history, lease, folder)
            measure_lists(history)
            measure_search(history, lease)
            measure_watching(history, lease)
        measure_live(folder)


if __name__ == "__main__":
    main()
