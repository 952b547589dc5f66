"""The costly last resorts for a text that is not JSON: Python literals, repair, YAML.

Each looks at 64 KB at most and gives nothing rather than a guess. Repair is believed only when
it invented and lost nothing: every string stands in the source, every word of it is kept.
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Iterable, Iterator

from pydantic import JsonValue

MAX_COSTLY = 64 * 1024
"""Characters that a costly stage looks at; longer texts skip it."""

_MAX_BRACKETS_DEEP = 60


def literal_value(source: str) -> JsonValue:
    """The value of a Python literal, or None. Nothing is executed."""
    if len(source) > MAX_COSTLY or _depth(source) > _MAX_BRACKETS_DEEP:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _as_json(ast.literal_eval(source.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _as_json(value: object) -> JsonValue:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys must be strings")
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not JSON")


def repaired_value(source: str) -> JsonValue:
    """What json_repair makes of a text, if it neither invented nor lost anything; else None."""
    if len(source) > MAX_COSTLY or _depth(source) > _MAX_BRACKETS_DEEP:
        return None
    from json_repair import repair_json

    try:
        value = repair_json(source, return_objects=True, skip_json_loads=True)
    except Exception:  # noqa: BLE001 - whatever goes wrong in a repair, the text is unrepaired
        return None
    if not isinstance(value, (dict, list)) or not _faithful(source, value):
        return None
    return value


_STRUCTURE = r"[\s\"'`\u201c\u201d\u2018\u2019{}\[\],:]*+"
_GAP = re.compile(_STRUCTURE)
_EMPTY = re.compile(r"[\s{}\[\],:]*+(?:\"\"|'')")
_AFTER_NUMBER = re.compile(r"(?![\w.%])(?!,\d{3}(?!\d))")
_AFTER_KEY = re.compile(r"\s*+[\"'`\u201d\u2019]?\s*+:")


def _faithful(source: str, value: JsonValue) -> bool:
    """Whether the source is the leaves of the value, in order, with only marks between them."""
    at = 0
    for leaf, is_key in _leaves(value):
        end = _leaf_end(source, at, leaf)
        if end is None or (is_key and not _AFTER_KEY.match(source, end)):
            return False
        at = end
    return _GAP.fullmatch(source, at) is not None


def _leaf_end(source: str, at: int, leaf: JsonValue) -> int | None:
    """Position after a leaf that stands next in the source, or None."""
    if leaf == "":
        empty = _EMPTY.match(source, at)
        return empty.end() if empty else None
    gap = _GAP.match(source, at)
    latest = gap.end() if gap else at
    for text in _spellings(leaf):
        # A leaf may itself begin with what looks like structure, so look back into the gap.
        found = source.find(text, at, latest + len(text))
        if found >= 0 and (isinstance(leaf, str) or _AFTER_NUMBER.match(source, found + len(text))):
            return found + len(text)
    return None


def _spellings(leaf: JsonValue) -> tuple[str, ...]:
    if isinstance(leaf, str):
        return leaf, json.dumps(leaf, ensure_ascii=False)[1:-1], json.dumps(leaf)[1:-1]
    if leaf is None:
        return "null", "None"
    if isinstance(leaf, bool):
        return (str(leaf).lower(), str(leaf))
    return (json.dumps(leaf),)


def _leaves(value: JsonValue) -> Iterator[tuple[JsonValue, bool]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, True
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value, False


def yaml_value(text: str, names: Iterable[str], required: Iterable[str]) -> JsonValue:
    """A YAML mapping with all required keys at its top level, or None.

    Scalars stay text (the schema reads them), so that `no`, dates and `1:20` are not guessed at.
    """
    known = {name.casefold(): name for name in names}
    if not known or len(text) > MAX_COSTLY or _depth(text) > _MAX_BRACKETS_DEEP:
        return None
    body = _yaml_lines(text, known)
    if not body or not all(
        re.search(rf"(?m)^\s*(?:-\s+)?[\"']?{re.escape(name)}[\"']?\s*:", body) for name in required
    ):
        return None
    from yaml import YAMLError

    try:
        value = _load_yaml(body)
    except (YAMLError, RecursionError, ValueError, TypeError):
        return None
    if not isinstance(value, dict) or not set(required) <= set(value):
        return None
    return value


_BOLD_KEY = re.compile(r"^(\s*)\*\*([\w-]+)(?::\*\*|\*\*\s*:)")
_YAML_MEMBER = re.compile(r"[\s\"']*[\w-]+[\"']?\s*:(?:\s|$)|\s*- ")


def _yaml_lines(text: str, known: dict[str, str]) -> str:
    """From the first line that begins with a known key to the end of that block."""
    lines = [_BOLD_KEY.sub(r"\1\2:", line) for line in text.expandtabs(2).splitlines()]
    first = next(
        (
            number
            for number, line in enumerate(lines)
            if (key := re.match(r"[ ]*[\"']?([\w-]+)[\"']?\s*:(?:\s|$)", line))
            and key.group(1).casefold() in known
        ),
        None,
    )
    if first is None:
        return ""
    indent = len(lines[first]) - len(lines[first].lstrip())
    kept: list[str] = []
    for line in lines[first:]:
        stripped = line.strip()
        if stripped.startswith(("```", "~~~", "---", "...")):
            break
        at_margin = len(line) - len(line.lstrip()) <= indent
        # Prose after an empty line ends the block; a key or a list item does not.
        after_gap = kept and not kept[-1].strip() and stripped and at_margin
        if after_gap and not _YAML_MEMBER.match(line):
            break
        kept.append(line[indent:] if line[:indent].isspace() or not indent else line)
    return "\n".join(kept)


def _load_yaml(text: str) -> JsonValue:
    import yaml

    # Without anchors a small text cannot grow into a large value.
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.BaseLoader)):
        return None
    return _plain(yaml.load(text, yaml.BaseLoader))


def _plain(value: object) -> JsonValue:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    text = str(value)
    return None if text.strip() in {"", "~", "null", "Null", "NULL", "None"} else text


def _depth(text: str) -> int:
    """Most brackets open at once, strings not told apart: an upper bound."""
    deepest = now = 0
    for mark in re.findall(r"[\[\]{}()]", text):
        now = now + 1 if mark in "[{(" else max(0, now - 1)
        deepest = max(deepest, now)
    return deepest
