"""Which habits a model has: data in TOML, matched by the model's name.

The bundled `profiles.toml` is read first; the last entry that matches a name wins. A person's own
`profiles.toml` goes on top and need only name what differs. `ProfileBook.explain` says which entry
was taken, from which file, and why.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from planner_app.domain.errors import SettingsError

SystemRole = Literal["system", "developer", "user", "none"]
ThinkMode = Literal["field", "auto", "assume_think", "off"]
HistoryReasoning = Literal["drop", "tool_cycle", "keep"]
JsonMode = Literal["native_schema", "json_object", "prompt"]
PromptStyle = Literal["plain", "reasoner", "coder"]
Visibility = Literal["full", "summary", "hidden", "none"]

BUNDLED = "the bundled profiles.toml"
MAX_FILE_BYTES = 1024 * 1024
SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty",
    "repetition_penalty",
)  # fmt: skip
"""Sampling parameters by the names that are sent."""
OURS = frozenset(
    {"model", "messages", "stream", "stream_options", "n", "timeout", "max_retries", "num_retries",
     "fallbacks", "tools", "response_format", "max_tokens", "max_completion_tokens", "api_key",
     "api_base", "base_url", "drop_params"}
)  # fmt: skip
"""What a profile may not send: money, keys and the protocol hang on it."""


def _sampling_names(values: dict[str, float | int]) -> dict[str, float | int]:
    for name in values:
        if name not in SAMPLING:
            raise ValueError(f"{name!r} is no sampling parameter; {_nearest(name, SAMPLING)}")
    return values


def _extra_names(
    values: dict[str, str | int | float | bool],
) -> dict[str, str | int | float | bool]:
    for name in values:
        if name in OURS:
            raise ValueError(f"{name!r} is not a profile's to set")
    return values


Sampling = Annotated[dict[str, int | FiniteFloat], AfterValidator(_sampling_names)]
Extra = Annotated[dict[str, bool | int | FiniteFloat | str], AfterValidator(_extra_names)]


class Profile(BaseModel):
    """How one family of models is spoken to, and how its replies are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = "unknown"
    """Name of the entry, shown to people."""
    system_role: SystemRole = "system"
    """Role of the system text; `none` and `user` put it before the first user message."""
    sampling: Sampling = Field(default_factory=dict)
    """Sampling parameters sent unless a request names its own temperature, e.g. top_p = 0.95."""
    fixed_sampling: bool = False
    """The model refuses or ignores other sampling: a request's temperature is dropped."""
    effort_param: str | None = None
    """Parameter that sets how long it thinks (`reasoning_effort`, `thinking`); None: no such."""
    effort_values: tuple[str, ...] = ()
    """Values that the parameter takes, least effort first."""
    effort_planner: str | None = None
    """Effort asked for when it plans and the person names none; None: the provider's default."""
    effort_executor: str | None = None
    """Effort asked for when it acts or checks; None: the provider's default."""
    thinking_budget_min: int | None = Field(default=None, gt=0)
    """Least tokens of a thinking budget, where the parameter is a budget; None: no budget."""
    think_mode: ThinkMode = "auto"
    """`field`: reasoning comes apart (tags at the very start are split all the same); `auto`:
    inline tags at the start; `assume_think`: the reply begins inside reasoning; `off`: never."""
    reasoning_visible: Visibility = "full"
    """Whether thoughts can be measured: `summary` and `hidden` show "not measurable"."""
    history_reasoning: HistoryReasoning = "drop"
    """What of its own reasoning the model gets back in later turns."""
    json_mode: JsonMode = Field(default="prompt", alias="json")
    """How JSON is asked for."""
    few_shot: bool = True
    """Whether examples help it."""
    max_output: int | None = Field(default=None, gt=0)
    """Most tokens that one reply may have; None: unknown."""
    context_window: int | None = Field(default=None, gt=0)
    """Tokens of prompt and reply together; None: unknown."""
    prompt_style: PromptStyle = "plain"
    """Which wording of the prompts it gets."""
    extra: Extra = Field(default_factory=dict)
    """Further parameters sent with every call, e.g. `think = true` for Ollama."""
    refuses: tuple[str, ...] = ()
    """Parameters that it refuses: dropped, and the drop is recorded."""
    notes: str = ""
    """One line for people."""


@dataclass(frozen=True, slots=True)
class ProfileMatch:
    """The profile that a name gets, and why."""

    profile: Profile
    """What was found."""
    why: str
    """One line: the patterns that matched and their files."""


class Serving(BaseModel):
    """What a way of serving adds to whatever family it serves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: tuple[str, ...]
    """Patterns on the model's name."""
    extra: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Parameters sent with every call."""
    reasoner_extra: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Parameters sent when the family reasons."""
    notes: str = ""
    """One line for people."""

    def adds(self, profile: Profile) -> dict[str, str | int | float | bool]:
        """What it adds to this profile; where an effort is sent, that already asks for thoughts."""
        asks = profile.prompt_style == "reasoner" and profile.effort_param is None
        return self.extra | (self.reasoner_extra if asks else {})


@dataclass(frozen=True, slots=True)
class _Entry:
    patterns: tuple[str, ...]
    fields: dict[str, object]
    like: str | None
    origin: str


class ProfileBook:
    """All known profiles: the bundled ones, and a person's own on top."""

    def __init__(self, bundled: tuple[_Entry, ...], own: tuple[_Entry, ...] = ()) -> None:
        self._bundled = bundled
        self._own = own
        self._found: dict[str, ProfileMatch] = {}

    @classmethod
    def load(cls, own_file: Path | None = None) -> ProfileBook:
        """Read the bundled profiles and, if it exists, a person's own file.

        Raises SettingsError naming the file, the entry and the field.
        """
        own: tuple[_Entry, ...] = ()
        if own_file is not None and own_file.exists():
            own = _entries(_read(own_file), str(own_file))
        book = cls(_bundled_entries(), own)
        book._check_likes()
        return book

    def find(self, model: str) -> Profile:
        """The profile for a model's name; names that nothing matches get the defaults."""
        return self.explain(model).profile

    def explain(self, model: str) -> ProfileMatch:
        """The profile for a model's name, and which entries made it."""
        found = self._found.get(model)
        if found is None:
            found = self._found[model] = self._match(model)
        return found

    def _match(self, model: str) -> ProfileMatch:
        name = model.casefold()
        base, base_pattern = _last_match(self._bundled, name)
        mine, mine_pattern = _last_match(self._own, name)
        fields: dict[str, object] = {}
        why: list[str] = []
        if mine is not None and mine.like is not None:
            fields.update(self._family(mine.like).fields)
            why.append(f"{mine.like!r} in {self._family(mine.like).origin}")
        elif base is not None:
            fields.update(base.fields)
            why.append(f"{base_pattern!r} in {base.origin}")
        if mine is not None:
            fields.update(mine.fields)
            why.append(f"{mine_pattern!r} in {mine.origin}")
        profile = Profile.model_validate(fields)
        for serving in _bundled_servings():
            pattern = next((p for p in serving.match if fnmatchcase(name, p)), None)
            if pattern is not None:
                profile = _served(profile, serving)
                why.append(f"{pattern!r} adds {', '.join(serving.adds(profile)) or 'nothing'}")
        return ProfileMatch(profile, "; then ".join(why))

    def _family(self, name: str) -> _Entry:
        for entry in reversed((*self._bundled, *self._own)):
            if entry.fields["family"] == name and entry.like is None:
                return entry
        raise KeyError(name)

    def _check_likes(self) -> None:
        known = [str(entry.fields["family"]) for entry in self._bundled]
        known += [str(entry.fields["family"]) for entry in self._own if entry.like is None]
        for entry in self._own:
            if entry.like is not None and entry.like not in known:
                raise SettingsError(
                    f"{entry.origin}: profile {entry.fields['family']!r} is like {entry.like!r}, "
                    f"which is not a family",
                    _nearest(entry.like, known),
                )


def _served(profile: Profile, serving: Serving) -> Profile:
    return profile.model_copy(update={"extra": {**serving.adds(profile), **profile.extra}})


def _last_match(entries: tuple[_Entry, ...], name: str) -> tuple[_Entry | None, str]:
    for entry in reversed(entries):
        for pattern in entry.patterns:
            if fnmatchcase(name, pattern):
                return entry, pattern
    return None, ""


@cache
def _bundled() -> str:
    return resources.files("planner_app.models").joinpath("profiles.toml").read_text("utf-8")


@cache
def _bundled_entries() -> tuple[_Entry, ...]:
    return _entries(_bundled(), BUNDLED, also=("serving",))


@cache
def _bundled_servings() -> tuple[Serving, ...]:
    return tuple(Serving.model_validate(table) for table in tomllib.loads(_bundled())["serving"])


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingsError(f"{path} is over 1 MB", "it does not look like a file of profiles")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text", "save it as UTF-8") from error


def _entries(text: str, origin: str, also: tuple[str, ...] = ()) -> tuple[_Entry, ...]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{origin} is not valid TOML: {error}", "correct that line") from error
    stray = sorted(set(data) - {"profile", *also})
    tables = data.get("profile", [])
    if stray or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        what = f"{origin}: unknown key {stray[0]!r}" if stray else f"{origin}: no list of profiles"
        raise SettingsError(what, "each profile is a table under the line [[profile]]")
    lines = text.splitlines()
    heads = [n for n, line in enumerate(lines) if re.match(r"\s*\[\[\s*profile\s*\]\]", line)]
    entries = []
    for number, table in enumerate(tables):
        # Profiles may also be written inline; then only the file is known.
        first = heads[number] if len(heads) == len(tables) else None
        last = None if first is None else next((h for h in heads if h > first), len(lines))
        part = _Part(origin, table, () if first is None else tuple(lines[first:last]), first or 0)
        entries.append(part.entry())
    return tuple(entries)


_FIELD_NAMES = tuple(field.alias or name for name, field in Profile.model_fields.items())


@dataclass(frozen=True, slots=True)
class _Part:
    """One profile as it stands in a file."""

    origin: str
    table: Mapping[str, object]
    lines: tuple[str, ...]
    """From its head on; empty when it is not known where it stands."""
    first: int
    """Its head's line, from 0."""

    def entry(self) -> _Entry:
        fields = dict(self.table)
        match, like = fields.pop("match", None), fields.pop("like", None)
        patterns = [match] if isinstance(match, str) else match
        if (
            not isinstance(patterns, list)
            or not patterns
            or not all(isinstance(pattern, str) and pattern for pattern in patterns)
        ):
            raise self._error(
                "match", "must be a pattern or a list of patterns", 'e.g. match = "*my-model*"'
            )
        for pattern in patterns:
            if (why := _bad_pattern(pattern)) is not None:
                raise self._error("match", f"{pattern[:60]!r} {why}", "* stands for any text")
        if like is not None and not isinstance(like, str):
            raise self._error("like", "must name a family")
        for name in fields:
            if name not in _FIELD_NAMES:
                hint = _nearest(name, (*_FIELD_NAMES, "match", "like"))
                raise self._error(name, "is not known", hint)
        fields.setdefault("family", patterns[0])
        try:
            Profile.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            why = str(first["msg"]).removeprefix("Value error, ").replace("Input should", "must")
            raise self._error(str(first["loc"][0]), why) from None
        return _Entry(tuple(str(p).casefold() for p in patterns), fields, like, self.origin)

    def _error(self, field: str, why: str, hint: str = "") -> SettingsError:
        at = next(
            (n for n, line in enumerate(self.lines) if re.match(rf"\s*{re.escape(field)}\b", line)),
            0,
        )
        where = f"{self.origin}, line {self.first + at + 1}" if self.lines else self.origin
        family = self.table.get("family")
        of = f" of profile {family!r}" if isinstance(family, str) else ""
        return SettingsError(f"{where}: field {field!r}{of} {why}", hint)


def _bad_pattern(pattern: str) -> str | None:
    """Why a pattern can match no name; None: it can."""
    if any(c.isspace() for c in pattern):
        return "has white space, which no model's name has"
    if re.search(r"[\^$|()\\]", pattern):
        return "looks like a regular expression; patterns are globs"
    if pattern.count("[") != pattern.count("]") or "(?!)" in translate(pattern):
        return "has brackets that match nothing"
    return None


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(set(known)))}"
