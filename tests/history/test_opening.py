"""Opening: private, cheap, and one clear line for a file that cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Boolean

from planner_app.domain.errors import BadInput, HistoryError, NotFound
from planner_app.history import History, columns, schema
from planner_app.history import open as opening
from planner_app.history.open import make_engine, writing
from planner_app.history.tables import METADATA
from tests.history.conftest import new_run, note

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that another user may look into; pytest's own may not be."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def opened_without_rights(place: Path) -> str:
    command = [sys.executable, "-m", "tests.history.dropped", str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def version_in(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def shape(database: Path) -> dict[str, object]:
    """Columns, keys and indexes of every table."""
    found: dict[str, object] = {}
    with closing(sqlite3.connect(database)) as connection:
        names = connection.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()
        for kind, name in names:
            pragmas = ("table_info", "foreign_key_list") if kind == "table" else ("index_xinfo",)
            for pragma in pragmas:
                found[f"{kind} {name} {pragma}"] = connection.execute(
                    f"PRAGMA {pragma}('{name}')"
                ).fetchall()
            if kind == "table":
                unique = connection.execute(f"PRAGMA index_list('{name}')").fetchall()
                found[f"{name} unique"] = sorted(row[2:] for row in unique)
    return found


def test_the_folder_and_every_file_are_the_owners_only(database: Path) -> None:
    with History.open(database) as history:
        new_run(history, "r_aaaaaaaaaa")
        assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700
        for file in database.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert {"planner.db", "planner.db-wal", "planner.db-shm"} <= {
            file.name for file in database.parent.iterdir()
        }


def test_a_folder_that_was_there_keeps_its_mode_but_a_readable_file_does_not(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    History.open(tmp_path / "planner.db").close()
    (tmp_path / "planner.db").chmod(0o644)
    History.open(tmp_path / "planner.db").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "planner.db").stat().st_mode) == 0o600


def test_it_is_in_wal_mode(history: History) -> None:
    with history.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_an_address_names_the_same_file_as_a_path(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/a/planner.db"
    with History.open("/nowhere", env={"PLANNER_DATABASE_URL": address}) as history:
        assert history.path == tmp_path / "a" / "planner.db"
    with History.open(address, create=False) as history:
        assert history.runs() == []


@pytest.mark.parametrize("address", ["postgresql://x/y", "mysql://x", "sqlite://", "sqlite:///"])
def test_another_database_is_refused_by_name(address: str) -> None:
    with pytest.raises(BadInput, match="PLANNER_DATABASE_URL"):
        History.open("/nowhere", env={"PLANNER_DATABASE_URL": address})


def test_reading_makes_no_file(database: Path) -> None:
    with pytest.raises(NotFound, match="no history"):
        History.open(database, create=False)
    assert not database.parent.exists()


def test_migrations_and_a_new_file_give_the_same_schema(tmp_path: Path) -> None:
    History.open(tmp_path / "new.db").close()
    engine = make_engine(tmp_path / "migrated.db")
    with writing(engine) as connection:
        schema.migrate(connection)
    engine.dispose()
    assert shape(tmp_path / "new.db") == shape(tmp_path / "migrated.db")
    assert version_in(tmp_path / "migrated.db") == schema.HEAD


def test_the_newest_migration_is_the_version_that_is_written() -> None:
    files = sorted(Path(schema.__file__).parent.glob("migrations/versions/0*.py"))
    assert files[-1].name.partition("_")[0] == schema.HEAD


def test_an_older_schema_is_brought_up_to_date(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with History.open(database) as history:
        new_run(history, "r_aaaaaaaaaa")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num='0000'")
    asked = []
    monkeypatch.setattr(schema, "migrate", lambda connection: asked.append(connection))
    with History.open(database) as history:
        assert len(history.runs()) == 1
    assert len(asked) == 1


def test_statements_name_the_columns_that_the_models_have() -> None:
    for name, model in METADATA.tables.items():
        named = getattr(columns, name.upper())
        assert [c.name for c in named.c] == [c.name for c in model.c]
        for each in model.c:
            assert isinstance(named.c[each.name].type, Boolean) == isinstance(each.type, Boolean)


def test_opening_a_current_file_and_listing_imports_no_models_and_nothing_heavy(
    database: Path,
) -> None:
    History.open(database).close()
    code = (
        "import sys; from planner_app.history import History; from planner_app.queue import Queue\n"
        f"with History.open({str(database)!r}) as history: history.runs()\n"
        "heavy = {'litellm', 'docker', 'httpx', 'textual', 'alembic', 'sqlmodel'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_newer_file_is_refused_and_not_touched(database: Path) -> None:
    with History.open(database) as history:
        new_run(history, "r_aaaaaaaaaa")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num='9999'")
    before = {file.name: file.read_bytes() for file in database.parent.iterdir()}
    with pytest.raises(HistoryError, match=r"newer planner.*not touched"):
        History.open(database)
    assert {file.name: file.read_bytes() for file in database.parent.iterdir()} == before


@pytest.mark.parametrize("damage", ["header", "middle", "text"])
def test_a_corrupt_file_is_told_in_one_line_with_what_to_do(database: Path, damage: str) -> None:
    with History.open(database) as history:
        run = new_run(history, "r_aaaaaaaaaa")
        run.append(*[note("x" * 1000) for _ in range(100)])
    data = bytearray(database.read_bytes())
    match damage:
        case "header":
            data[:100] = bytes(100)
        case "middle":
            data[4096:] = os.urandom(len(data) - 4096)
        case "text":
            data = bytearray(b"this is a letter to my bank " * 300)
    database.write_bytes(data)

    def use() -> None:
        with History.open(database) as history:
            history.runs()
            history.events("r_aaaaaaaaaa")
            history.append_now("r_aaaaaaaaaa", 1, [note()])

    with pytest.raises(HistoryError, match="damaged") as caught:
        use()
    assert "recover" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_another_programs_database_is_not_taken_over(database: Path) -> None:
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(HistoryError, match="another program's"):
        History.open(database)


def test_a_locked_file_is_told_after_a_short_wait(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.1)
    with History.open(database) as history:
        run = new_run(history, "r_aaaaaaaaaa")
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(HistoryError, match="locked by another program"):
                run.append(note())
            assert len(history.events(run.id)) == 1, "readers wait for no writer"
            other.execute("ROLLBACK")
        run.append(note())
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE run SET title=title")
        with pytest.raises(HistoryError, match="locked by another program"):
            History.open(database).runs()


def test_a_read_only_folder_is_told(shared_folder: Path) -> None:
    folder = shared_folder / "home"
    folder.mkdir(mode=0o555)
    said = opened_without_rights(folder / "planner.db")
    assert said.startswith("HistoryError 4: the history")
    assert "permission denied" in said
    assert "PLANNER_HOME" in said


def test_a_read_only_file_is_told(shared_folder: Path) -> None:
    database = shared_folder / "planner.db"
    with History.open(database) as history:
        new_run(history, "r_aaaaaaaaaa")
    database.chmod(0o444)
    shared_folder.chmod(0o555)
    said = opened_without_rights(database)
    assert said.startswith("HistoryError 4: the history")
    assert "is read-only" in said


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HistoryError, match="not a directory"):
        History.open(tmp_path / "file" / "planner.db")
    (tmp_path / "dir.db").mkdir()
    with pytest.raises(HistoryError, match="is not a file"):
        History.open(tmp_path / "dir.db")


def test_a_full_disk_is_told_and_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    code = f"""
import os, subprocess, sys
from planner_app.domain.errors import HistoryError
from planner_app.history import History
from tests.history.conftest import new_run, note
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", {str(tmp_path)!r}], check=True)
history = History.open({str(tmp_path / "planner.db")!r})
run = new_run(history, "r_aaaaaaaaaa")
saved = 1
try:
    while True:
        saved = run.append(note("x" * 9000))[-1].seq
except HistoryError as error:
    print(error)
try:
    history.put_blob(os.urandom(2_000_000))
except HistoryError as error:
    print(error)
assert saved > 5
assert [e.seq for e in history.events(run.id)] == list(range(1, saved + 1))
"""
    tried = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    command = ["unshare", "-rm", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 2
    assert all("the disk is full" in line for line in lines)


def test_many_processes_that_open_a_new_history_at_once_all_succeed(database: Path) -> None:
    code = (
        "import sys; from planner_app.history import History\n"
        "sys.stdin.readline()\n"
        f"with History.open({str(database)!r}) as h: h.put_blob(sys.argv[1].encode()); h.runs()\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], stdin=subprocess.PIPE, cwd=ROOT)
        for n in range(4)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.close()
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM blob").fetchone() == (4,)
