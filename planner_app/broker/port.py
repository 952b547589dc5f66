"""The types that the broker and its callers share: policy, sources, values and errors of a call.

Light on purpose: the engine, the command line and tests import it without pulling in HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pydantic import JsonValue

from planner_app.domain.errors import PlannerError

NetMode = Literal["open", "seen", "off", "hosts"]
SourceKind = Literal["hit", "page", "attachment", "action", "user"]

RefusalKind = Literal["unknown", "arguments", "policy", "address", "approval"]
FailureKind = Literal[
    "network",  # no name, no route, TLS or protocol broke
    "timeout",  # the tool's time is over
    "http",  # the server answered with an error status
    "too_big",  # more bytes than the tool may take
    "binary",  # not something that reads as text
    "unreadable",  # a PDF or page that its parser gives up on
    "search",  # every search backend failed
    "not_found",  # no such source or workspace file
    "not_recorded",  # an example holds no such query or page
    "internal",  # a fault of ours; the traceback is in the log
]


@dataclass(frozen=True, slots=True)
class NetPolicy:
    """Where a run's requests may go. `policy.parse_policy` reads it from text."""

    mode: NetMode = "open"
    """`open`: anywhere public; `seen`: addresses from the task, a hit or a fetched page;
    `off`: nowhere, no search either; `hosts`: only to `hosts`."""
    hosts: frozenset[str] = frozenset()
    """Under `hosts`: lower-case names; `*.example.org` stands for every name below example.org
    (not example.org itself); the word `search` allows searching. Empty in the other modes."""


@dataclass(frozen=True, slots=True)
class NewSource:
    """Something that a claim may cite, before the log has given it its number."""

    kind: SourceKind
    """Where it came from."""
    title: str
    """What a person reads in the list of sources; never empty."""
    url: str | None
    """The address it was read from, after redirects; None for what has none."""
    content: bytes
    """The bytes as they came (decompressed); for a hit its JSON."""
    text: str
    """What the model read, pages separated by form feeds. Quotes are looked up here."""
    mime: str
    """Media type without parameters, lower case."""
    at: datetime
    """When it was read, UTC."""
    weak: bool
    """Weak evidence by itself: a search hit's snippet."""


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A numbered source as a tool needs it back."""

    title: str
    """As in `NewSource`."""
    url: str | None
    """As in `NewSource`."""
    text: str
    """As in `NewSource`."""


@dataclass(frozen=True, slots=True)
class ToolValue:
    """What a call gives back."""

    value: JsonValue
    """What the function returns inside the sandbox."""
    summary: str
    """One line for the screen."""
    blob: bytes = b""
    """Bytes that travel beside the value; most calls have none."""


class CallContext(Protocol):
    """What one call may use of its run. The engine makes one per call."""

    @property
    def policy(self) -> NetPolicy:
        """The run's network policy."""
        ...

    def add_source(self, source: NewSource) -> int:
        """Give the source its number `n`; the same kind, address and content get the same one."""
        ...

    def source_text(self, n: int) -> StoredSource | None:
        """The source `[n]`, or None if the run has no such number."""
        ...

    def seen(self, url: str) -> bool:
        """Whether the address came from the task, a search hit or a fetched page.

        `url` is in the form of `addresses.normal_url`; `seen.SeenAddresses` keeps the answer.
        """
        ...

    async def read_file(self, path: str, max_bytes: int) -> bytes:
        """A workspace file. FileNotFoundError if there is none; another error if too large."""
        ...

    async def write_file(self, path: str, data: bytes) -> None:
        """Write a workspace file, making its folders."""
        ...

    def save_artifact(self, name: str, title: str, data: bytes) -> None:
        """Keep the bytes as an artifact of the run."""
        ...

    async def approve(self, what: str, detail: str) -> bool:
        """Ask the person, as the approval mode says. False: refused. May take hours."""
        ...


class ToolProblem(PlannerError):
    """A call that gave no value; the model reads the message and may act on it."""

    def __init__(self, kind: str, message: str, hint: str, *, retryable: bool) -> None:
        super().__init__(message, hint)
        self.kind = kind
        """A short constant word for records and tests."""
        self.retryable = retryable
        """Whether the same call may work a little later."""


class ToolRefused(ToolProblem):
    """The call was not made: unknown name, wrong arguments, policy, address or the person's no."""

    exit_code = 2

    def __init__(self, kind: RefusalKind, message: str, hint: str = "") -> None:
        super().__init__(kind, message, hint, retryable=False)


class ToolFailed(ToolProblem):
    """The call was made, and did not work out."""

    def __init__(
        self, kind: FailureKind, message: str, hint: str = "", *, retryable: bool = False
    ) -> None:
        super().__init__(kind, message, hint, retryable=retryable)


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result."""

    title: str
    """As the engine shows it, without markup."""
    url: str
    """Where it leads; http or https."""
    snippet: str
    """The engine's excerpt; may be empty."""
    date: str | None
    """The day that the engine gives (ISO form where it can be read), None if it gives none."""


TimeRange = Literal["day", "week", "month", "year"]


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to search for."""

    words: str
    """The query as typed."""
    max_results: int = 8
    """At most so many hits."""
    region: str | None = None
    """Country and language like `us-en`; None: no preference."""
    time: TimeRange | None = None
    """Only results of the last day, week, ...; None: any time."""


class SearchEngine(Protocol):
    """Finds pages by words."""

    async def search(self, query: SearchQuery) -> tuple[Hit, ...]:
        """The hits, best first; none found is empty. ToolFailed when the search itself failed."""
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...


HopCheck = Callable[[str], Awaitable[None]]
"""Called with each address before it is asked for, redirects too; raises ToolRefused."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes behind an address."""

    url: str
    """The last address, after redirects, in normal form."""
    content_type: str
    """The header as sent; empty when there was none."""
    content: bytes
    """The body, decompressed."""
    truncated: bool = False
    """Whether the body was longer than the bound and is cut there."""
    disposition: str = ""
    """The Content-Disposition header, which may hold a file name."""


class PageStore(Protocol):
    """Gives the bytes behind an address: the web, or an example's files."""

    async def get(self, url: str, allow: HopCheck, max_bytes: int) -> Fetched:
        """Fetch. ToolRefused for an address that may not be asked, ToolFailed for the rest."""
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...
