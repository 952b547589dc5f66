"""What a killed process committed stays, whole."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from planner_app.history import History
from tests.history.conftest import new_run, note

ROOT = Path(__file__).parents[2]


def test_a_killed_appender_loses_no_event_that_it_was_told_of(database: Path) -> None:
    with History.open(database) as history:
        run = new_run(history, "r_aaaaaaaaaa")
    committed: dict[str, int] = {}
    newest = 0
    command = [sys.executable, "-m", "tests.history.appender", str(database), run.id]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            who, n, seq = line.split()
            committed[who], newest = int(n), max(newest, int(seq))
            if newest > 600:
                process.kill()
                break
        for line in process.stdout:
            if line.endswith("\n"):
                who, n, seq = line.split()
                committed[who], newest = int(n), max(newest, int(seq))
    with History.open(database) as history:
        events = history.events(run.id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert len(events) >= newest
        assert len(events) % 3 == 1, "an append is whole or absent"
        parts: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for event in events[1:]:
            who, n, part = event.data["text"].split()
            parts[who].append((int(n), int(part)))
        for who, last in committed.items():
            expected = [(n, part) for n in range(last + 1) for part in range(3)]
            assert parts[who][: len(expected)] == expected
        assert history.run(run.id).seq == len(events)
        history.append_now(run.id, 1, [note()])
