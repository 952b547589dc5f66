"""Delegating: what a person gives is kept as given, and every mistake is one clear line."""

from __future__ import annotations

import json
import math
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from planner_app.domain.catalogue import (
    AnswerDrafted,
    ArtifactSaved,
    BudgetLimits,
    RunCreated,
    RunFinished,
    SourceAdded,
)
from planner_app.domain.errors import BadInput, NotFound
from planner_app.domain.events import EventData
from planner_app.domain.fold import fold
from planner_app.domain.plan import Answer
from planner_app.domain.summary import RunSummary
from planner_app.history import History
from planner_app.history.columns import BLOB
from planner_app.queue import Queue, Submission
from planner_app.queue.attachments import free_name, safe_name
from planner_app.settings import Settings, load_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with some files."""
    here = tmp_path / "work"
    (here / "data" / "deep").mkdir(parents=True)
    (here / "data" / ".git").mkdir()
    (here / "table.csv").write_text("a,b\n1,2\n")
    (here / "data" / "one.bin").write_bytes(bytes(range(256)))
    (here / "data" / "deep" / "two.txt").write_text("two")
    (here / "data" / ".git" / "config").write_text("secret")
    return here


def created(history: History, run_id: str) -> tuple[RunCreated, dict[str, str]]:
    event = history.events(run_id)[0]
    return RunCreated.model_validate(event.data), event.blobs


def test_a_task_is_recorded_as_it_was_given(
    queue: Queue, history: History, settings: Settings, folder: Path
) -> None:
    text = "Compare the lengths\n\n of \U0001f600 glaciers"
    wanted = Submission(
        text,
        models={"planner": "a/b"},
        tags=("geo", "ice"),
        approve="actions",
        budget=BudgetLimits(usd=1.5),
        no_input=True,
        folder=folder,
    )
    done = queue.submit(wanted, settings)
    data, blobs = created(history, done.run_id)
    assert history.get_blob(blobs["text"]).decode() == text
    assert data.text == text
    assert data.models == {"planner": "a/b"}
    assert (data.approve, data.net, data.no_input) == ("actions", "open", True)
    assert data.budget.usd == 1.5
    (row,) = history.runs(tag="ice")
    assert (row.run_id, row.task_id) == (done.run_id, done.task_id)
    assert row.summary == RunSummary(status="queued", phase="queued", title="Compare the lengths")
    assert row.summary == fold(history.events(done.run_id)).summary()
    assert row.folder == str(folder)


def test_ids_are_short_and_begin_with_what_they_name(queue: Queue, settings: Settings) -> None:
    done = [queue.submit(Submission("x"), settings) for _ in range(20)]
    for each in done:
        assert each.run_id[:2] == "r_"
        assert each.task_id[:2] == "t_"
        assert set(each.run_id[2:]) <= set("abcdefghijklmnopqrstuvwxyz234567")
        assert len(each.run_id) == 12
    assert len({each.run_id for each in done}) == 20


def test_files_and_folders_are_attached_by_safe_names(
    queue: Queue, history: History, settings: Settings, folder: Path
) -> None:
    (folder / "data" / "link").symlink_to("/etc/passwd")
    (folder / "data" / "round").symlink_to(folder)
    wanted = Submission(
        "Sum it", files=(folder / "data" / ".." / "table.csv",), dirs=(folder / "data",)
    )
    done = queue.submit(wanted, settings)
    data, blobs = created(history, done.run_id)
    assert [file.name for file in data.attachments] == [
        "table.csv",
        "data/one.bin",
        "data/deep/two.txt",
    ]
    assert history.get_blob(blobs["data/one.bin"]) == bytes(range(256))
    assert [file.bytes for file in data.attachments] == [8, 256, 3]
    assert data.net == "seen", "what is attached does not leave by an address of the model's choice"
    assert len(done.notes) == 3
    assert all(any(name in note for note in done.notes) for name in (".git", "link", "round"))


def test_odd_file_names_are_cleaned_and_told(
    queue: Queue, history: History, settings: Settings, folder: Path
) -> None:
    odd = folder / "a\nb\x1b[31m.txt"
    odd.write_text("odd")
    (folder / "other").mkdir()
    (folder / "other" / "table.csv").write_text("other")
    (folder / "text").write_text("named like the task's own blob")
    files = (odd, folder / "table.csv", folder / "other" / "table.csv", folder / "text")
    done = queue.submit(Submission("x", files=files), settings)
    data, blobs = created(history, done.run_id)
    names = [file.name for file in data.attachments]
    assert names == ["a_b_[31m.txt", "table.csv", "table-2.csv", "text-2"]
    assert history.get_blob(blobs["table-2.csv"]) == b"other"
    assert history.get_blob(blobs["text"]) == b"x"
    assert len(done.notes) == 3
    assert all("\n" not in note and "\x1b" not in note for note in done.notes)


@given(st.text(max_size=300))
def test_no_name_leaves_the_workspace_or_steers_a_terminal(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not safe.startswith("/")
    assert not {"..", ".", ""} & set(safe.split("/"))
    assert all(c >= " " and c != "\x7f" for c in safe)
    assert all(len(part.encode()) <= 130 for part in safe.split("/"))


@given(st.sampled_from(["a.txt", "a", ".bashrc", "d/a.tar.gz"]), st.integers(0, 4))
def test_a_taken_name_gets_a_number(name: str, times: int) -> None:
    taken: set[str] = set()
    for _ in range(times + 1):
        free = free_name(name, taken)
        assert free not in taken
        taken.add(free)
    assert len(taken) == times + 1


@pytest.fixture
def odd_files(folder: Path) -> Iterator[dict[str, Path]]:
    os.mkfifo(folder / "pipe")
    (folder / "big").write_bytes(bytes(2000))
    # A socket's path has to be short.
    short = Path(tempfile.mkdtemp())
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(short / "socket"))
        yield {
            "missing": folder / "nothing.csv",
            "folder": folder / "data",
            "pipe": folder / "pipe",
            "device": Path("/dev/zero"),
            "socket": short / "socket",
            "under a file": folder / "table.csv" / "x",
            "a NUL": Path("a\x00b"),
            "big": folder / "big",
        }


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("missing", "does not exist"),
        ("folder", "--dir"),
        ("pipe", "device or pipe"),
        ("device", "device or pipe"),
        ("socket", "device or pipe"),
        ("under a file", "not a directory"),
        ("a NUL", "cannot be read"),
        ("big", "over the limit of 1000 bytes"),
    ],
)
def test_a_file_that_cannot_be_attached_is_told_and_nothing_is_recorded(
    queue: Queue,
    history: History,
    tmp_path: Path,
    odd_files: dict[str, Path],
    which: str,
    said: str,
) -> None:
    env = {"PLANNER_HOME": str(tmp_path / "h"), "PLANNER_ATTACHMENTS_MAX_FILE": "1000"}
    small = load_settings(tmp_path, env)
    with pytest.raises(BadInput, match=said) as caught:
        queue.submit(Submission("x", files=(odd_files[which],)), small)
    assert "\n" not in str(caught.value)
    assert history.runs() == []


def test_attachments_that_are_too_large_together_are_told(
    queue: Queue, tmp_path: Path, folder: Path
) -> None:
    env = {"PLANNER_HOME": str(tmp_path / "h"), "PLANNER_ATTACHMENTS_MAX_TOTAL": "100"}
    small = load_settings(tmp_path, env)
    files = (folder / "table.csv", folder / "data" / "one.bin")
    with pytest.raises(BadInput, match="over 100 bytes in all"):
        queue.submit(Submission("x", files=files), small)


def test_a_file_where_a_folder_is_meant_is_told(
    queue: Queue, settings: Settings, folder: Path
) -> None:
    for path, said in ((folder / "table.csv", "--file"), (folder / "no", "does not exist")):
        with pytest.raises(BadInput, match=said):
            queue.submit(Submission("x", dirs=(path,)), settings)


@pytest.fixture
def many(folder: Path) -> Path:
    """A folder of 300 files with long names."""
    made = folder / "many"
    made.mkdir()
    for n in range(300):
        (made / f"{'long' * 20}{n:03}").write_text(str(n))
    return made


def test_a_folder_of_many_files_is_attached_whole(
    queue: Queue, history: History, settings: Settings, many: Path
) -> None:
    done = queue.submit(Submission("x", dirs=(many,)), settings)
    events = history.events(done.run_id)
    attached = fold(events).attachments
    assert {event.type for event in events[1:]} == {"run.attached"}
    assert [history.get_blob(file.sha256) for file in attached] == [b"%d" % n for n in range(300)]
    assert {n: s for e in events for n, s in e.blobs.items() if n != "text"} == {
        file.name: file.sha256 for file in attached
    }


def test_a_folder_without_files_is_noted(queue: Queue, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "bare" / "deep").mkdir(parents=True)
    (note,) = queue.submit(Submission("x", dirs=(tmp_path / "bare",)), settings).notes
    assert "holds no file" in note


def test_a_follow_up_has_all_the_files_of_a_large_folder(
    queue: Queue, history: History, settings: Settings, many: Path
) -> None:
    done = queue.submit(Submission("x", dirs=(many,)), settings)
    end(queue, history, done.run_id)
    again = queue.submit(Submission("y", follow_up_of=done.run_id), settings)
    first, second = (fold(history.events(run)).attachments for run in (done.run_id, again.run_id))
    assert second == first


def test_more_files_than_may_be_attached_are_told(
    queue: Queue, settings: Settings, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner_app.queue.attachments.MAX_FILES", 299)
    with pytest.raises(BadInput, match="over 299 files") as caught:
        queue.submit(Submission("x", dirs=(many,)), settings)
    assert "archive" in caught.value.hint


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"workspace": 2**20, "memory": 2**25}, "--limit workspace"), ({"inodes": 300}, "inodes")],
)
def test_files_that_no_sandbox_could_hold_are_told(
    queue: Queue,
    history: History,
    settings: Settings,
    many: Path,
    limits: dict[str, float],
    said: str,
) -> None:
    (many / "large").write_bytes(bytes(2**20))
    with pytest.raises(BadInput) as caught:
        queue.submit(Submission("x", dirs=(many,), limits=limits), settings)
    assert said in caught.value.hint
    assert history.runs() == []
    with history.reading() as connection:
        assert connection.execute(select(BLOB.c.sha256)).all() == []


def test_folders_and_files_of_one_name_keep_apart(
    queue: Queue, history: History, settings: Settings, tmp_path: Path
) -> None:
    for parent, names in (("a", ["data/x"]), ("b", ["data/x", "data/y_/z", "data/y\n"])):
        for name in names:
            path = tmp_path / parent / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(parent)
    (tmp_path / "data").write_text("a file")
    wanted = Submission(
        "x", files=(tmp_path / "data",), dirs=(tmp_path / "a/data", tmp_path / "b/data")
    )
    data, _ = created(history, queue.submit(wanted, settings).run_id)
    names = [file.name for file in data.attachments]
    assert names == ["data", "data-2/x", "data-3/x", "data-3/y_", "data-3/y_-2/z"]


def test_a_tasks_limits_are_checked_and_kept_for_its_follow_ups(
    queue: Queue, history: History, settings: Settings
) -> None:
    with pytest.raises(BadInput, match="memory"):
        queue.submit(Submission("x", limits={"workspace": 2**40}), settings)
    done = queue.submit(Submission("x", limits={"memory": 2**31}), settings)
    end(queue, history, done.run_id)
    again = queue.submit(Submission("y", limits={"pids": 64}, follow_up_of=done.run_id), settings)
    assert created(history, again.run_id)[0].limits == {"memory": 2**31, "pids": 64}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("x" * 1_000_000, "put it in a file and attach it with --file"),
        ("a\x00b", "not text"),
        ("a\udc80b", "not text"),
    ],
)
def test_a_text_that_is_no_task_is_told(
    queue: Queue, settings: Settings, text: str, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        queue.submit(Submission(text), settings)


def test_a_long_task_is_kept_whole(queue: Queue, history: History, settings: Settings) -> None:
    text = "字" * 100_000
    data, blobs = created(history, queue.submit(Submission(text), settings).run_id)
    assert data.text == text[:2000]
    assert history.get_blob(blobs["text"]).decode() == text


def test_a_key_in_the_text_is_taken_out_and_told(
    queue: Queue, history: History, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "very-secret-value")
    done = queue.submit(Submission("Use very-secret-value to log in"), settings)
    assert "secret-value" not in history.events(done.run_id)[0].to_json()
    assert len(done.notes) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"team": "fats"}, "there is no team 'fats'; did you mean fast"),
        ({"team": "nothing"}, "known teams: default, fast"),
        ({"models": {"boss": "x"}}, "there is no role 'boss'"),
        ({"models": {"planner": " "}}, "model for planner is empty"),
        ({"budget": BudgetLimits(usd=-1)}, "budget for usd is -1"),
        ({"budget": BudgetLimits(seconds=math.nan)}, "budget for seconds is nan"),
        ({"tags": ("",)}, "tag"),
        ({"tags": ("a\nb",)}, "tag"),
        ({"net": "everything"}, "--net"),
        ({"net": "exa mple.org"}, "--net"),
    ],
)
def test_options_that_cannot_be_used_are_told(
    queue: Queue, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    home = tmp_path / "cfg"
    home.mkdir()
    (home / "config.toml").write_text('[teams.fast]\nplanner = "a/b"\n')
    settings = load_settings(tmp_path, {"PLANNER_HOME": str(home)})
    with pytest.raises(BadInput, match=said):
        queue.submit(Submission("x", **options), settings)


def test_a_teams_models_are_settled_and_single_ones_win(
    queue: Queue, history: History, tmp_path: Path
) -> None:
    home = tmp_path / "cfg"
    home.mkdir()
    (home / "config.toml").write_text(
        '[teams.fast]\nplanner = "a/b"\nexecutor = "c/d"\nmode = "solo"\nmax_parallel = 2\n'
        '[net]\npolicy = "off"\n'
    )
    settings = load_settings(tmp_path, {"PLANNER_HOME": str(home)})
    wanted = Submission("x", team="fast", models={"executor": "e/f"})
    data, _ = created(history, queue.submit(wanted, settings).run_id)
    assert data.models == {"planner": "a/b", "executor": "e/f"}
    assert (data.mode, data.max_parallel, data.net) == ("solo", 2, "off")
    hosts = Submission("x", net="Example.org, docs.python.org")
    data, _ = created(history, queue.submit(hosts, settings).run_id)
    assert data.net == "example.org,docs.python.org"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"type": "nothing"}', "no JSON Schema"),
        ('{"a": {"$ref": "http://example.org/x"}}', "refers to"),
        ("[" * 100_000, "schema"),
        (" " * 300_000, "over 256 kB"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_schema_that_cannot_be_used_is_told(
    queue: Queue, settings: Settings, folder: Path, text: str | None, said: str
) -> None:
    path = folder / "schema.json"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadInput, match=said) as caught:
        queue.submit(Submission("x", schema=path), settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tool.txt", "", "no Python module"),
        ("my-tool.py", "", "no Python module"),
        ("missing.py", None, "cannot be read"),
        ("bad.py", "def f(:\n", "line 1"),
        ("nul.py", "a = '\x00'", "not valid Python"),
    ],
)
def test_a_tool_that_cannot_be_used_is_told(
    queue: Queue, settings: Settings, folder: Path, name: str, text: str | None, said: str
) -> None:
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(BadInput, match=said):
        queue.submit(Submission("x", tools=(folder / name,)), settings)


def test_a_schema_and_tools_are_kept_with_the_run(
    queue: Queue, history: History, settings: Settings, folder: Path
) -> None:
    schema = {"type": "object", "properties": {"km": {"type": "number"}}}
    (folder / "schema.json").write_text(json.dumps(schema))
    (folder / "units.py").write_text("def km(miles: float) -> float:\n    return miles * 1.609\n")
    wanted = Submission("x", schema=folder / "schema.json", tools=(folder / "units.py",))
    data, blobs = created(history, queue.submit(wanted, settings).run_id)
    assert data.has_schema
    assert json.loads(history.get_blob(blobs["schema"])) == schema
    assert data.tools == {"units": blobs["tool:units"]}
    assert b"def km" in history.get_blob(blobs["tool:units"])


def ended_run(queue: Queue, history: History, settings: Settings, folder: Path) -> str:
    """A run that attached a table, saved a chart and answered."""
    wanted = Submission("Draw the table", files=(folder / "table.csv",), net="off")
    run_id = queue.submit(wanted, settings).run_id
    chart = history.put_blob(b"PNG")
    end(
        queue,
        history,
        run_id,
        SourceAdded(n=1, kind="page", title="Ice", url="http://ice/", mime="x"),
        ArtifactSaved(name="chart.png", bytes=3, mime="image/png", sha256=chart),
        AnswerDrafted(answer=Answer(text="It grows."), number=1),
    )
    return run_id


def end(queue: Queue, history: History, run_id: str, *facts: EventData) -> None:
    """The run ends well after these facts."""
    me = queue.join("run")
    lease = queue.claim(me.worker_id, run_id)
    assert lease
    history.append_now(
        run_id,
        lease.fence,
        [fact.draft() for fact in (*facts, RunFinished(status="done"))],
        summary=RunSummary(status="done", phase="checking", title="Draw the table"),
    )
    me.leave()


def test_a_follow_up_knows_the_earlier_answer_sources_and_files(
    queue: Queue, history: History, settings: Settings, folder: Path
) -> None:
    first = ended_run(queue, history, settings, folder)
    done = queue.submit(Submission("Now in blue", follow_up_of=first), settings)
    data, blobs = created(history, done.run_id)
    assert done.task_id == history.run(first).task_id
    assert (data.parent_run_id, data.net) == (first, "off")
    assert [file.name for file in data.attachments] == ["table.csv", "earlier/chart.png"]
    assert history.get_blob(blobs["earlier/chart.png"]) == b"PNG"
    for known in ("Draw the table", "It grows.", "[1] Ice http://ice/"):
        assert known in data.background
    assert history.run(done.run_id).parent_run_id == first
    assert len(history.runs(task_id=done.task_id)) == 2


def test_the_newest_version_of_an_artifact_goes_on_from_follow_up_to_follow_up(
    queue: Queue, history: History, settings: Settings, folder: Path
) -> None:
    run_id = ended_run(queue, history, settings, folder)
    for drawn in (b"blue", b"red"):
        run_id = queue.submit(Submission("Again", follow_up_of=run_id), settings).run_id
        sha = history.put_blob(drawn)
        chart = ArtifactSaved(name="chart.png", bytes=len(drawn), mime="image/png", sha256=sha)
        end(queue, history, run_id, chart)
    done = queue.submit(Submission("And now?", follow_up_of=run_id), settings)
    data, blobs = created(history, done.run_id)
    assert [file.name for file in data.attachments] == ["table.csv", "earlier/chart.png"]
    assert history.get_blob(blobs["earlier/chart.png"]) == b"red"


def test_a_follow_up_needs_a_run_that_ended(
    queue: Queue, history: History, settings: Settings
) -> None:
    running = queue.submit(Submission("x"), settings).run_id
    with pytest.raises(BadInput, match="has not ended"):
        queue.submit(Submission("y", follow_up_of=running), settings)
    with pytest.raises(NotFound):
        queue.submit(Submission("y", follow_up_of="r_nothing"), settings)
