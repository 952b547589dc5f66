"""`planner sandbox exec`: files as actions of one session."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("data", [b"\xff\xfe", b"x" * 5_000_001], ids=["binary", "huge"])
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
