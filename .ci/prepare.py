"""Bring the checkout's virtual environment up to date with its lock file: `prepare.py run|dev`.

Standard library only, and any Python from 3.11 to 3.14 with pip, as on a bare Debian machine
(whose Python has no ensurepip). Done before: a look at a stamp, 20 ms. The packages come from
`requirements.lock` (run) or `requirements-dev.lock` (run, tests, linters), checked by hash.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "planner-lock"
LOCKS = {"run": "requirements.lock", "dev": "requirements-dev.lock"}

LAUNCHER = """{start}
import sys

from planner_app.cli.main import main

sys.exit(main())
"""


class Refusal(Exception):
    """The machine lacks something: what, and what to do about it."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix


def say(line: str) -> None:
    """One line of progress."""
    print(f"set-up: {line}", file=sys.stderr, flush=True)


def stamp_of(kind: str) -> str:
    """What a finished set-up of this kind leaves: lock file, place and Python it was made for."""
    lock = hashlib.sha256((ROOT / LOCKS[kind]).read_bytes()).hexdigest()
    return f"{kind} {lock} {ROOT} {sys.version_info[0]}.{sys.version_info[1]}"


def is_done(kind: str) -> bool:
    """Whether the environment holds this kind already; one with the tests' packages runs, too."""
    try:
        found = STAMP.read_text()
    except OSError:
        return False
    wanted = {stamp_of(kind), stamp_of("dev")}
    return found in wanted and PYTHON.exists()  # exists() follows the link to the interpreter


def prepare(kind: str) -> None:
    """Make or update the environment. Raises Refusal."""
    say(f"installing {LOCKS[kind]} into .venv (about a minute, once)")
    started = time.monotonic()
    STAMP.unlink(missing_ok=True)
    if not works(PYTHON):
        venv.create(VENV, clear=VENV.exists(), with_pip=False, symlinks=True)
    install = [
        "install",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
        str(ROOT / LOCKS[kind]),
    ]
    quiet = ["-qq", "--no-input", "--disable-pip-version-check", "--root-user-action=ignore"]
    done = subprocess.run([*pip(), *install, *quiet], stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Refusal(
            "pip could not install the packages (its reason is above)",
            "see that the package index can be reached, then start again",
        )
    link_checkout()
    STAMP.write_text(stamp_of(kind))
    say(f"done in {time.monotonic() - started:.0f} s")


def works(python: Path) -> bool:
    """Whether the environment's interpreter runs and is the version that runs this."""
    if not python.exists():
        return False
    code = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    return subprocess.run([str(python), "-c", code], check=False).returncode == 0


def pip() -> list[str]:
    """A pip that installs into the environment: this Python's, else one put there by ensurepip."""
    if importlib.util.find_spec("pip") and pip_version() >= (22, 3):
        return [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    inside = [str(PYTHON), "-m", "pip"]
    if subprocess.run([*inside, "--version"], check=False, capture_output=True).returncode == 0:
        return inside
    if importlib.util.find_spec("ensurepip"):
        subprocess.run([str(PYTHON), "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
        return inside
    raise Refusal(f"{sys.executable} has no pip", "apt-get install python3-pip, and again")


def pip_version() -> tuple[int, int]:
    """Major and minor; 22.3 is the first that installs into another environment."""
    from importlib.metadata import version

    numbers = [int(part) for part in version("pip").split(".")[:2]]
    return numbers[0], numbers[1]


def link_checkout() -> None:
    """Make the checkout importable in its environment, with its two commands."""
    (packages,) = (VENV / "lib").glob("python3.*/site-packages")
    (packages / "planner-checkout.pth").write_text(f"{ROOT}\n")
    for name in ("planner", "planner-app"):
        command = VENV / "bin" / name
        command.write_text(LAUNCHER.format(start=start_line()))
        command.chmod(0o755)


def start_line() -> str:
    """How a command finds the environment's Python: the kernel takes no blanks and 127 bytes."""
    plain = f"#!{PYTHON}"
    if " " in plain or len(os.fsencode(plain)) > 127:
        return f"#!/bin/sh\n'''exec' \"{PYTHON}\" \"$0\" \"$@\"\n' '''"  # a string to Python
    return plain


def main() -> int:
    """Exit code 0, or 4 with two lines: why, and what to do."""
    kind = sys.argv[1]
    if is_done(kind):
        return 0
    with Path(__file__).open() as lock:  # two set-ups of one checkout wait for each other
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if not is_done(kind):
                prepare(kind)
        except Refusal as refusal:
            say(refusal.why)
            say(f"to do: {refusal.fix}")
            return 4
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
