"""`config set`: change one value of config.toml and leave every other character as it was.

Only the line of that value is touched. The result is read again and must say exactly what was
meant; a file written in a way that this cannot edit (a value over several lines, inline tables)
is refused with the line to write by hand, and never damaged.
"""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner_app.domain.errors import SettingsError
from planner_app.settings_layers import Tree, check_tree, dotted, merge, read_toml

_HEADER = re.compile(r"\s*\[(?!\[)(?P<key>[^\]]+)\]\s*(#.*)?$")
_ASSIGN = re.compile(r"(?P<key>[^=#\[\]]+?)\s*=\s*(?P<rest>.*)$")


def set_value(path: Path, key: str, text: str) -> object:
    """Write `key = text` into the file, making it when there is none, and return the value.

    `text` is a TOML value, or a plain word that is taken as a string. Raises SettingsError for an
    unknown key, a bad value, or a file that must be edited by hand.
    """
    parts = parse_key(key)
    value = _value(text)
    before = read_toml(path)
    wanted = merge(before, _nested(parts, value))
    check_tree(wanted, str(path))
    old = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    new = _edited(old, parts, _toml(value))
    try:
        same = tomllib.loads(new) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise _by_hand(path, old, parts, _toml(value))
    _replace(path, new)
    return value


def parse_key(key: str) -> tuple[str, ...]:
    """The parts of a key as TOML writes it; parts with dots stand in quotes."""
    try:
        tree: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        raise SettingsError(
            f"{key!r} is not a key", 'write it like budget.usd or models.prices."a/b".input'
        ) from None
    parts = []
    while isinstance(tree, dict):
        if len(tree) != 1:
            raise SettingsError(f"{key!r} is not one key")
        name, tree = next(iter(tree.items()))
        parts.append(name)
    return tuple(parts)


def _value(text: str) -> object:
    try:
        tree = tomllib.loads(f"v = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return tree["v"] if len(tree) == 1 else text


def _nested(parts: tuple[str, ...], value: object) -> Tree:
    tree: object = value
    for part in reversed(parts):
        tree = {part: tree}
    return tree if isinstance(tree, dict) else {}


def _toml(value: object) -> str:
    """A value in TOML's notation."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dotted((k,))} = {_toml(v)}" for k, v in value.items()) + "}"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    escaped = "".join(
        "\\" + c if c in '"\\' else c if c.isprintable() else f"\\U{ord(c):08x}" for c in text
    )
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class _Line:
    """What one line of a file says."""

    table: tuple[str, ...]
    """Where it stands."""
    key: tuple[str, ...] = ()
    """What it sets, from the top; empty: nothing."""
    assign: re.Match[str] | None = None
    is_header: bool = False


def _read_lines(lines: list[str]) -> Iterator[_Line]:
    here: tuple[str, ...] = ()
    for line in lines:
        if header := _HEADER.match(line):
            here = parse_key(header["key"].strip())
            yield _Line(here, is_header=True)
            continue
        assign = _ASSIGN.match(line)
        key = _parsed(assign["key"]) if assign else ()
        yield _Line(here, here + key if key else (), assign)


def _edited(text: str, parts: tuple[str, ...], value: str) -> str:
    """The text with the value's line changed, or added at the end of its table."""
    lines = text.splitlines(keepends=True)
    table, name = parts[:-1], parts[-1]
    last_of_table = None if table else -1
    for number, line in enumerate(_read_lines(lines)):
        if line.table == table and (line.is_header or line.assign):
            last_of_table = number
        if line.assign and line.key == parts:
            indent = lines[number][: -len(lines[number].lstrip())]
            comment = _comment(line.assign["rest"])
            lines[number] = f"{indent}{line.assign['key'].strip()} = {value}{comment}\n"
            return "".join(lines)
    new = f"{dotted((name,))} = {value}\n"
    if last_of_table is None:
        gap = "\n" if lines else ""
        return _closed(text) + f"{gap}[{dotted(table)}]\n{new}"
    if last_of_table >= 0:
        lines[last_of_table] = _closed(lines[last_of_table])
    lines.insert(last_of_table + 1, new)
    return "".join(lines)


def _by_hand(path: Path, text: str, parts: tuple[str, ...], value: str) -> SettingsError:
    """Why the file is not edited, and what a person is to write where."""
    for number, line in enumerate(_read_lines(text.splitlines()), start=1):
        size, place = len(line.key), f"{path}, line {number}: {dotted(line.key)}"
        if line.assign and line.key == parts:
            return SettingsError(
                f"{place} has a value over several lines", f"write {value} there by hand"
            )
        if size and line.key == parts[:size] and line.assign and line.assign["rest"][:1] == "{":
            inside = f"{dotted(parts[size:])} = {value}"
            return SettingsError(
                f"{place} is a table between braces, which is not edited here",
                f"write {inside} there by hand",
            )
    return SettingsError(
        f"{path} is written in a way that cannot be edited here",
        f"write {dotted(parts)} = {value} into it by hand",
    )


def _parsed(key: str) -> tuple[str, ...]:
    try:
        return parse_key(key.strip())
    except SettingsError:  # a line inside a value over several lines
        return ()


def _comment(rest: str) -> str:
    """The comment after a value, with the space before it; a `#` inside a string is none."""
    for place in (m.start() for m in re.finditer("#", rest)):
        try:
            tomllib.loads(f"v = {rest[:place]}")
        except tomllib.TOMLDecodeError:
            continue
        return "  " + rest[place:].rstrip()
    return ""


def _closed(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _replace(path: Path, text: str) -> None:
    """Write beside and rename, so that a crash leaves the old file or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = path.resolve()  # a dotfile manager's link stays a link
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".config-", suffix=".toml")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(target)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}",
            "its folder must be yours to write to; PLANNER_HOME names another one",
        ) from error
