"""Live text: seen by other processes while it grows, gone when its event is in the log."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from planner_app.history.live import RESTART, LiveReader, LiveRow, LiveWriter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "live.db"


@pytest.fixture
def writer(file: Path) -> Iterator[LiveWriter]:
    opened = LiveWriter(file)
    yield opened
    opened.close()


@pytest.fixture
def reader(file: Path) -> Iterator[LiveReader]:
    opened = LiveReader(file)
    yield opened
    opened.close()


def read_until(reader: LiveReader, holds: Callable[[list[LiveRow]], bool]) -> list[LiveRow]:
    deadline = time.monotonic() + 20
    rows: list[LiveRow] = []
    while not holds(rows):
        assert time.monotonic() < deadline, rows
        rows = reader.read("r_1")
        time.sleep(0.01)
    return rows


def text_of(rows: list[LiveRow]) -> str:
    return "".join(row.text for row in rows)


def test_text_grows_for_a_reader_and_goes_when_the_call_ends(
    writer: LiveWriter, reader: LiveReader
) -> None:
    writer.write("r_1", "m", "reasoning", "Let me ")
    first = read_until(reader, bool)
    writer.write("r_1", "m", "reasoning", "think")
    rows = read_until(reader, lambda rows: text_of(rows) == "Let me think")
    assert {row.kind for row in rows} == {"reasoning"}
    assert text_of(reader.read("r_1", first[-1].id)) == "think"
    assert reader.read("r_2") == []
    writer.end("r_1", "m")
    read_until(reader, lambda rows: reader.read("r_1") == [])


def test_many_tokens_become_few_rows_and_none_is_lost(
    writer: LiveWriter, reader: LiveReader
) -> None:
    start = time.monotonic()
    tokens = [f"{n} " for n in range(20_000)]
    for token in tokens:
        writer.write("r_1", "m", "text", token)
    rows = read_until(reader, lambda rows: text_of(rows) == "".join(tokens))
    assert len(rows) <= 2 + 10 * (time.monotonic() - start)


def test_pacing_says_how_much_came_until_when(writer: LiveWriter, reader: LiveReader) -> None:
    writer.write("r_1", "m", "text", "abc")
    read_until(reader, bool)
    writer.write("r_1", "m", "text", "\ud800de")
    paces = writer.pacing("r_1", "m")
    assert sum(pace.chars for pace in paces) == 6
    assert [pace.ms for pace in paces] == sorted(pace.ms for pace in paces)
    writer.end("r_1", "m")
    assert writer.pacing("r_1", "m") == ()


def test_a_retry_voids_what_came_before(writer: LiveWriter, reader: LiveReader) -> None:
    writer.write("r_1", "m", "text", "wrong")
    before = read_until(reader, bool)
    writer.restart("r_1", "m")
    writer.write("r_1", "m", "text", "right")
    rows = read_until(reader, lambda rows: text_of(rows) == "right")
    assert rows[0].kind == RESTART
    assert rows[0].id > before[-1].id, "a reader in the middle is told"


def test_another_process_sees_it_grow(writer: LiveWriter, file: Path) -> None:
    code = (
        "import time; from pathlib import Path\n"
        "from planner_app.history.live import LiveReader\n"
        f"reader = LiveReader(Path({str(file)!r})); print('ready', flush=True)\n"
        "while 'two' not in (text := ''.join(r.text for r in reader.read('r_1'))):\n"
        "    time.sleep(0.01)\n"
        "print(text)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        writer.write("r_1", "m", "text", "one ")
        writer.write("r_1", "m", "text", "two")
        assert process.stdout.readline() == "one two\n"
        assert process.wait(timeout=20) == 0


def test_what_a_dead_driver_left_is_forgotten_by_the_next(
    writer: LiveWriter, reader: LiveReader, file: Path
) -> None:
    writer.write("r_1", "m", "text", "left")
    writer.write("r_2", "m", "text", "other run")
    writer.close()
    heir = LiveWriter(file)
    heir.forget("r_1")
    heir.close()
    assert reader.read("r_1") == []
    assert text_of(reader.read("r_2")) == "other run"


def test_a_reader_is_told_cheaply_whether_there_is_more(
    writer: LiveWriter, reader: LiveReader
) -> None:
    reader.read("r_1")
    count = reader.count()
    assert reader.count() == count
    writer.write("r_1", "m", "text", "new")
    read_until(reader, bool)
    assert reader.count() > count


def test_a_broken_live_database_costs_text_but_no_run(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(b"not a database " * 500)
    writer, reader = LiveWriter(file), LiveReader(file)
    with caplog.at_level(logging.WARNING):
        assert reader.read("r_1") == []
        writer.write("r_1", "m", "text", "lost")
        writer.end("r_1", "m")
        writer.close()
    assert "live text" in caplog.text
    again = LiveWriter(file)
    again.write("r_1", "m", "text", "shown")
    read_until(reader, lambda rows: text_of(rows) == "shown")
    again.close()
    reader.close()


def test_a_flood_is_cut_off(writer: LiveWriter, reader: LiveReader) -> None:
    for _ in range(30):
        writer.write("r_1", "m", "stdout", "x" * 100_000)
    writer.write("r_1", "other", "stdout", "end")
    rows = read_until(reader, lambda rows: any(row.text == "end" for row in rows))
    assert len(text_of(rows)) <= 2_000_003


def test_the_file_is_private(writer: LiveWriter, reader: LiveReader, file: Path) -> None:
    writer.write("r_1", "m", "text", "x")
    read_until(reader, bool)
    assert {path.stat().st_mode & 0o777 for path in file.parent.glob("live.db*")} == {0o600}
