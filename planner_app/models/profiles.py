"""Which habits a model has: data in TOML, matched by the model's name.

The bundled `profiles.toml` is read first; the last entry that matches a name wins. A person's own
`profiles.toml` goes on top and need only name what differs. `ProfileBook.explain` says which entry
was taken, from which file, and why.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from planner_app.domain.errors import SettingsError

SystemRole = Literal["system", "developer", "user", "none"]
ThinkMode = Literal["field", "auto", "assume_think", "off"]
HistoryReasoning = Literal["drop", "tool_cycle", "keep"]
JsonMode = Literal["native_schema", "json_object", "prompt"]
PromptStyle = Literal["plain", "reasoner", "coder"]
Visibility = Literal["full", "summary", "hidden", "none"]


class Profile(BaseModel):
    """How one family of models is spoken to, and how its replies are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = "unknown"
    """Name of the entry, shown to people."""
    system_role: SystemRole = "system"
    """Role of the system text; `none` and `user` put it before the first user message."""
    sampling: dict[str, float | int] = Field(default_factory=dict)
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
    thinking_budget_min: int | None = None
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
    max_output: int | None = None
    """Most tokens that one reply may have; None: unknown."""
    context_window: int | None = None
    """Tokens of prompt and reply together; None: unknown."""
    prompt_style: PromptStyle = "plain"
    """Which wording of the prompts it gets."""
    extra: dict[str, str | int | float | bool] = Field(default_factory=dict)
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

    match: str
    """Pattern on the model's name."""
    extra: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Parameters sent with every call."""
    reasoner_extra: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Parameters sent when the family reasons."""
    notes: str = ""
    """One line for people."""


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
            try:
                text = own_file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"{own_file} cannot be read: {error}") from error
            own = _entries(text, str(own_file))
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

    def families(self) -> tuple[str, ...]:
        """Names of all entries in the order in which they are tried."""
        return tuple(str(entry.fields["family"]) for entry in (*self._bundled, *self._own))

    def _match(self, model: str) -> ProfileMatch:
        name = model.casefold()
        base, base_pattern = _last_match(self._bundled, name)
        mine, mine_pattern = _last_match(self._own, name)
        fields: dict[str, object] = {}
        why: list[str] = []
        if mine is not None and mine.like is not None:
            fields.update(self._family(mine.like).fields)
            why.append(f"like {mine.like!r}")
        elif base is not None:
            fields.update(base.fields)
            why.append(f"{base.fields['family']!r}: {base_pattern!r} in {base.origin}")
        if mine is not None:
            fields.update(mine.fields)
            why.append(f"{mine.fields['family']!r}: {mine_pattern!r} in {mine.origin}")
        profile = Profile.model_validate(fields)
        for serving in _bundled_servings():
            if fnmatchcase(name, serving.match):
                profile = _served(profile, serving)
                why.append(f"{serving.match!r} adds {serving.notes or 'parameters'}")
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
    added = dict(serving.extra)
    if profile.prompt_style == "reasoner":
        added |= serving.reasoner_extra
    return profile.model_copy(update={"extra": {**added, **profile.extra}})


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
    return _entries(_bundled(), "profiles.toml", also=("serving",))


@cache
def _bundled_servings() -> tuple[Serving, ...]:
    return tuple(Serving.model_validate(table) for table in tomllib.loads(_bundled())["serving"])


def _entries(text: str, origin: str, also: tuple[str, ...] = ()) -> tuple[_Entry, ...]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{origin} is not valid TOML: {error}") from error
    stray = sorted(set(data) - {"profile", *also})
    if stray:
        raise SettingsError(
            f"{origin}: unknown key {stray[0]!r}", "profiles are written as [[profile]] tables"
        )
    tables = data.get("profile", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(f"{origin}: profiles are written as [[profile]] tables")
    return tuple(_entry(table, number, origin) for number, table in enumerate(tables, 1))


_FIELD_NAMES = tuple(field.alias or name for name, field in Profile.model_fields.items())


def _entry(table: Mapping[str, object], number: int, origin: str) -> _Entry:
    fields = dict(table)
    match = fields.pop("match", None)
    like = fields.pop("like", None)
    patterns = [match] if isinstance(match, str) else match
    label = fields.get("family", f"no. {number}")
    if (
        not isinstance(patterns, list)
        or not patterns
        or not all(isinstance(pattern, str) and pattern for pattern in patterns)
    ):
        raise SettingsError(
            f"{origin}: profile {label!r}: field 'match' must be a pattern or a list of patterns",
            'e.g. match = "*my-model*"',
        )
    if like is not None and not isinstance(like, str):
        raise SettingsError(f"{origin}: profile {label!r}: field 'like' must name a family")
    fields.setdefault("family", patterns[0])
    for name in fields:
        if name not in _FIELD_NAMES:
            raise SettingsError(
                f"{origin}: profile {label!r}: unknown field {name!r}",
                _nearest(name, [*_FIELD_NAMES, "match", "like"]),
            )
    try:
        Profile.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "?"
        raise SettingsError(
            f"{origin}: profile {label!r}: field {where!r}: {first['msg']}"
        ) from error
    return _Entry(tuple(str(p).casefold() for p in patterns), fields, like, origin)


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(set(known)))}"
