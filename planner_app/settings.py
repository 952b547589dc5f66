"""One typed Settings: defaults < config.toml < .planner.toml < environment < flags.

`load_settings` reads the layers, refuses what is unknown or badly written with one line that names
the place, and keeps the origin of each value. Loading imports pydantic and nothing heavier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner_app.domain.errors import NotFound
from planner_app.domain.teams import TeamChoice
from planner_app.settings_layers import (
    Flag,
    Layer,
    Tree,
    check_tightens,
    dotted,
    environment_layer,
    file_layer,
    flag_layer,
    leaves,
    mask,
    merge,
    nearest,
)
from planner_app.settings_paths import Paths, expanded, find_paths, find_project_file
from planner_app.settings_values import (
    ApproveMode,
    ApproveSettings,
    AttachmentSettings,
    BudgetSettings,
    ModelsSettings,
    NetSettings,
    PriceSettings,
    Role,
    SandboxKind,
    SandboxSettings,
    TeamSettings,
    ThinkingSettings,
    ToolsSettings,
    Values,
    WorkerSettings,
)

__all__ = [
    "ApproveMode",
    "ApproveSettings",
    "AttachmentSettings",
    "BudgetSettings",
    "Flag",
    "ModelsSettings",
    "NetSettings",
    "Paths",
    "PriceSettings",
    "Role",
    "SandboxKind",
    "SandboxSettings",
    "Setting",
    "Settings",
    "TeamSettings",
    "ThinkingSettings",
    "ToolsSettings",
    "WorkerSettings",
    "find_paths",
    "load_settings",
    "mask",
]


@dataclass(frozen=True, slots=True)
class Setting:
    """One value as `config show` prints it."""

    key: str
    """As TOML writes it."""
    value: object
    """Secrets are masked."""
    origin: str
    """`default`, a file, a variable or a flag."""


class Settings(Values):
    """What holds for this process."""

    paths: Paths
    """Where the files are."""
    database_url: str | None = None
    """From PLANNER_DATABASE_URL. None: the SQLite file `paths.database`."""
    origins: dict[str, str]
    """Key as TOML writes it to where its value comes from; keys with default values are absent."""

    @property
    def tools_folder(self) -> Path:
        """Where a person's own tool modules are."""
        folder = self.tools.folder
        return expanded(folder, "tools.folder") if folder else self.paths.tools

    def choice(self, team: str | None = None) -> TeamChoice:
        """Whom a team names; nobody where it is the default one and has no entry.

        Raises NotFound for a team that there is not.
        """
        name = team or self.team
        entry = self.teams.get(name)
        if entry is None and name != "default":
            known = [*self.teams] or ["default"]
            close = nearest(name, known)
            raise NotFound(
                f"there is no team {name[:60]!r}",
                f"did you mean {close}?" if close else f"there is {', '.join(known)}",
            )
        if entry is None:
            return TeamChoice(name)
        return TeamChoice(
            name, entry.planner, entry.executor, entry.checker, entry.mode, entry.max_parallel
        )

    def listed(self) -> list[Setting]:
        """Every value with its origin, in the order of the documentation; secrets masked."""
        tree = Values.model_validate({n: getattr(self, n) for n in Values.model_fields})
        found = []
        for path, value in leaves(tree.model_dump(mode="json")):
            key = dotted(path)
            found.append(Setting(key, mask(value), self.origins.get(key, "default")))
        if self.database_url:
            found.append(Setting("database_url", mask(self.database_url), "PLANNER_DATABASE_URL"))
        return found


def load_settings(
    cwd: Path, env: Mapping[str, str], flags: Sequence[Flag] = (), *, with_project: bool = True
) -> Settings:
    """The settings that hold in the folder `cwd`.

    `with_project=False` leaves `.planner.toml` out: the background worker serves all folders.
    Raises SettingsError naming the file, variable or flag, the key, and the nearest valid one.
    """
    paths = find_paths(env)
    layers = [file_layer(paths.config_file)]
    project = find_project_file(cwd) if with_project else None
    if project is not None and project != paths.config_file:
        layer = file_layer(project)
        check_tightens(layer, merge(Values().model_dump(), layers[0].values), paths.config_file)
        layers.append(layer)
    layers += [environment_layer(env), flag_layer(flags)]
    tree: Tree = {}
    origins: dict[str, str] = {}
    for layer in layers:
        tree = merge(tree, layer.values)
        origins |= {dotted(path): _origin(layer, path) for path, _ in leaves(layer.values)}
    return Settings(
        **tree,
        paths=paths,
        database_url=env.get("PLANNER_DATABASE_URL") or None,
        origins=origins,
    )


def _origin(layer: Layer, path: tuple[str, ...]) -> str:
    for length in range(len(path), 0, -1):
        if path[:length] in layer.origins:
            return layer.origins[path[:length]]
    return layer.origin
