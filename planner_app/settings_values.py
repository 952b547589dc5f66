"""What can be set: one frozen model per section of `config.toml`, with defaults and units.

A layer (a file, the environment, flags) is validated as a `Values`; so is the merge of them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from planner_app.domain.catalogue import BudgetLimits
from planner_app.domain.teams import looks_like_key
from planner_app.settings_limits import RULES, read_limit
from planner_app.settings_units import (
    Bytes,
    CountLimit,
    Minutes,
    MinutesLimit,
    Seconds,
    Usd,
    UsdLimit,
    Words,
)

Role = Literal["planner", "executor", "checker"]
SandboxKind = Literal["docker", "unsafe-host"]
ApproveMode = Literal["never", "outside", "plan", "actions"]

NET_MODES = ("open", "seen", "off")
_T = TypeVar("_T")
_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9])?")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _model_name(name: str) -> str:
    if looks_like_key(name):
        raise ValueError("that is a key, not a model; put it into its provider's variable")
    if not name or name != name.strip() or any(c.isspace() for c in name.partition(":")[0]):
        raise ValueError("use a model name such as deepseek/deepseek-chat, without white space")
    return name


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname)
        fine = fine and not any(map(str.isspace, url))
        _ = parts.port  # raises ValueError for a port that is no number
    except ValueError:
        fine = False
    if not fine:
        guess = f", such as http://{url}" if url and "://" not in url else ""
        raise ValueError(f"use an address with http:// or https://{guess}")
    return url.rstrip("/")


def _hosts(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_host(name.lower()) for name in names)


def _host(name: str) -> str:
    """A host name in ASCII; other scripts become punycode."""
    ascii_name = name
    if not name.isascii():
        import idna

        wildcard = "*." if name.startswith("*.") else ""
        try:
            ascii_name = wildcard + idna.encode(name.removeprefix("*."), uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            ascii_name = ""
    if not _HOST.fullmatch(ascii_name) or ".." in ascii_name:
        raise ValueError(f"{name[:80]!r} is not a host name such as example.org")
    return ascii_name


def _policy(text: str) -> str:
    """`open`, `seen`, `off`, or host names with commas or spaces between."""
    low = text.strip().lower()
    if low in NET_MODES:
        return low
    names = tuple(name for name in re.split(r"[\s,]+", low) if name)
    if not names or not all("." in n or n in ("search", "localhost") for n in names):
        raise ValueError("use open, seen, off, or host names such as example.org,docs.python.org")
    return ",".join(_hosts(names))


def _per_role(value: object) -> object:
    """A list of fallbacks holds for every role."""
    if isinstance(value, list | tuple):
        return {role: tuple(value) for role in ("planner", "executor", "checker")}
    return value


ModelName = Annotated[str, AfterValidator(_model_name)]
Address = Annotated[str, AfterValidator(_address)]
Policy = Annotated[str, AfterValidator(_policy)]


def _modules(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError("use names of modules such as numpy or matplotlib.pyplot")
    return names


def _limits(value: object) -> object:
    """Limits by name, each as the table of limits reads it."""
    if not isinstance(value, dict):
        raise ValueError('write it as a table: { memory = "2g", cpus = 2 }')
    return {str(name): read_limit(str(name), number) for name, number in value.items()}


class RoleOptions(_Section):
    """How a role's model is asked; what is not set is as its profile says."""

    effort: str | None = None
    """One of the profile's values, such as low or high."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    seed: int | None = None
    num_ctx: int | None = Field(default=None, gt=0)
    """Context window that Ollama is asked for, in tokens."""
    think_mode: Literal["field", "auto", "assume_think", "off"] | None = None
    """Where the model's thoughts are found."""


class TeamSettings(_Section):
    """Which model plays which role."""

    planner: ModelName | None = None
    """A litellm name, `scripted:PATH` or `recorded:RUN`. None: from the keys that are found."""
    executor: ModelName | None = None
    """None: the planner's model."""
    checker: ModelName | None = None
    """None: the planner's model."""
    mode: Literal["team", "solo"] = "team"
    """solo: the planner's model plans and acts in one conversation."""
    max_parallel: int = Field(default=3, ge=1, le=16)
    """Steps that may run at once."""
    api_base: Address | dict[Role, Address] | None = None
    """Address of a server of one's own, for all roles or by role. None: the provider's."""
    fallbacks: Annotated[dict[Role, tuple[ModelName, ...]], BeforeValidator(_per_role)] = Field(
        default_factory=dict
    )
    """Models to go on with when one is down; a plain list holds for every role."""
    options: dict[Role, RoleOptions] = Field(default_factory=dict)
    """By role; they win over the profile."""

    sandbox: Annotated[dict[str, int | float], BeforeValidator(_limits)] = Field(
        default_factory=dict
    )
    """Limits of this team's sandboxes, by their names in [sandbox] and over those there."""

    def base_for(self, role: Role, model: str) -> str | None:
        """The address that a model is asked at in this role; None: the provider's.

        What the team says holds for its own model and others of that provider, not for a
        fallback of another one: a key must not go to somebody else's server.
        """
        named = {"planner": self.planner, "executor": self.executor, "checker": self.checker}
        own = named[role] or self.planner or model
        if own.partition("/")[0] != model.partition("/")[0]:
            return None
        return self.api_base.get(role) if isinstance(self.api_base, dict) else self.api_base


class BudgetSettings(_Section):
    """What one run may spend, and all runs in a day."""

    usd: UsdLimit = 2.0
    tokens: CountLimit = None
    minutes: MinutesLimit = 30.0
    """Minutes in which the run works; waiting for a person does not count."""
    calls: CountLimit = 60
    """Model calls."""
    actions: CountLimit = 100
    daily_usd: UsdLimit = None
    """US dollars for all runs of a day; None: no limit."""

    def limits(self) -> BudgetLimits:
        """The limits of one run, as its first event holds them."""
        return BudgetLimits(
            usd=self.usd,
            tokens=self.tokens,
            seconds=None if self.minutes is None else self.minutes * 60,
            calls=self.calls,
            actions=self.actions,
        )


def _limit(name: str) -> BeforeValidator:
    return BeforeValidator(RULES[name].number)


def _default(name: str) -> Any:
    return RULES[name].number(RULES[name].default)


class SandboxSettings(_Section):
    """Where code runs and what it may use."""

    kind: SandboxKind = "docker"
    memory: Annotated[int, _limit("memory")] = _default("memory")
    """Bytes of memory for all processes of one sandbox, its files included."""
    cpus: Annotated[float, _limit("cpus")] = _default("cpus")
    """CPUs' worth of time per second."""
    pids: Annotated[int, _limit("pids")] = _default("pids")
    """Processes and threads."""
    tmp: Annotated[int, _limit("tmp")] = _default("tmp")
    """Size of /tmp; when nobody sets it at most an eighth of the memory."""
    workspace: Annotated[int, _limit("workspace")] = _default("workspace")
    """Size of the workspace; when nobody sets it at most half of the memory."""
    inodes: Annotated[int, _limit("inodes")] = _default("inodes")
    """Files and folders in the workspace, and as many in /tmp."""
    action_seconds: Annotated[float, _limit("action_seconds")] = _default("action_seconds")
    """Run time of one action."""
    grace_seconds: Annotated[float, _limit("grace_seconds")] = _default("grace_seconds")
    """How long an interrupted action may take to stop before it is killed."""
    output_bytes: Annotated[int, _limit("output_bytes")] = _default("output_bytes")
    """Output of one action that is forwarded as it comes."""
    tail_bytes: Annotated[int, _limit("tail_bytes")] = _default("tail_bytes")
    """What is kept of the end of each stream over that."""
    result_chars: Annotated[int, _limit("result_chars")] = _default("result_chars")
    """Longest value or traceback."""
    packages: Words = ()
    """Python packages added to the image, which is then built again."""
    pool: int = Field(default=1, ge=0, le=32)
    """Sandboxes kept ready; 0: each is started when it is needed."""
    runtime: str | None = None
    """The engine's runtime, such as runsc for gVisor. None: the engine's own choice."""
    preload: Annotated[Words, AfterValidator(_modules)] = ()
    """Modules imported before the first action, such as numpy."""

    def limits(self) -> dict[str, float]:
        """The limits that were set, by name."""
        return self.model_dump(include=set(RULES), exclude_unset=True)


class NetSettings(_Section):
    """Where tools may go."""

    policy: Policy | None = None
    """open, seen, off, or hosts. None: open, and seen when there are attachments."""
    allow_hosts: Annotated[Words, AfterValidator(_hosts)] = ()
    """Hosts with private addresses (an intranet) that may be asked all the same."""
    searxng_url: Address | None = None
    """A SearXNG instance of one's own."""
    search_backends: Words = ()
    """Names of search backends in the order to try; empty: the broker's own choice."""

    def policy_for(self, has_attachments: bool) -> str:
        """The policy of a task."""
        return self.policy or ("seen" if has_attachments else "open")


def _per_million(usd: float) -> float:
    """Price lists also tell the price of one token, a millionth of what is meant here."""
    if 0 < usd < LEAST_PRICE:
        raise ValueError(f"write US dollars for a million tokens, such as {usd * 1_000_000:g}")
    return usd


LEAST_PRICE = 0.0001
TokenPrice = Annotated[Usd, AfterValidator(_per_million)]


class PriceSettings(_Section):
    """US dollars per million tokens of one model."""

    input: TokenPrice
    output: TokenPrice
    cached: TokenPrice | None = None
    """For input that the provider had cached. None: as other input."""
    reasoning: TokenPrice | None = None
    """For output that is reasoning. None: as other output."""


class PaceSettings(_Section):
    """How hard all runs of a worker together may press one provider."""

    at_once: int = Field(default=8, ge=1, le=1000)
    """Calls under way at the same time."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """None: no limit."""
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Of prompts and replies. None: no limit."""


class ModelsSettings(_Section):
    """What is known of models beside their profiles."""

    api_bases: dict[ModelName, Address] = Field(default_factory=dict)
    """Model name, or provider with its slash (`ollama_chat/`), to the address of its server."""
    prices: dict[ModelName, PriceSettings] = Field(default_factory=dict)
    """Model name, or provider with its slash, to its price, over the bundled table."""
    timeouts: dict[ModelName, Annotated[Seconds, Field(gt=0)]] = Field(default_factory=dict)
    """Model name, provider with its slash, or `default`, to seconds for one whole call."""
    pace: dict[ModelName, PaceSettings] = Field(default_factory=dict)
    """Provider with its slash, a server's address, or `default`, to how hard it is pressed."""

    def pace_of(self, provider: str, model: str) -> PaceSettings:
        """For a provider (a server's address, where it has one of its own) and a model there."""
        own = self.pace.get(provider) or _by_model(self.pace, model)
        return own or self.pace.get("default") or PaceSettings()

    def api_base(self, model: str) -> str | None:
        """The address for a model: its own entry, else its provider's."""
        return _by_model(self.api_bases, model)

    def timeout(self, model: str) -> float | None:
        """Seconds for one call: the model's entry, its provider's, the default's, else None."""
        found = _by_model(self.timeouts, model)
        return self.timeouts.get("default") if found is None else found


def _by_model(table: Mapping[str, _T], model: str) -> _T | None:
    if model in table:
        return table[model]
    return table.get(model.partition("/")[0] + "/") if "/" in model else None


class ApproveSettings(_Section):
    """When a person is asked before something happens."""

    mode: ApproveMode = "outside"
    answer_minutes: MinutesLimit = 15.0
    """How long a question waits before its default stands; None: for ever. Leave is always waited
    for."""


class AttachmentSettings(_Section):
    """How large the files of a task may be."""

    max_file: Bytes = 50 * 1024**2
    max_total: Bytes = 200 * 1024**2


class WorkerSettings(_Section):
    """The background worker."""

    max_runs: int = Field(default=4, ge=1, le=64)
    """Runs that one worker drives at once."""
    idle_minutes: Annotated[Minutes, Field(gt=0)] = 10.0
    """How long a worker without work stays."""


class ThinkingSettings(_Section):
    """When a reply gets one further call. It is paid like any other, and only where a budget
    allows it; the first reply stands unless the second one is better."""

    retry_underthinking: bool = False
    """When the thoughts changed their approach too often, with "commit to one approach". What is
    measured is a proxy."""
    retry_language: bool = False
    """When a plan, report or answer is not in the language of the task, to have it translated."""


class ToolsSettings(_Section):
    """A person's own tool modules."""

    folder: str | None = None
    """None: `tools/` beside config.toml."""


class Values(_Section):
    """Everything that can be set."""

    team: str = "default"
    """The team of tasks that name none."""
    teams: dict[str, TeamSettings] = Field(default_factory=dict)
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings)
    net: NetSettings = Field(default_factory=NetSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    approve: ApproveSettings = Field(default_factory=ApproveSettings)
    attachments: AttachmentSettings = Field(default_factory=AttachmentSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    tools: ToolsSettings = Field(default_factory=ToolsSettings)
    thinking: ThinkingSettings = Field(default_factory=ThinkingSettings)

    def limits(self, team: str, task: Mapping[str, float]) -> dict[str, float]:
        """A sandbox's limits that were set: the task's over its team's over those of [sandbox]."""
        own = self.teams.get(team)
        return {**self.sandbox.limits(), **(own.sandbox if own else {}), **task}

    @model_validator(mode="after")
    def _team_names(self) -> Values:
        for name in self.teams:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
                raise ValueError(
                    f"team name {name[:40]!r}: use lower-case letters, digits, - and _"
                )
        return self
