"""Fit a decoded value to a schema, taking off the wrappings that models put around it."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Generic, NamedTuple, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from planner_app.models.candidates import decode_whole

Model = TypeVar("Model", bound=BaseModel)

_MAX_UNWRAPS = 4
_MAX_LOOKED_INTO = 1_000
"""Members of a wrapping that are looked into."""
_CALL_GIVEN = ("arguments", "parameters", "input")
_CALL_KEYS = frozenset({"name", "type", "id", *_CALL_GIVEN})
_MAX_MENDINGS = 3
_MAX_MENDED = 1_000
"""Faults in one value, above which none is mended."""
_MAX_PROBLEMS = 12
_CODE_KEYS = frozenset({"code", "python", "source_code", "script"})
_FENCE = re.compile(r"```[\w+-]*[ \t]*\r?\n")
_FENCE_INSIDE = re.compile(r"^[ \t]*```", re.MULTILINE)
_PLAIN_NUMBER = re.compile(r"\s*[-+]?(?:0|[1-9]\d*)?(?:\.\d*)?(?:[eE][-+]?\d+)?\s*", re.ASCII)
_CONTAINER_ERRORS = frozenset(
    {
        "list_type", "tuple_type", "set_type", "frozen_set_type", "dict_type", "model_type",
        "model_attributes_type", "dataclass_type", "mapping_type", "iterable_type",
    }
)  # fmt: skip
_CHOICE_ERRORS = frozenset({"literal_error", "enum"})
_CHOICES = re.compile(r"'([^']*)'")
_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_IN_KEYS = re.compile(r"[\W_]+")


class Fit(NamedTuple, Generic[Model]):
    """A value of the schema's type."""

    value: Model
    """The value."""
    flags: frozenset[str] = frozenset()
    """`unwrapped`: something was taken off: an outer key, a list of one, quotes around JSON;
    `repaired`: a key or a choice was written otherwise, in capitals say."""


class FitError(Exception):
    """The value does not fit the schema."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        """One line each: where, and what is wrong."""


def field_names(schema: type[BaseModel]) -> frozenset[str]:
    """The keys that a schema knows, aliases included; none when any object will do."""
    names: set[str] = set()
    for name, field in schema.model_fields.items():
        names.add(name)
        names.update(
            alias for alias in (field.alias, field.validation_alias) if isinstance(alias, str)
        )
    return frozenset(names - {"root"}) if is_root_model(schema) else frozenset(names)


def is_root_model(schema: type[BaseModel]) -> bool:
    """Whether a schema is a RootModel, which has no keys of its own."""
    return bool(getattr(schema, "__pydantic_root_model__", False))


def required_names(schema: type[BaseModel]) -> frozenset[str]:
    """The keys that must be there, as they are written in JSON."""
    if is_root_model(schema):
        return frozenset()
    return frozenset(
        field.alias or name for name, field in schema.model_fields.items() if field.is_required()
    )


def fit(value: JsonValue, schema: type[Model], *, wrap_list: bool) -> Fit[Model]:
    """The value as the schema's type. `wrap_list`: a bare list may stand for the only list field.

    Raises FitError with the problems of the value as it stood.
    """
    first: FitError | None = None
    value = _cleaned(value)
    for number, variant in enumerate(_variants(value, schema, _MAX_UNWRAPS)):
        try:
            made = _validate(variant, schema)
        except FitError as error:
            first = first or error
        else:
            return Fit(made.value, made.flags | {"unwrapped"}) if number else made
    if wrap_list and isinstance(value, list) and (key := _only_list_field(schema)):
        try:
            made = _validate({key: value}, schema)
            return Fit(made.value, made.flags | {"unwrapped"})
        except FitError as error:
            first = first or error
    raise first or FitError(("an object was expected",))


def _variants(value: JsonValue, schema: type[BaseModel], left: int) -> Iterator[JsonValue]:
    yield value
    if left == 0:
        return
    if isinstance(value, str):
        inner = _decoded(value)
        if inner is not None:
            yield from _variants(_cleaned(inner), schema, left - 1)
    elif isinstance(value, list) and len(value) == 1:
        yield from _variants(value[0], schema, left - 1)
    elif isinstance(value, dict) and len(value) == 1 and not field_names(schema) & set(value):
        yield from _variants(next(iter(value.values())), schema, left - 1)
    elif names := field_names(schema):
        yield from _only_fitting(value, names, required_names(schema))


def _only_fitting(
    value: JsonValue, names: frozenset[str], required: frozenset[str]
) -> Iterator[JsonValue]:
    """`{"name": "act", "arguments": {...}}`: the one object inside that has what is required.

    An object that has some of the wanted keys is not looked into: its parts are not the answer.
    """
    fitting: list[JsonValue] = []
    level: list[JsonValue] = [value]
    looked = 0
    for depth in range(_MAX_UNWRAPS + 1):
        below: list[JsonValue] = []
        for written in level:
            item = _decoded(written) if isinstance(written, str) else written
            if isinstance(item, dict):
                given = _arguments(item, names)
                if given is not None:
                    below.append(given)
                elif not names & set(item):
                    below.extend(item.values())
                elif depth and required <= set(item):
                    fitting.append(item)
            elif isinstance(item, list):
                below.extend(item)
        level = below[: _MAX_LOOKED_INTO - looked]
        looked += len(level)
    if len(fitting) == 1:
        yield fitting[0]


def _arguments(value: dict[str, JsonValue], names: frozenset[str]) -> JsonValue:
    """What a call of a tool is given, where the schema itself may have a key `name`; or None."""
    if not {"name"} <= set(value) <= _CALL_KEYS:
        return None
    given = [value[key] for key in _CALL_GIVEN if key in value and key not in names]
    return given[0] if len(given) == 1 else None


def _decoded(text: str) -> JsonValue:
    """The JSON that a string holds, or None."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        return decode_whole(text)
    except ValueError:
        return None


def _validate(value: JsonValue, schema: type[Model]) -> Fit[Model]:
    """The value as the schema's type; what is only written otherwise is mended."""
    names = field_names(schema)
    flags: set[str] = set()
    if names and isinstance(value, dict):
        value = _renamed(value, names, flags)
        if value and not names & set(value):
            raise FitError((f"none of the keys {', '.join(sorted(names))} is there",))
    for _ in range(_MAX_MENDINGS):
        try:
            made = schema.model_validate(value)
            break
        except ValidationError as error:
            mended = _mended(value, error, flags)
            if mended is None:
                raise FitError(_problems(error)) from None
            value = mended
    else:
        raise FitError(("too much is written otherwise than the schema has it",))
    if problem := _misread_number(made, value):
        raise FitError((problem,))
    return Fit(made, frozenset(flags))


def _folded(key: str) -> str:
    """A key without capitals, spaces, hyphens and underscores."""
    return _NOT_IN_KEYS.sub("", key).casefold()


def _renamed(
    value: dict[str, JsonValue], names: frozenset[str], flags: set[str]
) -> dict[str, JsonValue]:
    """The keys as the schema writes them, where only capitals, spaces or hyphens differ."""
    missing = {_folded(name): name for name in names if name not in value}
    meant = {
        key: missing[folded]
        for key in value
        if key not in names and (folded := _folded(key)) in missing
    }
    if not meant or len(set(meant.values())) < len(meant):
        return value
    flags.add("repaired")
    return {meant.get(key, key): item for key, item in value.items()}


def _mended(value: JsonValue, error: ValidationError, flags: set[str]) -> JsonValue:
    """A copy in which what was only written otherwise stands as the schema wants it, or None: a
    list or an object that is a string of JSON, a key or a choice in other capitals."""
    if error.error_count() > _MAX_MENDED:
        return None
    mended = copy.deepcopy(value)
    for problem in error.errors(include_url=False):
        path, kind, flag = problem["loc"], problem["type"], "repaired"
        if kind == "missing" and path:
            path, name = path[:-1], str(path[-1])
            given = _at(mended, path)
            new = _renamed(given, frozenset({name}), flags) if isinstance(given, dict) else given
        elif isinstance(given := _at(mended, path), str) and kind in _CHOICE_ERRORS:
            new = _choice(given, str(problem["ctx"]["expected"]))
        elif isinstance(given, str) and kind in _CONTAINER_ERRORS:
            new, flag = _decoded(given), "unwrapped"
            new = new if isinstance(new, (list, dict)) else given
        else:
            continue
        if new is not given:
            flags.add(flag)
            mended = _put(mended, path, new)
    return None if mended == value else mended


def _choice(given: str, expected: str) -> str:
    """The one of the expected words that differs in capitals and spaces around it only."""
    folded = given.strip().casefold()
    same = [word for word in _CHOICES.findall(expected) if word.casefold() == folded]
    return same[0] if len(same) == 1 else given


def _at(value: JsonValue, path: tuple[int | str, ...]) -> JsonValue:
    """The part of a value at a path; None when no such path is in it."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _put(value: JsonValue, path: tuple[int | str, ...], new: JsonValue) -> JsonValue:
    """The value with another part at a path that is in it."""
    if not path:
        return new
    around, last = _at(value, path[:-1]), path[-1]
    if isinstance(around, dict):
        around[str(last)] = new
    elif isinstance(around, list) and isinstance(last, int):
        around[last] = new
    return value


def _problems(error: ValidationError) -> tuple[str, ...]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'the whole'}: {problem['msg']}"[:300]
        for problem in found[:_MAX_PROBLEMS]
    ]
    if len(found) > _MAX_PROBLEMS:
        lines.append(f"and {len(found) - _MAX_PROBLEMS} more")
    return tuple(lines)


def _only_list_field(schema: type[BaseModel]) -> str | None:
    required = required_names(schema)
    if len(required) != 1:
        return None
    (key,) = required
    for name, field in schema.model_fields.items():
        if (field.alias or name) == key and str(field.annotation).startswith(("list", "tuple")):
            return key
    return None


def _cleaned(value: JsonValue, key: str = "") -> JsonValue:
    """Keys without `###`, code without its fence, text that can be written as UTF-8."""
    if isinstance(value, dict):
        return {
            (name := _clean_key(written)): _cleaned(item, name) for written, item in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(item, key) for item in value]
    if isinstance(value, str):
        return _writable(_unfenced(value) if key in _CODE_KEYS else value)
    return value


def _unfenced(code: str) -> str:
    """Code without the fence around it; as it stands when that is not one fence."""
    body = code.strip()
    opening = _FENCE.match(body)
    if opening is None or not body.endswith("```") or len(body) < opening.end() + 3:
        return code
    inside = body[opening.end() : -3].rstrip(" \t")
    if _FENCE_INSIDE.search(inside):
        return code
    return inside.removesuffix("\n").removesuffix("\r")


def _clean_key(key: str) -> str:
    bare = key.strip()
    if bare.startswith("###") and bare.endswith("###") and len(bare) > 6:
        return _writable(bare.strip("#").strip())
    return _writable(key)


def _writable(text: str) -> str:
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _misread_number(made: BaseModel, given: JsonValue) -> str:
    """What is wrong with a number: it is not finite, or was a truth value, or could mean two."""
    left: list[tuple[object, object]] = [(made.model_dump(warnings=False), given)]
    while left:
        item, written = left.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return "a number is not finite"
        is_number = isinstance(item, (int, float)) and not isinstance(item, bool)
        if is_number and isinstance(written, bool):
            return f"{str(written).lower()} stands where a number is wanted"
        if is_number and isinstance(written, str) and not _PLAIN_NUMBER.fullmatch(written):
            return f"{written[:40]!r} is not a plain number"
        if isinstance(item, dict):
            members = written if isinstance(written, dict) else {}
            left.extend((member, members.get(key)) for key, member in item.items())
        elif isinstance(item, (list, tuple, set, frozenset)):
            known = written if isinstance(written, list) and len(written) == len(item) else []
            left.extend(zip_longest(item, known))
    return ""
