"""What the program itself costs: a turn's overhead beside its commits, and a whole example.

python -m bench.engine [RUNS]     prints medians from one run

A turn's overhead is everything between two replies of the executor's model but the model's own
time, the code's own time, and the waits for commits, which are shown apart. Replies are scripted
and the guest is a local process, so that neither a model nor an engine is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from planner_app.domain.events import EventDraft
from planner_app.engine.driver import drive
from planner_app.engine.services import open_services
from planner_app.history import History
from planner_app.queue.embedded import Queue
from planner_app.queue.submission import Submission
from planner_app.settings import load_settings

TURNS = 12
OVERHEAD_MS = 5.0
EXAMPLE_SECONDS = 8.0
EXAMPLE_MB = 250


class TimedHistory(History):
    """A history that adds up how long its writes were waited for."""

    waited = 0.0

    async def append(
        self, run_id: str, fence: int | None, drafts: Sequence[EventDraft], **more: Any
    ) -> Any:
        began = time.perf_counter()
        try:
            return await super().append(run_id, fence, drafts, **more)
        finally:
            self.waited += time.perf_counter() - began

    async def put_blobs(self, datas: Sequence[bytes]) -> list[str]:
        began = time.perf_counter()
        try:
            return await super().put_blobs(datas)
        finally:
            self.waited += time.perf_counter() - began


def script(folder: Path) -> str:
    """One step of many short actions."""
    steps = [{"id": "a", "objective": "count", "max_actions": TURNS + 1}]
    lines: list[dict[str, Any]] = [
        {"role": "planner", "turn": 1, "text": f"```json\n{json.dumps({'steps': steps})}\n```"}
    ]
    for turn in range(1, TURNS + 1):
        text = f"```python\nx = {turn} * {turn}\nx\n```"
        lines.append({"role": "executor", "step": "a", "attempt": 1, "turn": turn, "text": text})
    report = json.dumps({"verdict": "done", "result": "counted"})
    last = {"role": "executor", "step": "a", "attempt": 1, "turn": TURNS + 1}
    lines.append(last | {"text": f"```report\n{report}\n```"})
    lines.append({"role": "checker", "turn": 1, "text": '```json\n{"ok": true}\n```'})
    path = folder / "script.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"scripted:{path}"


async def turns(runs: int) -> tuple[list[float], list[float]]:
    """Milliseconds of overhead, and of waiting for commits, per turn."""
    overheads, commits = [], []
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        settings = load_settings(folder, {"PLANNER_HOME": home})
        history = TimedHistory.open(settings.paths.database)
        queue = Queue(history)
        models = dict.fromkeys(("planner", "executor", "checker"), script(folder))
        async with open_services(settings, history, queue) as services:
            for _ in range(runs):
                wanted = Submission("count", models=models, sandbox="unsafe-host")
                run_id = queue.submit(wanted, settings).run_id
                me = await asyncio.to_thread(queue.join, "run")
                lease = await asyncio.to_thread(queue.claim, me.worker_id, run_id)
                assert lease is not None
                marks: list[tuple[float, float, float]] = []
                own = 0.0

                def note(event: Any, marks: Any = marks) -> None:
                    nonlocal own
                    if event.type == "action.finished":
                        own += event.data["ms"]
                    if event.type == "model.finished" and event.data["role"] == "executor":
                        own += event.data["ms"]
                        marks.append((time.perf_counter() * 1000, history.waited * 1000, own))

                await drive(lease, services, on_event=note)
                await asyncio.to_thread(me.leave)
                # The first turns open the sandbox; the last one reports.
                for (t0, c0, o0), (t1, c1, o1) in pairwise(marks[1:-1]):
                    commits.append(c1 - c0)
                    overheads.append((t1 - t0) - (c1 - c0) - (o1 - o0))
        history.close()
    return overheads, commits


def example(name: str, sandbox: Sequence[str]) -> tuple[float, float]:
    """Seconds and MB of a bundled example from the command line, in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "planner_app", "run", "--example", name, *sandbox]
        began = time.perf_counter()
        subprocess.run(
            command,
            env={**os.environ, "PLANNER_HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return seconds, peak


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    overheads, commits = asyncio.run(turns(runs))
    p50 = statistics.median(overheads)
    p95 = statistics.quantiles(overheads, n=20)[-1]
    print(f"executor turn ({len(overheads)} turns): overhead p50 {p50:.2f} ms, p95 {p95:.2f} ms")
    print(f"  bar: p50 under {OVERHEAD_MS:g} ms: {'met' if p50 < OVERHEAD_MS else 'MISSED'}")
    print(f"  commits apart: p50 {statistics.median(commits):.2f} ms")
    from planner_app.sandbox.engine_setup import check_engine

    sandbox = [] if check_engine().ok else ["--sandbox", "unsafe-host"]
    for name in ("research", "surprise"):
        seconds, peak = example(name, sandbox)
        fast = seconds < EXAMPLE_SECONDS
        small = peak < EXAMPLE_MB
        print(f"example {name}: {seconds:.1f} s ({'met' if fast else 'MISSED'}: 8 s), ", end="")
        print(f"peak {peak:.0f} MB ({'met' if small else 'MISSED'}: {EXAMPLE_MB} MB)")


if __name__ == "__main__":
    main()
