"""Where the program keeps its files: one folder under PLANNER_HOME, else the user's folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from planner_app.domain.errors import SettingsError

APP = "planner"
PROJECT_FILE = ".planner.toml"


@dataclass(frozen=True, slots=True)
class Paths:
    """Folders of one installation or profile. None of them need exist."""

    data: Path
    """History, live text, locks."""
    config: Path
    """config.toml, profiles.toml, tools/."""
    logs: Path
    """Log files, with tracebacks."""
    home: Path | None = None
    """The folder that PLANNER_HOME names; None when it is not set."""

    @property
    def database(self) -> Path:
        """History and queue."""
        return self.data / "planner.db"

    @property
    def models_file(self) -> Path:
        """What models were found to take and to do."""
        return self.data / "models.json"

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def profiles_file(self) -> Path:
        """A person's own model profiles."""
        return self.config / "profiles.toml"

    @property
    def tools(self) -> Path:
        """A person's own tool modules, unless `[tools] folder` names another place."""
        return self.config / "tools"

    @property
    def log_file(self) -> Path:
        """Tracebacks of the command line."""
        return self.logs / "planner.log"


def find_paths(env: Mapping[str, str]) -> Paths:
    """The folders by the environment. PLANNER_HOME wins, `~` in it is expanded.

    Raises SettingsError for the home of a user that there is not.
    """
    home = env.get("PLANNER_HOME", "").strip()
    if home:
        folder = expanded(home, "PLANNER_HOME").absolute()
        return Paths(data=folder, config=folder, logs=folder / "logs", home=folder)
    from platformdirs import PlatformDirs

    dirs = PlatformDirs(APP, appauthor=False)
    return Paths(
        data=Path(dirs.user_data_dir),
        config=Path(dirs.user_config_dir),
        logs=Path(dirs.user_log_dir),
    )


def expanded(text: str, where: str) -> Path:
    """The path with its `~` expanded. SettingsError where there is no such user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise SettingsError(
            f"{where} names a home folder that is not known: {text[:200]}", "write the whole path"
        ) from None


def find_project_file(cwd: Path) -> Path | None:
    """The nearest `.planner.toml` from the working folder upward."""
    for folder in (cwd, *cwd.parents):
        candidate = folder / PROJECT_FILE
        if candidate.is_file():
            return candidate
    return None
