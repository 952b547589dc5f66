"""`planner sandbox exec`: files as actions of one session."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

LOOK = """
import json, os
from pathlib import Path

def first(*names):
    root = Path("/sys/fs/cgroup")
    return next((root / n).read_text().split() for n in names if (root / n).exists())

quota = first("cpu.max", "cpu/cpu.cfs_quota_us") + first("cpu.max", "cpu/cpu.cfs_period_us")[-1:]
files = {p: os.statvfs(p) for p in ("/tmp", "/workspace")}
print(json.dumps({
    "memory": int(first("memory.max", "memory/memory.limit_in_bytes")[0]),
    "pids": int(first("pids.max", "pids/pids.max")[0]),
    "cpus": int(quota[0]) / int(quota[-1]),
    **{p: [s.f_blocks * s.f_frsize, s.f_files] for p, s in files.items()},
}))
True
"""
LOCAL = ("--sandbox", "unsafe-host")


@pytest.fixture
def files(folder: Path) -> list[str]:
    codes = {
        "one.py": "x = 40\nprint('set')\nopen('made.txt', 'w').write('.')",
        "two.py": "x + 2",
        "three.py": "1 / 0",
        "four.py": "x",
    }
    for name, code in codes.items():
        (folder / name).write_text(code, encoding="utf-8")
    return list(codes)


def _observations(done: subprocess.CompletedProcess[str]) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_state_goes_from_file_to_file_and_an_error_is_exit_1(planner, files) -> None:
    done = planner("sandbox", "exec", *files, *LOCAL, "--json")
    one, two, three, four = _observations(done)
    assert done.returncode == 1
    assert (one["status"], one["stdout"], one["files"]) == ("ok", "set\n", ["made.txt"])
    assert two["value"] == "42"
    assert (three["status"], three["error"]["name"]) == ("error", "ZeroDivisionError")
    assert (four["value"], four["state_lost"]) == ("40", False)
    promised = {"status", "stdout", "value", "error", "images", "files", "ms", "state_lost"}
    assert all(set(row) >= promised for row in (one, two, three, four))


def test_files_and_typed_codes_run_in_the_order_given(planner, files) -> None:
    typed = ("-c", "x = 1", "two.py", "--json", "-c", "-x", "four.py", "-")
    done = planner("sandbox", "exec", *LOCAL, *typed, stdin="x * 100")
    rows = _observations(done)
    assert [row["action"] for row in rows] == ["-c", "two.py", "-c", "four.py", "-"]
    assert [row["value"] for row in rows] == [None, "3", "-1", "1", "100"]


def test_what_loses_the_variables_says_so_and_the_next_action_runs(planner, files) -> None:
    lost = "import os\nos._exit(3)"
    done = planner("sandbox", "exec", "one.py", "-c", lost, "-c", "1+1", *LOCAL, "--json")
    rows = _observations(done)
    assert [(row["status"], row["state_lost"]) for row in rows] == [
        ("ok", False),
        ("died", True),
        ("ok", False),
    ]
    assert rows[2]["value"] == "2"


def test_code_over_a_sessions_bound_is_an_observation(planner, folder: Path) -> None:
    (folder / "long.py").write_text("x = 1\n" * 900_000, encoding="utf-8")
    codes = ("long.py", "-c", "", "-c", "1+1")
    done = planner("sandbox", "exec", *codes, *LOCAL, "--team", "default", "--json")
    long, nothing, short = _observations(done)
    assert (long["error"]["name"], short["value"]) == ("ActionTooLong", "2")
    assert (nothing["status"], nothing["value"]) == ("ok", None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "there is nothing to run"),
        (("-c", "1", "--limit", "memory=12 parsecs"), "memory cannot be '12 parsecs'"),
        (("-c", "1", "--limit", "memmory=1g"), "did you mean memory?"),
        (("-c", "1", "--timeout", "soon"), "action_seconds cannot be 'soon'"),
        (("-c", "1", "--team", "none"), "there is no team 'none'"),
        (("a\nb.py",), "a b.py cannot be read"),
    ],
)
def test_a_mistake_is_one_line(typed, words: tuple[str, ...], told: str) -> None:
    done = typed("sandbox", "exec", *LOCAL, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr


def test_people_read_output_and_value_on_stdout(planner, files) -> None:
    done = planner("sandbox", "exec", "one.py", "two.py", *LOCAL)
    assert (done.returncode, done.stdout) == (0, "set\n1\n42\n")
    assert "without isolation" in done.stderr


def test_code_from_stdin_and_a_time_limit(planner) -> None:
    code = "import time\ntime.sleep(60)"
    done = planner("sandbox", "exec", "-", *LOCAL, "--timeout", "300ms", "--json", stdin=code)
    (row,) = _observations(done)
    assert (done.returncode, row["status"]) == (1, "timeout")


def test_ctrl_c_stops_the_action_and_exits_130(at_terminal, folder: Path) -> None:
    code = "import sys, time\nprint('here', file=sys.stderr, flush=True)\ntime.sleep(60)"
    (folder / "slow.py").write_text(code, encoding="utf-8")
    (folder / "next.py").write_text("print('never')", encoding="utf-8")
    command = at_terminal("sandbox", "exec", "slow.py", "next.py", *LOCAL)
    command.wait_for("without isolation")
    command.press_ctrl_c()
    code_, out = command.end()
    assert (code_, "never" in out) == (130, False)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"x" * 16_000_001], ids=["binary", "huge"])
def test_what_is_no_code_is_bad_input(planner, folder: Path, data: bytes) -> None:
    (folder / "bad.py").write_bytes(data)
    done = planner("sandbox", "exec", "bad.py", *LOCAL)
    assert done.returncode == 2
    assert "bad.py" in done.stderr


@pytest.mark.docker
def test_a_figure_comes_back_as_png_from_a_container(planner, folder: Path) -> None:
    (folder / "plot.py").write_text(
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()", encoding="utf-8"
    )
    done = planner("sandbox", "exec", "plot.py", "--json")
    (row,) = _observations(done)
    assert done.returncode == 0, done.stderr
    assert [image["mime"] for image in row["images"]] == ["image/png"]


def test_doctor_says_that_limits_do_not_go_together(typed, monkeypatch) -> None:
    monkeypatch.setenv("PLANNER_SANDBOX_WORKSPACE", "4g")
    checks = json.loads(typed("doctor", "--json").stdout)["checks"]
    (settings,) = [check for check in checks if check["name"] == "settings"]
    assert (settings["ok"], "raise memory to" in settings["fix"]) == (False, True)


@pytest.mark.docker
def test_limits_hold_in_the_container_the_tasks_over_the_teams_over_the_settings(
    planner, folder: Path
) -> None:
    home = Path(os.environ["PLANNER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(
        '[sandbox]\nmemory = "300m"\npids = 50\ntmp = "20m"\n[teams.big.sandbox]\npids = 60\n'
        'inodes = 500\nworkspace = "30m"\n',
        encoding="utf-8",
    )
    (folder / "look.py").write_text(LOOK, encoding="utf-8")
    flags = ("--team", "big", "--limit", "inodes=700", "--limit", "cpus=0.5", "--timeout", "20s")
    done = planner("sandbox", "exec", "look.py", *flags, "--json")
    (row,) = _observations(done)
    assert row["value"], row
    mib = 1024**2
    assert json.loads(row["stdout"]) == {
        "memory": 300 * mib,
        "pids": 60,
        "cpus": 0.5,
        "/tmp": [20 * mib, 700],
        "/workspace": [30 * mib, 700],
    }


def test_when_the_whole_sandbox_goes_the_next_action_runs_in_a_new_one(planner) -> None:
    code = "import os, signal\nprint('here')\nos.kill(os.getppid(), signal.SIGKILL)"
    done = planner(
        "sandbox", "exec", "-c", "x = 1", "-c", code, "-c", "1+1", "-c", "3", *LOCAL, "--json"
    )
    first, gone, after, last = _observations(done)
    assert (gone["status"], gone["state_lost"]) == ("died", True)
    assert (after["status"], after["value"], after["state_lost"]) == ("ok", "2", False)
    assert "it ran in a new one" in after["why"]
    assert (first["why"], last["why"]) == ("", "")


@pytest.mark.docker
@pytest.mark.parametrize(
    "words", [("sandbox", "exec", "-c", "1"), ("run", "x", "--planner", "scripted:s.jsonl")]
)
def test_more_cpus_than_there_are_is_told_before_anything_starts(
    typed, folder: Path, words: tuple[str, ...]
) -> None:
    reply = {"role": "planner", "turn": 1, "text": "Yes."}
    (folder / "s.jsonl").write_text(json.dumps(reply), encoding="utf-8")
    done = typed(*words, "--limit", "cpus=1000")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the sandbox's cpus are 1000, and the engine has" in done.stderr
    assert json.loads(typed("tasks", "--json").stdout) == {"runs": []}


@pytest.mark.docker
def test_build_says_the_tag_of_an_image_that_is_up_to_date(planner) -> None:
    done = planner("sandbox", "build", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["image"].startswith("planner-sandbox:")


@pytest.mark.parametrize("command", ["build", "clean", "exec one.py"])
def test_without_an_engine_it_says_what_to_do(typed, files, folder: Path, command: str) -> None:
    done = typed("sandbox", *command.split(), DOCKER_HOST=f"unix://{folder}/no.sock")
    assert (done.returncode, done.stdout) == (4, "")
    assert "no container engine answers" in done.stderr
