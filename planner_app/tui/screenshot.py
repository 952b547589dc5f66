"""Saves an SVG of the real screen showing a saved run: `python -m planner_app.tui.screenshot RUN`.

For the documentation: the picture in the README is made by the program itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import cast

from planner_app.domain.errors import PlannerError
from planner_app.tui.app import Clock, PlannerApp, Start
from planner_app.tui.gateway import Gateway
from planner_app.tui.screens.replay import ReplayScreen
from planner_app.tui.screens.run import RunScreen

PATIENCE = 20.0
"""Seconds for the run to be read."""


async def picture(
    gateway: Gateway,
    run_id: str,
    *,
    size: tuple[int, int] = (120, 40),
    position: int | None = None,
    pane: str = "timeline",
) -> str:
    """The screen with this run as SVG.

    `position` shows it after so many events, in the player; None: as it stands now. Raises
    TimeoutError when the run cannot be read.
    """
    start = Start(run_id, replay=position is not None)
    app = PlannerApp(lambda: gateway, clock=Clock(), start=start, animate=False)
    async with app.run_test(size=size) as pilot, asyncio.timeout(PATIENCE):
        while not (isinstance(app.screen, RunScreen | ReplayScreen) and app.screen.view.seq):
            await pilot.pause(0.05)
        screen = app.screen
        if isinstance(screen, ReplayScreen) and position is not None:
            screen.go_to(position)
        screen.action_pane(pane)
        for _ in range(5):  # texts are read once they are in sight
            await pilot.pause(0.1)
        return app.export_screenshot(title="planner", simplify=True)


def main(arguments: list[str] | None = None) -> int:
    """Parses the command line and writes the file."""
    parser = argparse.ArgumentParser(prog="python -m planner_app.tui.screenshot")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the SVG file")
    parser.add_argument("--size", default="120x40", help="columns x rows")
    parser.add_argument("--position", type=int, help="events shown; default: all, as a saved run")
    parser.add_argument("--pane", default="timeline", choices=("timeline", "answer"))
    args = parser.parse_args(arguments)
    from planner_app.settings import load_settings
    from planner_app.tui.local import LocalGateway

    columns, _, rows = cast("str", args.size).partition("x")
    try:
        gateway = LocalGateway.open(load_settings(Path.cwd(), os.environ), cwd=Path.cwd())
        run_id = gateway.resolve(args.run, Path.cwd())
    except PlannerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    svg = asyncio.run(
        picture(
            gateway, run_id, size=(int(columns), int(rows)), position=args.position, pane=args.pane
        )
    )
    args.output.write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
