"""What people get wrong: one line on stderr, the right exit code, nothing delegated."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_replies import planner_says

from planner_app.history import History
from planner_app.sandbox.engine_endpoint import Ping
from planner_app.settings_paths import find_paths


def _one_line(done, code: int, *said: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("planner: ")
    for words in said:
        assert words in lines[0]
    assert "Traceback" not in done.stderr


SCRIPTED = ("--planner", "scripted:nowhere.jsonl", "--sandbox", "unsafe-host")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["run"], 2, "there is no task"),
        (["run", ""], 2, "the task is empty"),
        (["run", " \n "], 2, "the task is empty"),
        (["run", "x", "--file", "nowhere.csv"], 2, "nowhere.csv does not exist"),
        (["run", "x", "--dir", "nowhere"], 2, "nowhere does not exist"),
        (["run", "x", "--file", "."], 2, "is a folder"),
        (["run", "x", "--dir", ""], 2, "the name of a file or folder is empty"),
        (["run", "x", "--schema", "nowhere.json"], 2, "nowhere.json does not exist"),
        (["run", "x", "--team", "defalt"], 2, "did you mean default?"),
        (["run", "x", "--max-usd", "a lot"], 2, "--max-usd cannot be 'a lot'"),
        (["run", "x", "--max-usd", "-1"], 2, "--max-usd cannot be '-1'; use a number that is not"),
        (["run", "x", "--max-minutes", "0"], 2, "--max-minutes"),
        (["run", "x", "--net", "everywhere"], 2, "--net cannot be 'everywhere'"),
        (["run", "x", "--nett", "off"], 2, "did you mean --net?"),
        (["run", "x", "--example"], 2, "an example brings its own task"),
        (["run", "--example", "nowhere"], 2, "there are: "),
        (["run", "x"], 4, "planner run --example"),
        (["run", "x", "--planner", "openai/gpt-5.6"], 4, "OPENAI_API_KEY"),
        (["run", "x", "--planner", "scripted:nowhere.jsonl"], 2, "nowhere.jsonl cannot be read"),
        (["run", "x", "--planner", "recorded:nothing"], 2, "delegate a first task"),
        (["run", "x", "--planner", ""], 2, "names no model"),
        (["run", "x", "--planner", "two words/x"], 2, "names no model"),
        (["run", "x", "--planner", "opneai/x"], 2, "did you mean openai/x"),
        (["run", "x", "--planner", "ollama_chat/x", "--checker", "gpt5"], 2, "mean gpt-5?"),
        (["run", "x", "--planner", "ollama_chat/x", "--max-calls", "2"], 2, "allow 3 or more"),
        (["run", "x", "--planner", "ollama_chat/x", "--max-tokens", "99"], 2, "is too small"),
        (["run", "x", "--out", "/proc/nowhere"], 2, "cannot write to /proc/nowhere"),
        (["run", "--example", "--out", "/proc/nowhere"], 2, "cannot write to /proc/nowhere"),
        (["run", "x", "--planner", "sk-" + "q" * 30], 2, "--planner is a key, not a model"),
        (["models", ""], 2, "names no model"),
        (["models", "sk-ant-" + "q" * 30], 2, "MODEL is a key, not a model"),
        (["models", "--team", "fast"], 2, "there is no team 'fast'"),
        (["tasks", "--limit", "0"], 2, "--limit"),
        (["find", "!!"], 2, "no word"),
        (["show", "last"], 2, "delegate a first task"),
        (["watch", "r_x"], 2, "delegate a first task"),
        (["replay", "last", "--speed", "fast"], 2, "--speed cannot be 'fast'"),
        (["config", "show", "budgte"], 2, "no key 'budgte'"),
        (["config", "set", "budget.usdd", "1"], 2, "did you mean budget.usd?"),
        (["sandbox", "exec", "nowhere.py"], 2, "nowhere.py cannot be read"),
        (["web", "fetch", "http://127.0.0.1/"], 2, "only public addresses"),
        (["web", "fetch", "file:///etc/passwd"], 2, "http"),
        (["worker", "stop", "--wait", "soon"], 2, "--wait cannot be 'soon'"),
        ([], 2, "the screen needs a terminal"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_one_line_and_the_exit_code(typed, args, code, said) -> None:
    _one_line(typed(*args), code, said)


@pytest.mark.parametrize("args", [["run"], ["tasks", "--limit", "0"], ["nonsense"]])
def test_the_process_ends_as_its_main_function_says(planner, typed, args) -> None:
    mine, real = typed(*args), planner(*args)
    assert (real.returncode, real.stdout, real.stderr) == (2, "", mine.stderr)


def test_a_screen_whose_error_output_goes_elsewhere_says_so_and_does_not_stay_empty(
    folder: Path,
) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "planner_app"],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            env={**os.environ, "PLANNER_HOME": str(folder / "home")},
            text=True,
            timeout=60,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the screen needs a terminal as its error output" in done.stderr


def test_a_task_of_a_megabyte_is_sent_to_an_attachment(planner) -> None:
    done = planner("run", "-", stdin="word " * 200_000)
    _one_line(done, 2, "--file")


def test_a_schema_that_is_none_is_the_one_thing_said(typed, folder: Path) -> None:
    (folder / "schema.json").write_text('{"type": "objec"}', encoding="utf-8")
    args = ("--planner", "ollama_chat/x", "--schema", "schema.json")
    done = typed("run", "x", *args, "--sandbox", "unsafe-host")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("planner: the schema schema.json is no JSON")
    assert "team:" not in done.stderr


def test_a_budget_of_next_to_nothing_is_too_small_and_not_misread(typed) -> None:
    args = ("--planner", "deepseek/deepseek-chat", "--max-usd", "0.0000001")
    done = typed("run", "x", *args, DEEPSEEK_API_KEY="sk-" + "q" * 30)
    _one_line(done, 2, "too small")


def test_a_binary_task_is_refused(planner) -> None:
    _one_line(planner("run", "-", stdin=b"\xff\xfe\x00\x01"), 2, "not UTF-8 text")


def test_a_tool_module_without_a_tool_is_refused_before_anything_is_delegated(
    typed, folder: Path
) -> None:
    (folder / "empty.py").write_text("x = 1\n", encoding="utf-8")
    done = typed("run", "x", "--tool", "empty.py")
    assert done.returncode == 2
    assert "empty.py: no public function" in done.stderr
    assert json.loads(typed("tasks", "--json").stdout) == {"runs": []}


def test_an_attachment_over_the_limit_names_the_limit(typed, folder: Path) -> None:
    (folder / "big.bin").write_bytes(b"x" * 2048)
    done = typed("run", "x", "--file", "big.bin", PLANNER_ATTACHMENTS_MAX_FILE="1k")
    _one_line(done, 2, "big.bin", "limit")


def test_a_key_in_the_wrong_variable_is_said_and_not_printed(typed) -> None:
    key = "sk-ant-" + "q" * 40
    done = typed("run", "x", "--planner", "openai/gpt-5.6", OPENAI_API_KEY=key)
    _one_line(done, 4, "ANTHROPIC_API_KEY")
    assert key not in done.stderr


def test_a_key_in_a_models_place_is_said_and_not_printed(typed) -> None:
    key = "sk-" + "q" * 40
    set_here = typed("config", "set", "teams.default.planner", key)
    in_a_variable = typed("models", PLANNER_TEAMS_DEFAULT_PLANNER=key)
    for done in (set_here, in_a_variable, typed("run", "x", "--planner", key)):
        _one_line(done, 2, "a key, not a model")
        assert key not in done.stderr


def test_a_key_with_white_space_is_said_and_not_printed(typed) -> None:
    done = typed("run", "x", "--planner", "openai/gpt-5.6", OPENAI_API_KEY="sk-abc def")
    _one_line(done, 4, "white space")
    assert "abc def" not in done.stderr


def test_an_engine_that_is_absent_stops_a_persons_own_task(typed, script, folder: Path) -> None:
    nowhere = f"unix://{folder}/no.sock"
    model = script(planner_says(1, {"answer": "Forty-two."}))
    done = typed("run", "x", "--planner", model, DOCKER_HOST=nowhere)
    _one_line(done, 4, "no container engine answers")
    assert typed("tasks").stdout == ""


def test_a_mistake_in_the_settings_does_not_keep_people_from_their_tasks(typed) -> None:
    config = find_paths(os.environ).config_file
    config.parent.mkdir(parents=True)
    config.write_text("[budget]\nusdd = 3\n", encoding="utf-8")
    _one_line(typed("run", "x"), 2, "config.toml", "did you mean budget.usd?")
    assert typed("tasks").returncode == 0


@pytest.fixture
def database() -> Path:
    path = find_paths(os.environ).database
    History.open(path).close()
    return path


def test_a_newer_database_is_left_alone(typed, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    connection.close()
    _one_line(typed("tasks"), 4, "newer")


def test_a_corrupt_database_is_said(typed, database: Path) -> None:
    database.write_bytes(b"this is no database" * 500)
    _one_line(typed("tasks"), 4, str(database))


def test_a_data_folder_that_is_a_file_is_said(planner, folder: Path) -> None:
    (folder / "file").write_text("", encoding="utf-8")
    _one_line(planner("worker", "start", PLANNER_HOME=str(folder / "file")), 4, "file")


@pytest.mark.parametrize("args", [["config", "path"], ["tasks"], ["doctor"]], ids=str)
def test_a_home_of_nobody_is_said(typed, args) -> None:
    done = typed(*args, PLANNER_HOME="~no-such-user/planner")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("planner: PLANNER_HOME names a home folder")


def test_a_foreground_worker_that_cannot_begin_is_one_line(planner, folder: Path) -> None:
    (folder / "file").write_text("", encoding="utf-8")
    home = str(folder / "home")
    database = f"sqlite:///{folder}/file/planner.db"
    _one_line(planner("worker", "run", PLANNER_HOME=home, PLANNER_DATABASE_URL=database), 4, "file")


def test_closed_streams_are_no_fault(folder: Path) -> None:
    home = {**os.environ, "PLANNER_HOME": str(folder / "home")}
    for closed, command in ((">&-", "tasks"), ("<&- >&- 2>&-", "models"), (">&-", "config path")):
        line = f'exec "$0" -m planner_app {command} {closed}'
        done = subprocess.run(
            ["sh", "-c", line, sys.executable], env=home, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, b"")
        assert b"unexpected" not in done.stderr


def test_unknown_runs_name_the_nearest(typed, database: Path) -> None:
    _one_line(typed("show", "r_nothing"), 2, "there is no run")


def test_what_nobody_foresaw_is_one_line_and_a_traceback_in_the_log(planner, folder: Path) -> None:
    (folder / "broken").mkdir()
    (folder / "broken" / "sitecustomize.py").write_text(
        "import planner_app.cli.lists as lists\n"
        "def broken(*_): raise RuntimeError('what is this')\n"
        "lists.list_tasks = broken\n",
        encoding="utf-8",
    )
    import planner_app

    root = str(Path(planner_app.__file__).parent.parent)
    path = os.pathsep.join([root, str(folder / "broken")])
    done = planner("tasks", PYTHONPATH=path)
    _one_line(done, 1, "RuntimeError: what is this", "planner.log")
    log = find_paths(os.environ).log_file.read_text(encoding="utf-8")
    assert "Traceback" in log
    loud = planner("tasks", PYTHONPATH=path, PLANNER_DEBUG="1")
    assert "Traceback" in loud.stderr


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    import subprocess
    import sys

    import planner_app

    env = {**os.environ, "PYTHONPATH": str(Path(planner_app.__file__).parent.parent)}
    command = f"{sys.executable} -m planner_app config show | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_lists_are_empty_before_the_first_task(typed) -> None:
    assert json.loads(typed("tasks", "--json").stdout) == {"runs": []}
    assert json.loads(typed("find", "words", "--json").stdout) == {"hits": []}
    assert json.loads(typed("worker", "status", "--json").stdout) == {"workers": []}


def test_a_password_in_an_address_is_never_printed(typed) -> None:
    address = "http://me:pass-word@here:1/v1"
    said = [
        typed("config", "set", "teams.default.planner", "openai/x"),
        typed("config", "set", "teams.default.api_base", address),
        typed("config", "set", "teams.default.api_base", address, "--json"),
        typed("config", "set", "net.searxng_url", address.replace("http", "ftp")),
        typed("models"),
        typed("models", "--json"),
        typed("config", "show"),
    ]
    assert [done.returncode for done in said] == [0, 0, 0, 2, 0, 0, 0]
    assert "http://***@here:1/v1" in said[4].stdout
    assert not [done for done in said if "pass-word" in done.stdout + done.stderr]


def test_settings_round_trip_through_the_command_line(typed) -> None:
    assert typed("config", "set", "budget.usd", "0.5").returncode == 0
    shown = json.loads(typed("config", "show", "budget", "--json").stdout)
    assert shown["values"]["budget.usd"]["value"] == 0.5
    assert shown["values"]["budget.usd"]["origin"].endswith("config.toml")
    paths = json.loads(typed("config", "path", "--json").stdout)
    assert paths["config"] == shown["values"]["budget.usd"]["origin"]


def test_doctor_says_what_is_missing_and_exits_4(typed, folder: Path) -> None:
    done = typed("doctor", "--json", DOCKER_HOST=f"unix://{folder}/no.sock")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 4
    assert not checks["engine"]["ok"]
    assert checks["engine"]["fix"]
    assert not checks["models"]["ok"]
    assert checks["python"]["ok"]


def test_doctor_names_a_mistake_in_the_settings_once_and_looks_at_the_rest(
    typed, planner_home: Path
) -> None:
    planner_home.mkdir()
    (planner_home / "config.toml").write_text("[budget]\nusdd = 1\n", encoding="utf-8")
    done = typed("doctor", PLANNER_NET_POLICY="off")
    assert done.returncode == 4
    assert done.stdout.count("budget.usdd") == 1
    assert "!!  models" in done.stdout
    assert "ok  history" in done.stdout


def test_doctor_says_that_a_profile_cannot_be_read(typed, planner_home: Path) -> None:
    planner_home.mkdir()
    (planner_home / "profiles.toml").write_text("[[profile]]\nmatch = 3\n", encoding="utf-8")
    done = typed("doctor", "--json", PLANNER_NET_POLICY="off")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert not checks["settings"]["ok"]
    assert "profiles.toml, line 2" in checks["settings"]["text"]


def test_doctor_says_where_no_history_could_be_made(typed, planner_home: Path) -> None:
    planner_home.parent.mkdir(exist_ok=True)
    planner_home.write_text("", encoding="utf-8")
    done = typed("doctor", PLANNER_NET_POLICY="off")
    assert "!!  history" in done.stdout
    assert f"{planner_home} is no folder" in done.stdout


def test_doctor_proposes_only_what_this_person_can_do(typed, monkeypatch) -> None:
    from planner_app.sandbox import engine_setup

    def nothing_listens(endpoint: object) -> Ping:
        return Ping("absent", "no container engine answers")

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine_setup, "ping", nothing_listens)
    for user, proposed in ((1000, False), (0, True)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        monkeypatch.setattr(engine_setup, "_may_mount", lambda: True)
        done = typed("doctor", "--json", PLANNER_NET_POLICY="off")
        checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        assert ("planner doctor --fix" in checks["engine"]["fix"]) is proposed
        assert ("only root" in checks["engine"]["text"]) is not proposed
