from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from planner_app.tui.app import PlannerApp


async def until(pilot: Pilot[None], holds: Callable[[], object], what: str = "it") -> None:
    """Lets the app go on until something holds; fails after five seconds."""
    for _ in range(250):
        if holds():
            await pilot.pause()
            return
        await pilot.pause(0.02)
    pytest.fail(f"waited in vain for {what}")


def shown(app: PlannerApp) -> str:
    """What stands on the screen, as text."""
    height = app.size.height
    lines = app.screen._compositor.render_strips()
    return "\n".join(
        "".join(segment.text for segment in strip).rstrip() for strip in lines[:height]
    )
