"""What `planner replay` does: hand a saved run to the player, or print it as text."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from planner_app.cli.context import Context, require_terminal
from planner_app.cli.reading import open_run
from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from planner_app.domain.events import Event

MAX_SPEED = 1000.0
LONGEST_PAUSE = 3.0
"""Seconds; a run that waited an hour for an answer is not replayed as an hour."""


def replay(args: argparse.Namespace, context: Context) -> int:
    """Play the run. Without a terminal for the player, BadInput says how to print it."""
    speed = read_speed(args.speed, text=args.no_tui or args.json)
    with open_run(context, args.run) as (history, run_id):
        if args.json or args.no_tui:
            events = history.events(run_id)
            paced = pace(events, speed)
            if args.json:
                lines: Iterator[str] = (event.to_json() for event in paced)
            else:
                from planner_app.view.replay_text import replay_lines

                lines = replay_lines(paced, history.get_blob)
            for line in lines:
                print(line, flush=speed > 0)
            return 0
    require_terminal("the player", "planner replay RUN --no-tui")
    from planner_app.tui.app import run_tui

    return run_tui(context.settings, replay=run_id, speed=speed, cwd=context.cwd)


def read_speed(value: str | None, *, text: bool) -> float:
    """Times as fast as it was. Text is printed at once unless a speed is asked for."""
    if value is None:
        return 0.0 if text else 1.0
    try:
        speed = float(value.lower().removesuffix("x"))
    except ValueError:
        speed = -1.0
    if not 0 <= speed <= MAX_SPEED:
        raise BadInput(
            f"--speed cannot be {value[:40]!r}", "use a number such as 2; 0 is without waiting"
        )
    return speed


def pace(events: Sequence[Event], speed: float) -> Iterator[Event]:
    """The events with the pauses between them, `speed` times as fast; 0: none."""
    before = None
    for event in events:
        if before is not None and speed > 0:
            pause = (event.at - before).total_seconds()
            time.sleep(min(max(0.0, pause), LONGEST_PAUSE) / speed)
        before = event.at
        yield event
