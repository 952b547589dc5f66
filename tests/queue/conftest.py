"""A world of one history in a folder of its own, and the settings that go with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from planner_app.history import History
from planner_app.queue import Queue
from planner_app.settings import Settings, load_settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> Settings:
    return load_settings(tmp_path, {"PLANNER_HOME": str(home)})


@pytest.fixture
def history(home: Path) -> Iterator[History]:
    with History.open(home / "planner.db") as opened:
        yield opened


@pytest.fixture
def queue(history: History) -> Queue:
    return Queue(history)
