"""Tests that need a container engine are never lost silently where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TESTS = """
import pytest

def test_plain():
    pass

@pytest.mark.docker
def test_in_a_container():
    pass

@pytest.mark.docker
@pytest.mark.parametrize("number", [1, 2])
def test_more(number):
    pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A test suite of its own under our conftest.py and settings."""
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_sample.py").write_text(TESTS)
    return tmp_path


def run_suite(suite: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("CI", None)
    env |= {"DOCKER_HOST": f"unix://{suite}/no-engine.sock", **variables}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        *arguments,
        "test_sample.py",
    ]
    return subprocess.run(command, cwd=suite, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["one process", "two processes"])
def test_without_an_engine_they_are_skipped_and_counted_in_the_last_lines(
    suite: Path, arguments: list[str]
) -> None:
    result = run_suite(suite, *arguments)
    assert result.returncode == 0, result.stdout
    last = "\n".join(result.stdout.splitlines()[-3:])
    assert "3 tests need the sandbox and did not run: no container engine answers" in last
    assert "1 passed, 3 skipped" in last


@pytest.mark.parametrize("value", ["true", "True"])
def test_in_ci_they_fail_instead(suite: Path, value: str) -> None:
    result = run_suite(suite, CI=value)
    assert result.returncode == 1
    assert "1 passed, 3 errors" in result.stdout
    assert "CI=true allows no skip" in result.stdout


def test_fast_tests_come_first(suite: Path) -> None:
    (suite / "test_sample.py").write_text(TESTS.replace("def test_plain", "def test_zzz_plain"))
    lines = run_suite(suite, PYTEST_ADDOPTS="-v").stdout.splitlines()
    order = [line.partition("::")[2].split()[0] for line in lines if line.startswith("test_")]
    assert order[0] == "test_zzz_plain"
    assert len(order) == 4
