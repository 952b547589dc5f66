"""Fit a decoded value to a schema, taking off the wrappings that models put around it."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from planner_app.models.candidates import decode_whole

Model = TypeVar("Model", bound=BaseModel)

_MAX_UNWRAPS = 4
_MAX_PROBLEMS = 12
_CODE_KEYS = frozenset({"code", "python", "source_code", "script"})
_FENCED = re.compile(r"\A\s*```[\w+-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*```\s*\Z", re.DOTALL)
_CONTAINER_ERRORS = frozenset(
    {
        "list_type", "tuple_type", "set_type", "frozen_set_type", "dict_type", "model_type",
        "model_attributes_type", "dataclass_type", "mapping_type", "iterable_type",
    }
)  # fmt: skip


class Fit(NamedTuple, Generic[Model]):
    """A value of the schema's type."""

    value: Model
    """The value."""
    unwrapped: bool
    """Something was taken off: an outer key, a list of one, quotes around JSON."""


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
    value = _cleaned(value, field_names(schema))
    for number, variant in enumerate(_variants(value, schema, _MAX_UNWRAPS)):
        try:
            made, mended = _validate(variant, schema)
            return Fit(made, number > 0 or mended)
        except FitError as error:
            first = first or error
    if wrap_list and isinstance(value, list) and (key := _only_list_field(schema)):
        try:
            return Fit(_validate({key: value}, schema)[0], True)
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
            inner = _cleaned(inner, field_names(schema))
            yield from _variants(inner, schema, left - 1)
    elif isinstance(value, list) and len(value) == 1:
        yield from _variants(value[0], schema, left - 1)
    elif isinstance(value, dict):
        names = field_names(schema)
        outer = [key for key in value if key not in names]
        if len(value) == 1 and len(outer) == 1:
            yield from _variants(value[outer[0]], schema, left - 1)
        elif names:
            yield from _only_fitting(value, required_names(schema))


def _only_fitting(value: dict[str, JsonValue], required: frozenset[str]) -> Iterator[JsonValue]:
    """`{"name": "act", "arguments": {...}}`: the one member that has what is required."""
    if not required or required <= set(value):
        return
    inside = [_decoded(item) if isinstance(item, str) else item for item in value.values()]
    fitting = [item for item in inside if isinstance(item, dict) and required <= set(item)]
    if len(fitting) == 1:
        yield fitting[0]


def _decoded(text: str) -> JsonValue:
    """The JSON that a string holds, or None."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        return decode_whole(text)
    except ValueError:
        return None


def _validate(value: JsonValue, schema: type[Model]) -> tuple[Model, bool]:
    """The value as the schema's type, and whether strings of JSON in it had to be decoded."""
    names = field_names(schema)
    if names and isinstance(value, dict) and value and not names & set(value):
        raise FitError((f"none of the keys {', '.join(sorted(names))} is there",))
    try:
        made, mended = schema.model_validate(value), None
    except ValidationError as error:
        mended = _decode_members(value, error)
        if mended is None:
            raise FitError(_problems(error)) from None
        try:
            made = schema.model_validate(mended)
        except ValidationError as again:
            raise FitError(_problems(again)) from None
    if not _finite(made):
        raise FitError(("a number is not finite",))
    return made, mended is not None


def _decode_members(value: JsonValue, error: ValidationError) -> JsonValue:
    """A copy where strings of JSON stand decoded in places that want a list or an object."""
    mended: JsonValue = None
    for problem in error.errors(include_url=False, include_context=False):
        given = problem["input"]
        if problem["type"] not in _CONTAINER_ERRORS or not isinstance(given, str):
            continue
        inner = _decoded(given)
        if not isinstance(inner, (list, dict)):
            continue
        if mended is None:
            mended = copy.deepcopy(value)
        _put(mended, problem["loc"], given, inner)
    return mended


def _put(value: JsonValue, path: tuple[int | str, ...], old: str, new: JsonValue) -> None:
    for part in path[:-1]:
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            return
    last = path[-1] if path else None
    if isinstance(value, dict) and isinstance(last, str):
        if value.get(last) == old:
            value[last] = new
    elif isinstance(value, list) and isinstance(last, int) and value[last] == old:
        value[last] = new


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


def _cleaned(value: JsonValue, names: frozenset[str], key: str = "") -> JsonValue:
    """Keys without `###`, code without its fence, text that can be written as UTF-8."""
    if isinstance(value, dict):
        return {
            (name := _clean_key(written, names)): _cleaned(item, names, name)
            for written, item in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(item, names, key) for item in value]
    if isinstance(value, str):
        if key in _CODE_KEYS and (fenced := _FENCED.match(value)):
            value = fenced.group(1)
        return _writable(value)
    return value


def _clean_key(key: str, names: frozenset[str]) -> str:
    bare = key.strip()
    if bare.startswith("###") and bare.endswith("###") and len(bare) > 6:
        return bare.strip("#").strip()
    return bare if bare in names else _writable(key)


def _writable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _finite(made: BaseModel) -> bool:
    left: list[object] = [made.model_dump(warnings=False)]
    while left:
        item = left.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return False
        if isinstance(item, dict):
            left.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            left.extend(item)
    return True
