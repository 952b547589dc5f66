"""The real command line in a process of its own, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import planner_app

ROOT = Path(planner_app.__file__).parent.parent
Planner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that commands are typed in."""
    made = tmp_path / "work"
    made.mkdir()
    return made


@pytest.fixture
def planner(folder: Path) -> Planner:
    """`planner ARGS`: exit code, stdout and stderr. Further keywords are variables."""

    def run(*args: str, stdin: str | bytes = "", **env: str) -> subprocess.CompletedProcess[str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "planner_app", *args],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            input=data,
            capture_output=True,
            check=False,
            timeout=100,
        )
        return subprocess.CompletedProcess(
            args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run
