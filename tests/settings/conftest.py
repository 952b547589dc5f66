"""A home, a project folder, and one way to load settings in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from planner_app.settings import Flag, Settings, load_settings

Load = Callable[..., Settings]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "deep"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def load(home: Path, project: Path) -> Load:
    """Settings from texts: config.toml, .planner.toml, variables and flags."""

    def load_them(
        config: str = "", local: str = "", flags: Sequence[Flag] = (), **env: str
    ) -> Settings:
        (home / "config.toml").write_text(config, encoding="utf-8")
        if local:
            (project.parent / ".planner.toml").write_text(local, encoding="utf-8")
        return load_settings(project, {"PLANNER_HOME": str(home), **env}, flags)

    return load_them
