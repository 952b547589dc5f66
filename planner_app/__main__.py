"""`python -m planner_app` is the `planner` command."""

from planner_app.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
