"""`python -m planner_app.worker`: the detached worker, as `ensure_worker` starts it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from planner_app.domain.errors import PlannerError
from planner_app.settings import load_settings
from planner_app.worker.process import run_worker


def main() -> int:
    """Settings of no folder in particular: it serves all."""
    try:
        settings = load_settings(Path("/"), os.environ, with_project=False)
        return run_worker(settings, detached=True)
    except PlannerError as error:
        print(f"planner worker: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
