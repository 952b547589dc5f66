"""Opens history and settings late: its imports happen in the thread that opens them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from planner_app.settings import Settings
    from planner_app.tui.desk import Checks
    from planner_app.tui.gateway import Gateway


def opener(
    settings: Settings | Callable[[], Settings], checks: Checks | None, cwd: Path | None
) -> Callable[[], Gateway]:
    """What opens the gateway; to be called in a thread. It raises PlannerErrors."""

    def open_now() -> Gateway:
        from planner_app.tui.local import LocalGateway

        known = settings() if callable(settings) else settings
        return LocalGateway.open(known, cwd=cwd or _folder(), checks=checks)

    return open_now


def _folder() -> Path | None:
    from pathlib import Path

    try:
        return Path.cwd()
    except FileNotFoundError:
        return None
