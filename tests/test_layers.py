"""Imports point downwards only, so that a new line of code has one obvious room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as main; main()",
    ]
    return subprocess.run(
        [*command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_imports_point_downwards_only() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("domain", "import planner_app.history"),
        ("view", "from planner_app import settings"),
        ("tui", "def late():\n    import planner_app.engine"),
        ("queue", "from planner_app.sandbox import Limits"),
        ("domain", "import sqlmodel"),
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, module: str, line: str) -> None:
    """The contracts bite: a small program of the same shape with one wrong import is refused."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    names = (
        *("cli", "tui", "worker", "replay", "engine", "agents", "models", "sandbox", "broker"),
        *("queue", "history", "view", "examples", "domain", "settings", "settings_edit"),
        *(
            "settings_keys",
            "settings_layers",
            "settings_limits",
            "settings_paths",
            "settings_units",
        ),
        "settings_values",
    )
    package = tmp_path / "planner_app"
    for name in names:
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").write_text("Limits = 1\n")
    (package / "__init__.py").write_text("")
    assert lint_imports(tmp_path).returncode == 0
    (package / module / "__init__.py").write_text(f"{line}\n")
    assert lint_imports(tmp_path).returncode == 1
