"""Read a value that a model wrote as YAML instead of JSON.

Only a mapping that begins with a wanted key counts; its scalars stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import yaml
from pydantic import JsonValue

from planner_app.models.fallbacks import MAX_BRACKETS_DEEP, MAX_COSTLY, brackets_deep


class YamlFound(NamedTuple):
    """A mapping that a text holds as YAML."""

    value: dict[str, JsonValue]
    """Its members. Scalars without quotes stay text, for the schema to read: `no`, dates and
    `1:20` are not guessed at."""
    dup_keys: bool
    """A mapping named a key twice; the last one counts."""


def yaml_value(text: str, names: Iterable[str], required: Iterable[str]) -> YamlFound | None:
    """The last YAML mapping of a text that has all required keys at its top level, or None."""
    known = {name.casefold() for name in names}
    wanted = {name.casefold() for name in required}
    if not known or len(text) > MAX_COSTLY or brackets_deep(text) > MAX_BRACKETS_DEEP:
        return None
    for block in reversed(_blocks(text, known)):
        found = _read(block, wanted)
        if found is not None:
            return found
    return None


_TABS = re.compile(r"^\t+")
_BOLD_KEY = re.compile(r"^(\s*)\*\*([\w-]+)(?::\*\*|\*\*\s*:)")
_KEY = re.compile(r"[ ]*[\"']?([\w-]+)[\"']?\s*:(?:\s|$)")
_MEMBER = re.compile(r"[\s\"']*[\w-]+[\"']?\s*:(?:\s|$)|\s*- ")
_BETWEEN_BLOCKS = ("```", "~~~", "---", "...")


def _blocks(text: str, known: set[str]) -> list[str]:
    """What may be YAML: from a line that begins with a known key to the end of its block."""
    blocks: list[list[str]] = []
    indent: int | None = None
    for written in text.splitlines():
        line = _TABS.sub(lambda tabs: "  " * len(tabs.group()), written)
        at = len(line) - len(line.lstrip())
        if indent is None or at <= indent:
            line = _BOLD_KEY.sub(r"\1\2:", line)
        stripped = line.lstrip()
        if (indent is None or at <= indent) and stripped.startswith(_BETWEEN_BLOCKS):
            indent = None
        elif indent is None:
            if (key := _KEY.match(line)) and key.group(1).casefold() in known:
                blocks.append([stripped])
                indent = at
        elif stripped and at <= indent and not blocks[-1][-1] and not _MEMBER.match(line):
            # Prose after an empty line ends the block; a key or a list item does not.
            indent = None
        else:
            blocks[-1].append(line[min(at, indent) :] if stripped else "")
    return ["\n".join(lines) for lines in blocks]


class _Loader(yaml.BaseLoader):
    """Composes nodes. Without aliases a small text cannot grow into a large value."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


def _read(block: str, required: set[str]) -> YamlFound | None:
    reader = _Reader()
    try:
        value = reader.plain(yaml.compose(block, _Loader))
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        return None
    if not isinstance(value, dict) or not required <= {key.casefold() for key in value}:
        return None
    return YamlFound(value, reader.dup_keys)


class _Reader:
    """Makes plain values of YAML's nodes; tags are not obeyed."""

    def __init__(self) -> None:
        self.dup_keys = False

    def plain(self, node: yaml.Node | None) -> JsonValue:
        """What a node says. Raises TypeError for a key that is no text."""
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            pairs = [(_key(key), self.plain(item)) for key, item in node.value]
            self.dup_keys = self.dup_keys or len(dict(pairs)) < len(pairs)
            return dict(pairs)
        if not isinstance(node, yaml.ScalarNode):
            return None
        text = str(node.value)
        empty = node.style is None and text.strip() in {"", "~", "null", "Null", "NULL", "None"}
        return None if empty else text


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise TypeError("a key is text")
    return str(node.value)
