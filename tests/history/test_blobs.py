"""Blobs: the same bytes come back, stored once, and damage is noticed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.domain.errors import FenceLost, HistoryError, NotFound
from planner_app.history import History
from planner_app.history.blobs import RecentBlobs, pack, unpack
from tests.history.conftest import DrivenRun, note


@given(st.binary(max_size=3000) | st.text(max_size=2000).map(str.encode))
def test_packing_keeps_the_bytes(data: bytes) -> None:
    packed = pack(data)
    assert packed.sha256 == hashlib.sha256(data).hexdigest()
    assert len(packed.data) <= len(data)
    assert unpack(packed.sha256, packed.codec, packed.data) == data


def test_text_is_stored_small_and_noise_as_it_is() -> None:
    assert len(pack(b"a page of text " * 10_000).data) < 2_000
    noise = os.urandom(200_000)
    assert pack(noise).codec == "raw"


async def test_the_same_bytes_are_stored_once(history: History, database: Path) -> None:
    one = history.put_blob(b"page" * 1000)
    many = await history.put_blobs([b"page" * 1000, b"other", b"page" * 1000])
    assert many == [one, hashlib.sha256(b"other").hexdigest(), one]
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM blob").fetchone() == (2,)


async def test_blobs_are_read_by_another_process_as_they_were_put(database: Path) -> None:
    big = os.urandom(3_000_000) + b"text" * 500_000
    with History.open(database) as first:
        shas = await first.put_blobs([big, b"", b"small"])
    with History.open(database) as second:
        assert second.get_blobs(shas) == dict(zip(shas, [big, b"", b"small"], strict=True))
        assert await second.load_blobs(shas[1:]) == dict(
            zip(shas[1:], [b"", b"small"], strict=True)
        )


def test_a_blob_that_is_not_there_is_told(history: History) -> None:
    with pytest.raises(NotFound, match="no blob abababab"):
        history.get_blob("ab" * 32)


@pytest.mark.parametrize("wrong", [b"not zlib", b""])
def test_a_damaged_blob_is_an_error_and_not_other_bytes(database: Path, wrong: bytes) -> None:
    with History.open(database) as history:
        sha = history.put_blob(b"a page of text " * 100)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE blob SET data=?", (wrong,))
    connection.close()
    with History.open(database) as history, pytest.raises(HistoryError, match="damaged"):
        history.get_blob(sha)


def test_only_so_much_is_kept_at_hand() -> None:
    recent = RecentBlobs(limit=20_000)
    recent.keep({str(n): bytes(300) for n in range(80)})
    assert recent.get("0") is None
    assert recent.get("79") == bytes(300)
    recent.keep({"big": bytes(900)})
    assert recent.get("big") is None


async def test_what_facts_name_is_stored_with_them_or_not_at_all(
    run: DrivenRun, database: Path
) -> None:
    def stored() -> int:
        with sqlite3.connect(database) as connection:
            return int(connection.execute("SELECT count(*) FROM blob").fetchone()[0])

    before, packed = stored(), run.history.pack_blobs([b"said", b"thought"])
    with pytest.raises(FenceLost):
        await run.history.append(run.id, run.fence + 1, [note()], packed=packed)
    assert stored() == before
    await run.history.append(run.id, run.fence, [note()], packed=packed)
    assert stored() == before + 2
