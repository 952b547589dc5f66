"""Measures the screens: first paint, opening a long run, keys while streaming, idling.

python -m bench.tui [--events 10000] [--rounds 5]

Everything is a ratio, or is printed with the minimal app's figure of the same run beside it:
machines differ, ratios less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINIMAL = """
import sys, time
from textual.app import App
from textual.widgets import Input

class Minimal(App):
    def compose(self):
        yield Input()

    def on_mount(self):
        self.call_after_refresh(self.painted)

    def painted(self):
        assert self.query_one(Input).has_focus
        print(time.process_time(), file=sys.stdout)
        self.exit()

Minimal().run(headless=True)
"""

OURS = """
import sys, time
from planner_app.tui.app import PlannerApp
from planner_app.tui.widgets.prompt import Prompt

def painted(app):
    assert app.query_one(Prompt).has_focus
    print(time.process_time(), file=sys.stdout)
    app.exit()

PlannerApp._open_history = painted
PlannerApp(lambda: None).run(headless=True)
"""


def cpu_to_paint(code: str) -> tuple[float, float]:
    """CPU seconds of the process until the first paint, and wall seconds of the whole process."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(done.stdout.split()[-1]), time.perf_counter() - start


def first_paint(rounds: int) -> dict[str, float]:
    """Median CPU until the prompt can be typed into, ours and the minimal app's in turns."""
    ours, minimal = [], []
    for _ in range(rounds):
        minimal.append(cpu_to_paint(MINIMAL))
        ours.append(cpu_to_paint(OURS))
    own = statistics.median(cpu for cpu, _ in ours)
    least = statistics.median(cpu for cpu, _ in minimal)
    return {
        "first_paint_cpu_s": round(own, 3),
        "minimal_cpu_s": round(least, 3),
        "first_paint_ratio": round(own / least, 2),
        "first_paint_wall_ratio": round(
            statistics.median(wall for _, wall in ours)
            / statistics.median(wall for _, wall in minimal),
            2,
        ),
    }


def long_run(count: int) -> object:
    """A run of about `count` events: many turns of two steps, with code, output and calls."""
    from planner_app.domain import catalogue as c
    from planner_app.domain.plan import Step
    from tests.view.story import Story

    story = Story("r_long")
    story.create("a long task")
    story.plan(Step(id="s1", objective="go on and on"))
    story.begin_step("s1", "go on and on")
    turn = 0
    while len(story.events) < count:
        turn += 1
        code = "\n".join(f"value_{n} = compute({n}, {turn})" for n in range(12))
        story.model(
            "executor",
            "act",
            f"Turn {turn}.\n```python\n{code}\n```",
            step="s1",
            attempt=1,
            turn=turn,
        )
        move = story.begin_action("s1", code, turn=turn)
        for n in range(2):
            story.tool("s1", move, "search", {"query": f"words {turn} {n}"}, summary="3 results")
        story.end_action("s1", move, "\n".join(f"row {n} of {turn}" for n in range(30)), turn=turn)
        if turn % 40 == 0:
            story.say(c.NoteAdded(text=f"note at turn {turn}"))
    return story


async def open_long_run(count: int) -> dict[str, float]:
    """Seconds from Enter to the end of the timeline in sight; the loop's longest turn of CPU."""
    from planner_app.tui.app import PlannerApp
    from planner_app.tui.screens.run import RunScreen
    from planner_app.tui.widgets.timeline import Timeline
    from planner_app.view.reducer import view_of
    from tests.tui.fakes import FakeGateway
    from tests.view.story import Story

    story = long_run(count)
    assert isinstance(story, Story)
    start = time.perf_counter()
    view_of(story.events)
    reduced = time.perf_counter() - start
    gateway = FakeGateway(Story("r_other"))
    gateway.stories = {"r_long": story}
    gateway.rows = list  # type: ignore[method-assign]
    app = PlannerApp(lambda: gateway, animate=False)
    async with app.run_test(size=(120, 40)) as pilot:
        while app.gateway is None:
            await pilot.pause(0.01)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        longest, last = 0.0, time.thread_time()
        app.open_run("r_long")
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            longest, last = max(longest, now - last), now
            screen = app.screen
            if isinstance(screen, RunScreen) and screen.view.seq == len(story.events):
                timeline = screen.query_one(Timeline)
                if timeline.line_count and timeline.is_vertical_scroll_end:
                    break
        opened = time.perf_counter() - start
        added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "events": float(len(story.events)),
        "reduce_s": round(reduced, 3),
        "open_s": round(opened, 3),
        "longest_loop_cpu_s": round(longest, 3),
        "added_mb": round(added / 1024, 1),
    }


async def keys_while_streaming(seconds: float = 5.0, per_second: int = 2000) -> dict[str, float]:
    """Milliseconds from a key to its effect while a model writes, and the CPU share meanwhile."""
    from planner_app.tui.app import PlannerApp
    from planner_app.tui.screens.run import RunScreen
    from planner_app.tui.widgets.prompt import Prompt
    from planner_app.view.blocks import Live
    from tests.tui.fakes import FakeGateway
    from tests.view.story import research_story

    story = research_story("planning", "r_1")
    now = datetime.now(UTC)
    story.events = [e.model_copy(update={"at": now - timedelta(seconds=9)}) for e in story.events]
    move = str(story.events[-1].move_id)
    gateway = FakeGateway(story)
    app = PlannerApp(lambda: gateway)
    waits: list[float] = []
    async with app.run_test(size=(120, 40)) as pilot:
        while app.gateway is None:
            await pilot.pause(0.01)
        app.open_run("r_1")
        while not (isinstance(app.screen, RunScreen) and app.screen.view.seq):
            await pilot.pause(0.01)
        await pilot.press("s")
        box = app.screen.query_one("#say", Prompt)
        text, start, cpu = "", time.perf_counter(), time.process_time()
        while (passed := time.perf_counter() - start) < seconds:
            text = "word " * int(passed * per_second)
            gateway.live_text = {move: Live(reasoning=text[-12_000:])}
            gateway.touch()
            length = len(box.text)
            pressed = time.perf_counter()
            app.simulate_key("x")
            while len(box.text) == length:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.001)
            waits.append((time.perf_counter() - pressed) * 1000)
            await asyncio.sleep(0.03)
        share = (time.process_time() - cpu) / (time.perf_counter() - start)
    waits.sort()
    return {
        "key_p50_ms": round(statistics.median(waits), 1),
        "key_p95_ms": round(waits[int(len(waits) * 0.95)], 1),
        "streaming_cpu_share": round(share, 3),
    }


async def idle(seconds: float = 5.0) -> dict[str, float]:
    """CPU share of the inbox with nothing at work, on real SQLite."""
    import os
    import tempfile

    from planner_app.settings import load_settings
    from planner_app.tui.app import PlannerApp
    from planner_app.tui.local import LocalGateway

    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(Path(home), dict(os.environ) | {"PLANNER_HOME": home})
        app = PlannerApp(lambda: LocalGateway.open(settings, env={}))
        async with app.run_test(size=(120, 40)) as pilot:
            while app.gateway is None:
                await pilot.pause(0.01)
            await asyncio.sleep(1.0)
            cpu = time.process_time()
            await asyncio.sleep(seconds)
            share = (time.process_time() - cpu) / seconds
    return {"idle_cpu_share": round(share, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the screens.")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    parts: list[Callable[[], dict[str, float]]] = [
        lambda: first_paint(args.rounds),
        lambda: asyncio.run(open_long_run(args.events)),
        lambda: asyncio.run(keys_while_streaming()),
        lambda: asyncio.run(idle()),
    ]
    for part in parts:
        print(json.dumps(part()), flush=True)


if __name__ == "__main__":
    main()
