"""Get one typed value out of what a model wrote, or say in one word why there is none.

The stages run from the strict to the lenient, the last value in the text that fits wins, and
nothing is ever executed. The time is linear in the text; the costly stages (literals, repair,
YAML) look at no more than 64 KB.
"""

from __future__ import annotations

import re
from typing import Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, JsonValue

from planner_app.domain.errors import PlannerError
from planner_app.models.candidates import (
    Candidate,
    Found,
    Names,
    StrictDecoder,
    Unreadable,
    decode_whole,
    find_values,
    too_deep,
)
from planner_app.models.fallbacks import literal_value, repaired_value
from planner_app.models.fitting import Fit, FitError, field_names, fit, required_names
from planner_app.models.think import split_think

Model = TypeVar("Model", bound=BaseModel)

StructuredKind = Literal["empty", "no_object", "syntax", "schema", "too_long"]

MAX_CHARS = 4_000_000
"""A longer text is refused as it stands."""


class Parsed(NamedTuple, Generic[Model]):
    """A value and how it was come by."""

    value: Model
    """The value, of the schema's type."""
    flags: frozenset[str]
    """`think`: reasoning was split off; `answer`: it stood in answer tags; `truncated`: the text
    ended inside it, for display only; `repaired`: it was not JSON as it stood, or a key or a choice
    was written otherwise; `dup_keys`: a key stood twice, the last one counts; `unwrapped`: an outer
    key or list was taken off; `yaml`."""


class StructuredError(PlannerError):
    """The text holds no value of the schema."""

    def __init__(
        self,
        kind: StructuredKind,
        message: str,
        problems: tuple[str, ...] = (),
        flags: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(message)
        self.kind: StructuredKind = kind
        """Why, in one word."""
        self.problems = problems
        """One line per fault, for the model that is to correct it."""
        self.flags = flags
        """What was seen on the way: `think`, `truncated`, `dup_keys`."""


def parse(text: str, schema: type[Model]) -> Parsed[Model]:
    """The last value in the text that fits the schema, and flags. Raises StructuredError."""
    if len(text) > MAX_CHARS:
        raise StructuredError("too_long", f"the reply has over {MAX_CHARS:,} characters")
    return _Search(schema).run(text)


_INVISIBLE = re.compile("[\ufeff\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\u061c]+")
_NEVER_MEANT = re.compile("[\ufeff\u200b\u2060]")
_MARKS = frozenset('{}[]",:')
_CLOSE_THINK = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_LATER_THINK = re.compile(
    r"^[ \t]*<(think(?:ing)?|thought|reasoning)>.*?(?:</\1>|\Z)",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_THINK_TAG = re.compile(
    r"</think(?:ing)?>|^[ \t]*<(?:think(?:ing)?|thought|reasoning)>", re.MULTILINE | re.IGNORECASE
)
_TAG_STARTS = frozenset("<[\u25c1")
_ANSWER = "<answer>"
_ANSWER_TAGS = re.compile(r"</?answer>")
_UNOPENED = re.compile(r"\s*(?:```\w*\s+)?(?=\"([^\"\\]{1,80})\"\s{0,9}:)")
_ESCAPED_OBJECT = re.compile(r"\{\s*\\[\"n]")
_STRAIGHT = dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\uff02"), '"')
_AROUND_LIST = re.compile(r"\s*(?:```\w*\s*)?")


class _Search(Generic[Model]):
    """One search; `flags` gathers what was met."""

    def __init__(self, schema: type[Model]) -> None:
        self.schema = schema
        self.names = Names(field_names(schema))
        self.flags: set[str] = set()

    def run(self, text: str) -> Parsed[Model]:
        body = self._answer_part(_without_invisible(text))
        if not _ANSWER_TAGS.sub("", body).strip():
            raise StructuredError("empty", "the reply is empty", flags=frozenset(self.flags))
        parts = [body]
        opens = body.rfind(_ANSWER)
        if opens >= 0:
            start, end = _first_object(body)
            opens = -1 if start < opens < end else opens
        if opens >= 0:
            inside = body[opens + len(_ANSWER) :].partition("</answer>")[0]
            parts = [body, inside] if body.lstrip()[:1] in "{[" else [inside, body]
        error: StructuredError | None = None
        for part in parts:
            try:
                parsed = self._part(part, depth=0)
            except StructuredError as failed:
                error = error or failed
            else:
                if opens >= 0 and part is not body:
                    return Parsed(parsed.value, parsed.flags | {"answer"})
                return parsed
        if (mixed := self._straightened(body)) is not None:
            return mixed
        raise error or StructuredError("no_object", "the reply holds no object")

    def _straightened(self, text: str) -> Parsed[Model] | None:
        """The last object, where it is JSON but for curly quotes among the straight ones."""
        straight = text.translate(_STRAIGHT)
        if straight == text:
            return None
        decoder = StrictDecoder()
        try:
            value, end = decoder.decode(straight, max(0, straight.find("{")))
            if too_deep(value) or "{" in straight[end:]:
                return None
            made = fit(value, self.schema, wrap_list=False)
        except (ValueError, FitError):
            return None
        return self._parsed(made, "repaired", *(["dup_keys"] if decoder.dup_keys else []))

    def _answer_part(self, text: str) -> str:
        """The text without its reasoning. A tag inside a JSON string is not a tag."""
        if text.lstrip()[:1] not in _TAG_STARTS and not _THINK_TAG.search(text):
            return text
        try:
            decode_whole(text)
        except ValueError:
            pass
        else:
            return text
        split = split_think(text)
        if split.tagged:
            self.flags.add("think")
            if split.unclosed:
                self.flags.add("truncated")
            text = split.text
        start, end = _first_object(text)
        if _THINK_TAG.search(text, 0, start):
            end = 0
        first, (rest, removed) = text[:end], _LATER_THINK.subn("", text[end:])
        if removed:
            self.flags.add("think")
        orphan = None if split.tagged else _CLOSE_THINK.search(rest)
        if orphan is not None:
            self.flags.add("think")
            return rest[orphan.end() :]
        return first + rest

    def _part(self, text: str, depth: int) -> Parsed[Model]:
        opened = self._opened(text)
        if opened is not text and "}" not in text and (parsed := self._yaml(text)):
            return parsed  # no brace was left out: its keys stand in quotes
        text = opened
        found = find_values(text, self.names)
        error = StructuredError(
            "no_object", "the reply holds no JSON object", flags=frozenset(self.flags)
        )
        listed: Parsed[Model] | None = None
        for item in reversed(found):
            if isinstance(item, Unreadable):
                return self._unreadable(text, item)
            try:
                return self._fitted(item, wrap_list=False)
            except FitError as problem:
                listed = listed or self._listed(text, item)
                if listed and item.truncated:
                    return listed
                failed = self._schema_error(problem, item)
                deep = _nested_too_deeply(found)
                if item.truncated:
                    raise (self._syntax_error(deep) if deep else failed) from None
                if self._has_all_keys(item.value):
                    raise failed from None
                if error.kind == "no_object" and (item.named or _holds_object(item.value)):
                    error = failed
        parsed = (
            listed or self._all_together(found) or self._encoded(text, depth) or self._yaml(text)
        )
        if parsed is not None:
            return parsed
        if error.kind == "no_object" and text.rfind("{") > text.rfind("}"):
            error = StructuredError(
                "schema", "the reply is cut off", flags=frozenset({*self.flags, "truncated"})
            )
        raise error

    def _opened(self, text: str) -> str:
        """The text with the brace that a prefilled reply leaves out."""
        begins = _UNOPENED.match(text)
        if begins is None or begins.group(1) not in self.names.names:
            return text
        self.flags.add("repaired")
        return f"{text[: begins.end()]}{{{text[begins.end() :]}"

    def _has_all_keys(self, value: JsonValue) -> bool:
        """Whether a value that does not fit was meant as the answer: no earlier draft counts."""
        if not isinstance(value, dict):
            return False
        return bool(self.names.names & set(value)) and required_names(self.schema) <= set(value)

    def _listed(self, text: str, item: Candidate) -> Parsed[Model] | None:
        """A bare list where the schema wants an object with one list."""
        items = item.value if isinstance(item.value, list) else []
        if not items or not (
            all(isinstance(one, dict) for one in items) or _stands_alone(text, item)
        ):
            return None
        try:
            return self._fitted(item, wrap_list=True)
        except FitError:
            return None

    def _fitted(self, item: Candidate, *, wrap_list: bool) -> Parsed[Model]:
        made = fit(item.value, self.schema, wrap_list=wrap_list)
        extra = {
            name
            for name, holds in (
                ("truncated", item.truncated),
                ("repaired", item.repaired),
                ("dup_keys", item.dup_keys),
            )
            if holds
        }
        return self._parsed(made, *extra)

    def _parsed(self, made: Fit[Model], *extra: str) -> Parsed[Model]:
        return Parsed(made.value, made.flags.union(self.flags, extra))

    def _schema_error(self, problem: FitError, item: Candidate) -> StructuredError:
        seen = {"truncated": item.truncated, "dup_keys": item.dup_keys}
        flags = self.flags.union(name for name, holds in seen.items() if holds)
        what = "the reply is cut off" if item.truncated else "the reply does not fit the schema"
        return StructuredError("schema", f"{what}: {problem}", problem.problems, frozenset(flags))

    def _unreadable(self, text: str, item: Unreadable) -> Parsed[Model]:
        """The last object cannot be read: mend it, or refuse; an earlier draft does not count."""
        flags = frozenset(self.flags)
        if item.reason == "ambiguous":
            raise StructuredError("schema", item.message, (item.message,), flags)
        end = max(text.rfind("}"), text.rfind("]")) + 1
        source = text[item.start : end]
        still_open = _brackets_open(source)
        more = self.names.found_in(text[end:]).keys
        if item.reason == "syntax" and source and still_open >= 0 and not more:
            for stage in (literal_value, repaired_value):
                value = stage(source)
                if value is not None and self._has_all_keys(value):
                    cut = ["truncated"] if still_open else []
                    return self._mended(value, "repaired", *cut)
        raise self._syntax_error(item)

    def _syntax_error(self, item: Unreadable) -> StructuredError:
        return StructuredError(
            "syntax", f"not JSON: {item.message}", (item.message,), frozenset(self.flags)
        )

    def _all_together(self, found: list[Found]) -> Parsed[Model] | None:
        """Several objects, one per line, where the schema wants one list of them."""
        values = [item.value for item in found if isinstance(item, Candidate)]
        if len(values) < 2 or not all(isinstance(value, dict) for value in values):
            return None
        try:
            return self._parsed(fit(values, self.schema, wrap_list=True), "unwrapped")
        except FitError:
            return None

    def _encoded(self, text: str, depth: int) -> Parsed[Model] | None:
        """JSON inside a JSON string, with or without its quotes."""
        if depth >= 3:
            return None
        body = text.strip()
        inner: JsonValue = None
        try:
            if (quote := body.find('"')) >= 0 and body[quote + 1 : quote + 2] in "{[\\":
                inner, _ = StrictDecoder().decode(body, quote)
            elif escaped := _ESCAPED_OBJECT.search(body):
                inner = decode_whole('"' + body[escaped.start() : body.rfind("}") + 1] + '"')
        except ValueError:
            return None
        if not isinstance(inner, str):
            return None
        try:
            parsed = self._part(inner, depth + 1)
        except StructuredError:
            return None
        return Parsed(parsed.value, parsed.flags | {"unwrapped"})

    def _yaml(self, text: str) -> Parsed[Model] | None:
        from planner_app.models.yaml_values import yaml_value

        found = yaml_value(text, self.names.names, required_names(self.schema))
        if found is None:
            return None
        extra = ["dup_keys"] if found.dup_keys else []
        return self._mended(found.value, "yaml", "repaired", *extra)

    def _mended(self, value: JsonValue, *flags: str) -> Parsed[Model]:
        try:
            return self._parsed(fit(value, self.schema, wrap_list=False), *flags)
        except FitError as problem:
            raise StructuredError(
                "schema",
                f"the reply does not fit the schema: {problem}",
                problem.problems,
                frozenset(self.flags),
            ) from None


def _without_invisible(text: str) -> str:
    """The text without what cannot be seen: joiners and direction marks only beside a mark of
    JSON or a space, since in words they may be meant."""

    def cleaned(found: re.Match[str]) -> str:
        around = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
        if any(not char or char.isspace() or char in _MARKS for char in around):
            return ""
        return _NEVER_MEANT.sub("", found.group())

    return text if text.isascii() else _INVISIBLE.sub(cleaned, text)


def _first_object(text: str) -> tuple[int, int]:
    """Where the first object begins and ends, if it is JSON; else it has no length. Tags inside
    it are text."""
    start = max(0, text.find("{"))
    try:
        _, end = StrictDecoder().decode(text, start)
    except ValueError:
        return 0, 0
    return start, end


def _brackets_open(text: str) -> int:
    """How many more brackets begin than end, strings not told apart."""
    return text.count("{") + text.count("[") - text.count("}") - text.count("]")


def _holds_object(value: JsonValue) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, dict) for item in value)
    )


def _nested_too_deeply(found: list[Found]) -> Unreadable | None:
    for item in found:
        if isinstance(item, Unreadable) and item.reason == "depth":
            return item
    return None


def _stands_alone(text: str, item: Candidate) -> bool:
    before, after = text[: item.start], text[item.end :]
    return bool(_AROUND_LIST.fullmatch(before)) and bool(_AROUND_LIST.fullmatch(after))
