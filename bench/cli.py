"""How fast the command line answers: CPU of `--help`, and `tasks` beside the import of sqlmodel.

python -m bench.cli [ROUNDS]     prints medians of CPU seconds and their ratios from one run

The rounds interleave the commands, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HELP_SECONDS = 0.3
TASKS_RATIO = 1.2
RUNS = 200
"""Runs in the history that `tasks` lists."""

PROGRAM = [sys.executable, "-m", "planner_app"]
COMMANDS: dict[str, list[str]] = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import sqlmodel": [sys.executable, "-c", "import sqlmodel"],
    "planner --help": [*PROGRAM, "--help"],
    "planner run --help": [*PROGRAM, "run", "--help"],
    "planner tasks": [*PROGRAM, "tasks"],
    "planner find": [*PROGRAM, "find", "words"],
    "planner config show": [*PROGRAM, "config", "show"],
}


def cpu_seconds(command: Sequence[str], env: dict[str, str]) -> float:
    """User and system time of the command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int, env: dict[str, str]) -> dict[str, float]:
    """Median CPU seconds of each command; a first round warms the disk cache up."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, command in COMMANDS.items():
            seconds = cpu_seconds(command, env)
            if number:
                times[name].append(seconds)
    return {name: statistics.median(found) for name, found in times.items()}


def fill(home: Path) -> None:
    """A history with runs in it, as a person has after a while."""
    from planner_app.domain.catalogue import RunCreated
    from planner_app.domain.ids import new_id
    from planner_app.domain.summary import RunSummary
    from planner_app.history import History, NewRun, NewTask

    with History.open(home / "planner.db") as history:
        for number in range(RUNS):
            task_id, title = new_id("t"), f"Task number {number} with some words in it"
            sha = history.put_blob(title.encode())
            summary = RunSummary(status="queued", phase="queued", title=title)
            draft = RunCreated(task_id=task_id, text=title).draft(blobs={"text": sha})
            run = NewRun(new_id("r"), task_id, summary)
            history.create_run(run, [draft], task=NewTask(task_id, title, sha))


def main() -> int:
    """Print the figures; exit 1 when one of the two promises does not hold."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PLANNER_HOME": folder, "PYTHONPATH": str(ROOT)}
        fill(Path(folder))
        medians = measure(rounds, env)
    base = medians["import sqlmodel"]
    print(f"median CPU seconds of {rounds} rounds, {RUNS} runs in the history")
    for name, seconds in medians.items():
        print(f"  {name:<22} {seconds:6.3f} s   {seconds / base:5.2f} of `import sqlmodel`")
    fast_help = medians["planner --help"] < HELP_SECONDS
    fast_tasks = medians["planner tasks"] / base < TASKS_RATIO
    print(f"help under {HELP_SECONDS} s: {'yes' if fast_help else 'NO'}")
    print(f"tasks under {TASKS_RATIO} of the import: {'yes' if fast_tasks else 'NO'}")
    return 0 if fast_help and fast_tasks else 1


if __name__ == "__main__":
    raise SystemExit(main())
