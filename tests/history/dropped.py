"""Opens a history as a person without rights on it: `python -m tests.history.dropped FILE`.

As root it becomes nobody first, after everything is imported, since root may write anywhere.
"""

from __future__ import annotations

import os
import sys

import alembic.command  # noqa: F401 - what a late import would need
import sqlalchemy.dialects.sqlite

from planner_app.domain.errors import PlannerError
from planner_app.history import History


def main(place: str) -> None:
    assert sqlalchemy.dialects.sqlite.dialect is not None
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        with History.open(place) as history:
            print(f"opened with {len(history.runs())} runs")
    except PlannerError as error:
        print(f"{type(error).__name__} {error.exit_code}: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
