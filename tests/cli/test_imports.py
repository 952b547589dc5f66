"""What the program imports: help and lists must not pay for models, engines and screens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import planner_app

NEVER = {"litellm", "docker", "textual", "httpx", "httpcore", "keyring", "trafilatura", "requests"}
NOT_FOR_HELP = NEVER | {"pydantic", "sqlmodel", "sqlalchemy", "asyncio", "platformdirs"}
LOOK = """
import json, sys
from planner_app.cli.main import main
code = main(sys.argv[1:])
print(json.dumps(sorted(m for m in sys.modules if "." not in m)), file=sys.stderr)
sys.exit(code)
"""


def _imported(folder: Path, *args: str) -> set[str]:
    """Top-level modules after the command."""
    import json

    root = str(Path(planner_app.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "command", ["--help", "--version", "run --help", "tasks --help", "config set --help"]
)
def test_help_imports_the_standard_library_only(folder: Path, command: str) -> None:
    assert _imported(folder, *command.split()) & NOT_FOR_HELP == set()


@pytest.mark.parametrize("command", ["tasks", "tasks --json", "find words", "worker status"])
def test_lists_import_no_models_engines_or_screens(folder: Path, command: str) -> None:
    with _history():
        pass
    imported = _imported(folder, *command.split())
    assert "sqlite3" in imported
    assert imported & NEVER == set()


@pytest.mark.parametrize("command", ["config path", "config show", "config set budget.usd 1"])
def test_settings_commands_import_no_database(folder: Path, command: str) -> None:
    assert _imported(folder, *command.split()) & (NEVER | {"sqlmodel", "sqlalchemy"}) == set()


def _history():
    from planner_app.history import History
    from planner_app.settings_paths import find_paths

    return History.open(find_paths(os.environ).database)
