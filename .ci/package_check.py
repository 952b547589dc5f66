"""Build the wheel, install it elsewhere, and run the bundled examples from an empty folder.

What a person gets from pipx or `uv tool install`, with nothing of the checkout in reach. Exit code
0 when every example ends well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent


def say(line: str) -> None:
    """One line of progress."""
    print(f"package check: {line}", flush=True)


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Standard output of a command that must succeed; its standard error is shown."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout)
        sys.exit(f"package check: {' '.join(map(str, command))} failed ({done.returncode})")
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """The wheel, built by the build backend of the locked environment."""
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    say(f"built {wheel.name} ({wheel.stat().st_size // 1024} KiB)")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """A new environment with the locked packages and the wheel; its folder of programs."""
    uv, venv = find_uv_bin(), folder / "venv"
    python = venv / "bin" / "python"
    run(uv, "venv", "--quiet", "--no-project", "--python", sys.executable, venv, cwd=folder)
    lock = ("--require-hashes", "-r", ROOT / "requirements.lock")
    run(uv, "pip", "install", "--quiet", "--python", python, *lock, cwd=folder)
    run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel, cwd=folder)
    run(uv, "pip", "check", "--quiet", "--python", python, cwd=folder)
    say("installed it into a new environment")
    return venv / "bin"


def has_sandbox(programs: Path, cwd: Path, env: dict[str, str]) -> bool:
    """Whether the installed program finds an engine and gets its image; with CI=true it must."""
    done = subprocess.run(
        [str(programs / "planner"), "sandbox", "build"], cwd=cwd, env=env, check=False
    )
    if done.returncode not in {0, 4} or (done.returncode and os.environ.get("CI") == "true"):
        sys.exit(f"package check: planner sandbox build failed ({done.returncode})")
    return done.returncode == 0


def outside(folder: Path) -> dict[str, str]:
    """An environment that knows nothing of the checkout or of the person's settings."""
    unwanted = ("PYTHON", "PLANNER_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "PLANNER_HOME": str(folder / "home")}


def main() -> int:
    """Build, install, run."""
    with tempfile.TemporaryDirectory(prefix="planner-package-") as temporary:
        folder = Path(temporary).resolve()
        empty = folder / "empty"
        empty.mkdir()
        programs = install(build_wheel(folder), folder)
        env = outside(folder)
        where = "import planner_app; print(planner_app.__file__)"
        origin = run(programs / "python", "-c", where, cwd=empty, env=env).strip()
        if not origin.startswith(str(programs.parent)):
            sys.exit(f"package check: the environment runs {origin}, not the wheel")
        for program in ("planner", "planner-app"):
            say(run(programs / program, "--version", cwd=empty, env=env).strip())
        examples = [[path.parent.name] for path in ROOT.glob("planner_app/examples/*/*.toml")]
        if not has_sandbox(programs, empty, env):
            say("without a sandbox only the first example is run")
            examples = [[]]
        for name in sorted(examples):
            answer = run(programs / "planner", "run", "--example", *name, cwd=empty, env=env)
            if not answer.strip():
                sys.exit(f"package check: the example {name} gave no answer")
            say(f"example {' '.join(name)}: {answer.strip().splitlines()[0][:80]}")
        if left := sorted(path.name for path in empty.iterdir()):
            sys.exit(f"package check: the examples left {left} in the working folder")
    return 0


if __name__ == "__main__":
    sys.exit(main())
