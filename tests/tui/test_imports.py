"""What the screens may import, and when: start-up is guarded here."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("sqlmodel", "sqlalchemy", "pydantic", "docker", "httpx", "litellm", "pygments.lexers")
NEVER = (
    *("litellm", "docker", "trafilatura", "pandas"),
    *(f"planner_app.{name}" for name in ("engine", "models", "sandbox", "agents", "broker")),
)

FIRST_PAINT = """
import asyncio, sys
from planner_app.tui.app import PlannerApp
from planner_app.tui.widgets.prompt import Prompt

seen = {}

def painted(app):
    seen["typeable"] = app.query_one(Prompt).has_focus
    seen["modules"] = sorted(sys.modules)
    app.exit()

def never():
    raise AssertionError("history was opened before the first paint")

PlannerApp._open_history = painted
PlannerApp(never).run(headless=True)
print(seen["typeable"])
print(" ".join(seen["modules"]))
"""

WHOLE_RUN = """
import asyncio, sys
from planner_app.settings import load_settings
from planner_app.tui.app import PlannerApp, Start
from planner_app.tui.opening import opener
from pathlib import Path
import os

async def main():
    app = PlannerApp(opener(lambda: load_settings(Path.cwd(), os.environ), None, None))
    async with app.run_test() as pilot:
        while app.team is None:
            await pilot.pause(0.02)
        await pilot.press("f1")
        await pilot.pause()
    print(" ".join(sorted(sys.modules)))

asyncio.run(main())
"""


def modules_of(code: str) -> tuple[list[str], list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *said, modules = done.stdout.strip().splitlines()
    return said, modules.split()


def loaded(modules: list[str], names: tuple[str, ...]) -> list[str]:
    return [m for m in modules if any(m == name or m.startswith(f"{name}.") for name in names)]


def test_the_prompt_can_be_typed_into_before_anything_heavy_is_imported() -> None:
    said, modules = modules_of(FIRST_PAINT)
    assert said == ["True"]
    assert loaded(modules, HEAVY) == []
    assert "planner_app.tui.screens.home" in modules


def test_the_screens_never_import_engine_models_or_sandbox() -> None:
    _said, modules = modules_of(WHOLE_RUN)
    assert loaded(modules, NEVER) == []
    assert "planner_app.history" in modules
