"""`make run` and `make test` hand over exactly what was asked for, with an engine and without.

A stand-in for the environment takes the place of `.venv`, so that nothing is installed: its
`planner` prints what it was given, its engine is refused or there as told.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from planner_app.cli.servers import find_servers

ROOT = Path(__file__).resolve().parents[2]

PYTHON = """#!/bin/sh
case "$1 $2" in
"-m planner_app.sandbox.image")
	[ -e "{there}" ] && exit 0
	echo "sandbox: no container engine answers" >&2
	echo "sandbox: to do: install one" >&2
	exit 4;;
"-m pytest") shift 2; echo "pytest got: $*"; exit 0;;
esac
exec {python} "$@"
"""
PLANNER = """#!{python}
import json, sys
print(json.dumps(sys.argv[1:]))
"""


@dataclass
class Checkout:
    """A fresh clone whose environment is a stand-in."""

    folder: Path
    env: dict[str, str]

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env={**self.env, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def program(self, name: str, script: str) -> None:
        path = self.folder / ".venv" / "bin" / name
        path.write_text(script)
        path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout that is set up, on a machine without an engine and without a model."""
    folder = tmp_path / "a folder with blanks"
    folder.mkdir()
    shutil.copytree(ROOT / ".ci", folder / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv" / "bin").mkdir(parents=True)
    unwanted = ("MAKE", "TASK", "MFLAGS", "CI")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    env = {**kept, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable}
    made = Checkout(folder, env)
    made.program("python", PYTHON.format(python=sys.executable, there=tmp_path / "engine"))
    made.program("planner", PLANNER.format(python=sys.executable))
    stamp = "import prepare; prepare.STAMP.write_text(prepare.stamp_of('dev'))"
    subprocess.run([sys.executable, "-c", stamp], cwd=folder / ".ci", check=True)
    return made


def given(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What the program was started with."""
    assert result.returncode == 0, result.stderr
    arguments = json.loads(result.stdout)
    assert isinstance(arguments, list)
    return arguments


TASKS = [
    "What is 2 + 2?",
    "$HOME $(touch pwned) `touch pwned` ${x} $$ $@",
    """it's "quoted" \\ back\\slash 'both'""",
    "two\nlines",
    "-n --help",
    "# a hash; semicolon & | > pwned *",
    "naïve Ωμέγα 🚀",
    " blanks around ",
]


@pytest.fixture
def with_model(checkout: Checkout) -> Checkout:
    """The same with a model in the person's settings."""
    home = checkout.folder.parent / "home"
    home.mkdir()
    (home / "config.toml").write_text('[teams.default]\nplanner = "scripted:nothing.jsonl"\n')
    checkout.env["PLANNER_HOME"] = str(home)
    return checkout


@pytest.mark.parametrize("task", TASKS)
def test_a_task_reaches_the_program_as_it_was_typed(with_model: Checkout, task: str) -> None:
    assert given(with_model.make("run", TASK=task)) == ["run", "--", task]
    assert not list(with_model.folder.rglob("pwned"))


@pytest.mark.parametrize("task", [task for task in TASKS if "\n" not in task])
def test_a_task_on_the_command_line_is_taken_as_it_is_too(with_model: Checkout, task: str) -> None:
    assert given(with_model.make("run", f"TASK={task}")) == ["run", "--", task.lstrip(" ")]
    assert not list(with_model.folder.rglob("pwned"))


def test_without_a_model_the_example_runs_and_says_why(checkout: Checkout) -> None:
    if find_servers():
        pytest.skip("a model server runs on this machine")
    result = checkout.make("run", TASK="What is 2 + 2?")
    assert given(result) == ["run", "--example"]
    assert "example runs instead of your task" in result.stderr


def test_without_a_terminal_and_a_task_the_example_runs(checkout: Checkout) -> None:
    assert given(checkout.make("run")) == ["run", "--example"]


def test_on_a_terminal_the_program_opens(checkout: Checkout) -> None:
    ours, theirs = pty.openpty()
    made = subprocess.run(
        ["make", "run"], cwd=checkout.folder, env=checkout.env, stdin=theirs, stdout=theirs,
        stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(theirs)
    assert made.returncode == 0
    assert os.read(ours, 1000).strip() == b"[]"
    os.close(ours)


def test_without_an_engine_two_lines_say_so_and_the_program_starts(checkout: Checkout) -> None:
    result = checkout.make("run")
    assert [line for line in result.stderr.splitlines() if line.startswith("sandbox:")] == [
        "sandbox: no container engine answers",
        "sandbox: to do: install one",
    ]
    assert given(result)


def test_with_an_engine_nothing_is_said(checkout: Checkout) -> None:
    (checkout.folder.parent / "engine").touch()
    result = checkout.make("run")
    assert given(result)
    assert result.stderr == ""


def test_the_tests_run_without_an_engine_too(checkout: Checkout) -> None:
    result = checkout.make("test", "ARGS=-k words")
    assert result.returncode == 0
    assert result.stdout.startswith("pytest got: ")
    assert result.stdout.endswith(" -k words\n")
    assert "no container engine" in result.stderr


def test_a_failing_program_fails_make(checkout: Checkout) -> None:
    checkout.program("planner", "#!/bin/sh\nexit 5\n")
    assert checkout.make("run").returncode != 0


def test_a_machine_without_a_fitting_python_is_told_so(checkout: Checkout) -> None:
    old = checkout.folder.parent / "old"
    old.mkdir()
    (old / "python3").write_text("#!/bin/sh\nexit 1\n")
    (old / "python3").chmod(0o755)
    for tool in ("make", "sh"):
        (old / tool).symlink_to(str(shutil.which(tool)))
    result = checkout.make("run", PATH=str(old), PYTHON=str(old / "python3"))
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if line.startswith("set-up:")]
    assert len(lines) == 2
    assert "3.11" in lines[0]
    assert lines[1].startswith("set-up: to do:")


@pytest.mark.parametrize("change", ["lock", "place", "python"])
def test_a_changed_lock_place_or_python_is_noticed(checkout: Checkout, change: str) -> None:
    done = "import prepare; print(prepare.is_done('run'))"
    folder = checkout.folder

    def is_done() -> str:
        run = [sys.executable, "-c", done]
        return subprocess.run(
            run, cwd=folder / ".ci", capture_output=True, text=True, check=True
        ).stdout.strip()

    assert is_done() == "True"
    if change == "lock":
        (folder / "requirements-dev.lock").write_text("other==1\n")
    elif change == "place":
        folder = folder.rename(folder.parent / "moved")
    else:
        (folder / ".venv" / "bin" / "python").unlink()
    assert is_done() == "False"


def test_the_commands_start_from_a_folder_with_blanks(checkout: Checkout) -> None:
    (checkout.folder / ".venv" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    link = "import prepare; prepare.link_checkout()"
    subprocess.run([sys.executable, "-c", link], cwd=checkout.folder / ".ci", check=True)
    for name in ("planner", "planner-app"):
        command = [checkout.folder / ".venv" / "bin" / name, "--version"]
        done = subprocess.run(
            command, env=checkout.env, capture_output=True, text=True, check=False
        )
        assert done.stdout.startswith("planner "), done.stderr
