"""One layer of settings: read from a file, the environment or flags, checked, in canonical form."""

from __future__ import annotations

import difflib
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from planner_app.domain.errors import SettingsError
from planner_app.settings_values import (
    NET_MODES,
    PaceSettings,
    PriceSettings,
    RoleOptions,
    TeamSettings,
    Values,
)

Path_ = tuple[str, ...]
"""A key as its parts: ("budget", "usd")."""
Tree = dict[str, Any]

PREFIX = "PLANNER_"
NOT_SETTINGS = frozenset(
    {"PLANNER_HOME", "PLANNER_DEBUG", "PLANNER_DATABASE_URL", "PLANNER_START_FD"}
)
"""Variables that are read elsewhere."""
FOR_TESTS = "PLANNER_TEST_"
"""Variables that tests read, and programs started by them inherit."""
MAX_FILE_BYTES = 1024 * 1024
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET = re.compile(r"[A-Za-z0-9_\-]{20,}")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting given on the command line."""

    name: str
    """As typed: `--max-usd`."""
    key: str
    """Which setting it is: `budget.usd`."""
    value: object


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place."""

    values: Tree
    """Nested; only what was set there, in canonical form."""
    origin: str
    """Where they come from, unless `origins` says it more closely."""
    origins: Mapping[Path_, str] = field(default_factory=dict)


def file_layer(path: Path) -> Layer:
    """A TOML file's settings. SettingsError names the file and the key or line."""
    return Layer(check_tree(read_toml(path), str(path)), str(path))


def read_toml(path: Path) -> Tree:
    """The file as it stands; empty when there is none."""
    try:
        found = path.stat()
        if found.st_size > MAX_FILE_BYTES or stat.S_ISFIFO(found.st_mode):
            what = "a pipe" if stat.S_ISFIFO(found.st_mode) else "over 1 MB"
            raise SettingsError(f"{path} is {what}", "it does not look like a settings file")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingsError(
            f"{path} cannot be read: {why}", "it must be a UTF-8 text file that you may read"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", "correct that line") from error


def environment_layer(env: Mapping[str, str]) -> Layer:
    """PLANNER_SECTION_KEY variables, such as PLANNER_BUDGET_USD=5. Empty ones count as not set."""
    tree: Tree = {}
    origins: dict[Path_, str] = {}
    for name in sorted(env):
        if not name.startswith(PREFIX) or name.startswith(FOR_TESTS) or name in NOT_SETTINGS:
            continue
        if not env[name].strip():
            continue
        path = _variable_path(name)
        _put(tree, path, _variable_value(env[name].strip()))
        origins[path] = name
    return Layer(check_tree(tree, "environment", origins), "environment", origins)


def flag_layer(flags: Sequence[Flag]) -> Layer:
    """Settings given as flags. A None was not given."""
    tree: Tree = {}
    origins: dict[Path_, str] = {}
    for flag in flags:
        if flag.value is not None:
            path = tuple(flag.key.split("."))
            _put(tree, path, flag.value)
            origins[path] = flag.name
    return Layer(check_tree(tree, "flags", origins), "flags", origins)


def check_tightens(layer: Layer, below: Tree, config_file: Path) -> None:
    """Refuse what a project file may not say: it comes with a folder that others wrote."""
    for path, value in leaves(layer.values):
        key = dotted(path)
        if path[0] not in ("budget", "attachments") and path != ("net", "policy"):
            raise SettingsError(
                f"{layer.origin}: a project file may not set {key}",
                f"it may only tighten budget, attachments and net.policy; see {config_file}",
            )
        current = _at(below, path)
        if not _tighter(path, value, current):
            least = "open" if path == ("net", "policy") and current is None else shown(current)
            raise SettingsError(
                f"{layer.origin}: {key} = {shown(value)} is no tighter than {least}",
                "a project file may lower budgets, and set net.policy to seen or off only",
            )


def _tighter(path: Path_, value: object, current: object) -> bool:
    if path == ("net", "policy"):
        ranks = {"open": 0, "None": 1, "seen": 2, "off": 4}  # named hosts rank 3
        return value in NET_MODES and ranks[str(value)] >= ranks.get(str(current), 3)
    if current is None:
        return True
    return value is not None and float(value) <= float(current)  # type: ignore[arg-type]


def merge(below: Tree, above: Tree) -> Tree:
    """`above` over `below`, table by table."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def leaves(tree: Tree, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Each value with its key, in the tree's order; empty tables are left out."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def dotted(path: Path_) -> str:
    """The key as TOML writes it, with quotes where they are needed."""
    return ".".join(
        p if _BARE_KEY.fullmatch(p) else '"' + p.replace('"', '\\"') + '"' for p in path
    )


def mask(value: object) -> object:
    """The value without passwords in addresses."""
    if isinstance(value, str):
        return _USERINFO.sub("***@", value)
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return value


def shown(value: object) -> str:
    """A value for a message, short, and hidden when it could be a key."""
    if value is None:
        return "no limit"
    text = str(value) if isinstance(value, int | float) else repr(mask(value))
    if isinstance(value, str) and _SECRET.search(value) and not re.search(r"[/.]", value):
        return "(not shown: it looks like a secret)"
    return text if len(text) <= 60 else text[:57] + "..."


def known_keys() -> list[str]:
    """Every key that can be set, `NAME` standing for names that a person chooses."""
    keys = ["team", *(f"teams.NAME.{key}" for key in TeamSettings.model_fields)]
    for name, section in _sections().items():
        keys += [f"{name}.{key}" for key in section.model_fields]
    return keys


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that was probably meant; None when none is like it."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None


def _sections() -> dict[str, type[BaseModel]]:
    found = {}
    for name, info in Values.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found[name] = info.annotation
    return found


def check_tree(tree: Tree, where: str, origins: Mapping[Path_, str] | None = None) -> Tree:
    """The tree in canonical form, without what it does not set. Raises SettingsError."""
    try:
        return Values.model_validate(tree).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise _settings_error(error, tree, where, origins or {}) from None


def _settings_error(
    error: ValidationError, tree: Tree, where: str, origins: Mapping[Path_, str]
) -> SettingsError:
    """The first problem, with its place, its key and what would do. Never the pydantic text whole:
    it prints the input, which may be a key."""
    first = error.errors(include_url=False, include_context=True)[0]
    path: Path_ = ()
    value: object = tree
    for part in first["loc"]:  # the location also names union members, which are no keys
        if isinstance(value, dict) and part in value:
            path, value = (*path, str(part)), value[part]
    place = origins.get(path) or next((o for p, o in origins.items() if p[: len(path)] == path), "")
    name = f"{where}: {dotted(path)}" if not place else f"{place}"
    kind, text = first["type"], str(first["msg"])
    if kind == "extra_forbidden":
        return SettingsError(f"{where}: unknown key {dotted(path)}", _did_you_mean(path))
    if kind == "missing":
        return SettingsError(f"{name} lacks {first['loc'][-1]!r}", "add it")
    if kind == "value_error":
        text = text.removeprefix("Value error, ")
        if not path:
            return SettingsError(f"{where}: {text}")
    elif kind in ("model_type", "dict_type"):
        text = f"write it as a table: [{dotted(path)}]"
    elif kind == "literal_error":
        text = _choices(str(value), str(first.get("ctx", {}).get("expected", "")))
    else:
        text = text.replace("Input should", "it must")
    return SettingsError(f"{name} cannot be {shown(value)}", text)


def _choices(value: str, expected: str) -> str:
    known = re.findall(r"'([^']+)'", expected)
    close = nearest(value.lower(), known)
    hint = f"did you mean {close}? " if close else ""
    return f"{hint}use {', '.join(known)}"


def _table(path: Path_) -> type[BaseModel] | None:
    """Of which form the tables are that a person names: options by role, prices, pace."""
    if len(path) == 5 and path[0] == "teams" and path[2] == "options":
        return RoleOptions
    tables: dict[Path_, type[BaseModel]] = {
        ("models", "prices"): PriceSettings,
        ("models", "pace"): PaceSettings,
    }
    return tables.get(path[:2]) if len(path) == 4 else None


def _did_you_mean(path: Path_) -> str:
    if re.search(r"api[_-]?key|token$|secret|password", path[-1], re.IGNORECASE):
        return "keys come from the environment or the system keyring, never from a file"
    if (table_of := _table(path)) is not None:
        known = list(table_of.model_fields)
        close = nearest(path[-1], known)
        return f"did you mean {close}?" if close else f"known keys: {', '.join(known)}"
    section = {"teams": "teams.NAME"}.get(path[0], path[0])
    last = path[-1]
    known = known_keys()
    here = [key for key in known if key.rpartition(".")[0] == section]
    close = nearest(last, [key.rpartition(".")[2] for key in here]) if len(path) > 1 else None
    if close:
        return f"did you mean {dotted((*path[:-1], close))}?"
    tables = ["teams", *_sections()]
    if len(path) == 1 and (table := nearest(last, tables)):
        return f"did you mean [{table}]?"
    same = [key for key in known if key.rpartition(".")[2] == last]
    guess = same[0] if same else nearest(dotted(path), known)
    if guess:
        return f"did you mean {guess}?"
    if here and len(path) > 1:
        return f"known keys of [{section}]: {', '.join(k.rpartition('.')[2] for k in here)}"
    return f"known sections: {', '.join(tables)}"


def _variable_path(name: str) -> Path_:
    rest = name.removeprefix(PREFIX).lower()
    if rest == "team":
        return ("team",)
    if rest.startswith("teams_"):
        for key in TeamSettings.model_fields:
            team = rest.removeprefix("teams_").removesuffix(f"_{key}")
            if team and rest == f"teams_{team}_{key}":
                return ("teams", team, key)
    names = {}
    for section, model in _sections().items():
        for key in model.model_fields:
            names[f"{section}_{key}"] = (section, key)
    if rest in names:
        return names[rest]
    variables = [PREFIX + n.upper() for n in names] + [PREFIX + "TEAM", *sorted(NOT_SETTINGS)]
    close = nearest(name, variables)
    raise SettingsError(
        f"environment: unknown variable {name}",
        f"did you mean {close}?" if close else "unset it; `planner config show` lists the keys",
    )


def _variable_value(text: str) -> object:
    """Tables and lists may be written as TOML; anything else is taken as it stands."""
    if text[0] not in "{[":
        return text
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _put(tree: Tree, path: Path_, value: object) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def _at(tree: Tree, path: Path_) -> object:
    value: object = tree
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value
