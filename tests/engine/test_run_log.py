"""The one appender of a run: what it is given is there, and stored no later than what names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from planner_app.domain.errors import NotFound
from planner_app.domain.fold import fold
from planner_app.engine.run_log import WAITING_BYTES, RunLog
from planner_app.history import History
from tests.history.conftest import new_run, note


async def test_bytes_can_be_read_before_a_fact_names_them_and_are_stored_with_it(
    tmp_path: Path,
) -> None:
    database = tmp_path / "planner.db"
    with History.open(database) as history, History.open(database) as other:
        run = new_run(history, "r_aaaaaaaaaa")
        log = RunLog(history, run.id, run.fence, fold(history.events(run.id)))
        small, big = (await log.put(b"small"))[0], os.urandom(WAITING_BYTES + 1)
        whole = (await log.put(big))[0]
        assert other.get_blob(whole) == big, "what is big does not wait in memory"
        assert log.read(small) == "small"
        with pytest.raises(NotFound):
            other.get_blob(small)
        await log.append(note("names " + small))
        assert other.get_blob(small) == b"small"
        assert fold(other.events(run.id)) == log.state
