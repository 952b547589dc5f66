"""The sandbox's port: what the rest of the program says to a session and hears from it.

Types only. A launcher opens sessions; a session runs actions one after the other in one lasting
Python process; the guest's tool calls come back through the handler given at opening.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from planner_app.domain.errors import SandboxError
from planner_app.sandbox.limits import Limits

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]

Status = Literal["ok", "error", "interrupted", "timeout", "exit", "ended", "died"]
OnOutput = Callable[[str, str], None]
"""Called with the stream's name ("stdout", "stderr") and the text, as it comes."""


class SessionClosed(SandboxError):
    """The session is over: it was closed, or its sandbox is gone; open a new one."""


class TransferFailed(SandboxError):
    """Files could not be moved into or out of the workspace; the message says which and why."""


class BindFailed(SandboxError):
    """A value could not be bound as a variable of the session, or a variable not be pickled."""


class FileTooLarge(TransferFailed):
    """A workspace file is larger than the caller accepts."""


@dataclass(frozen=True, slots=True)
class GuestModule:
    """A tool module, made importable in the guest under its name."""

    name: str
    """A Python identifier."""
    source: str
    """`@host` functions become calls to the host; the others run in the guest as they stand."""


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What a session is opened for."""

    run_id: str
    step_id: str
    attempt: int
    limits: Limits = field(default_factory=Limits)
    modules: tuple[GuestModule, ...] = ()
    seed: int = 0
    """Seeds `random` and `numpy.random`; the hash seed is the same in every sandbox."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Further labels of the container."""


@dataclass(frozen=True, slots=True)
class GuestCall:
    """A tool call as the guest sent it: untrusted."""

    id: int
    """Unique within the session."""
    action_id: int | None
    """The action that runs while the call is made; None between actions."""
    name: str
    args: dict[str, JSON]


@dataclass(frozen=True, slots=True)
class GuestReply:
    """The host's answer to a tool call."""

    ok: bool
    value: JSON = None
    blob: bytes = b""
    """Bytes, given to the guest's code instead of `value` when not empty."""
    error: str = ""
    """Becomes the text of the ToolError that the guest's code sees."""
    end_action: bool = False
    """End the whole action cleanly, its state kept (a question to a person)."""


ToolHandler = Callable[[GuestCall], Awaitable[GuestReply]]
"""Answers tool calls; cancelled when the guest gives the call up. It must not raise."""


@dataclass(frozen=True, slots=True)
class Display:
    """Something that an action showed: a figure, a table, an image."""

    mime: str
    """image/png, image/jpeg, text/html, text/plain, text/markdown, application/json or svg."""
    data: bytes


@dataclass(frozen=True, slots=True)
class GuestError:
    """The exception that ended an action."""

    name: str
    """The exception's class."""
    message: str
    traceback: str
    """The action's own frames, without colours."""


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What came back from one action."""

    status: Status
    """timeout: stopped by the clock; exit: SystemExit was raised; ended: a tool's reply ended
    the action; died: its process was lost for another reason."""
    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    """repr of the last expression, or a summary of its type, shape and size; None: no value."""
    value_type: str | None = None
    error: GuestError | None = None
    displays: tuple[Display, ...] = ()
    files: tuple[str, ...] = ()
    """Workspace files that the action created or changed."""
    ms: float = 0.0
    """Run time inside the sandbox, milliseconds, tool calls included."""
    dropped_bytes: int = 0
    """Output that was neither forwarded nor kept."""
    state_lost: bool = False
    """The variables of all earlier actions are gone."""
    oom: bool = False
    """The memory limit killed a process during the action."""
    why: str = ""
    """What happened, in a few words: for every status but ok and error, and for a lost state."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A session variable on its way to another session."""

    kind: Literal["json", "pickle", "missing", "failed"]
    """pickle: `export_pickle` reads it, if it can be pickled at all."""
    value: JSON = None
    """The value, when kind is json."""
    type_name: str = ""
    summary: str = ""
    """Type, shape and size in one short line."""
    error: str = ""
    """Why there is no value, when kind is missing or failed."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A regular file in the workspace."""

    name: str
    """Relative path with forward slashes, free of control characters and `..`."""
    bytes: int
    mtime: datetime
    """UTC."""


class Session(Protocol):
    """One lasting Python process in a sandbox. Calls are served one after the other.

    Every method but `close` raises SessionClosed when the sandbox is gone.
    """

    generation: int
    """Counts the Python processes of the session from 1; a new one means that state was lost."""
    where: str
    """The container's short id, or the process id of an unsafe-host session."""
    engine_lost: bool
    """Once it is closed: whether the engine that held it gave no answer any more."""

    @property
    def gone(self) -> str:
        """Why the sandbox is gone, in a few words; empty: it is there."""
        ...

    async def run(
        self, code: str, *, timeout: float | None = None, on_output: OnOutput | None = None
    ) -> ActionResult:
        """Run one action. `timeout` in seconds, None: the limits' action_seconds.

        Cancelling it interrupts the action and waits until it has stopped.
        A sandbox that dies meanwhile gives status "died", never an exception.
        """
        ...

    async def interrupt(self) -> None:
        """Stop the running action, its state kept if it stops within the grace."""
        ...

    async def reset(self) -> None:
        """Start the Python process anew; workspace files stay."""
        ...

    async def bind(self, values: Mapping[str, JSON]) -> None:
        """Make variables of the values, and put them into the dict `inputs`. Raises BindFailed."""
        ...

    async def export(self, names: Iterable[str]) -> dict[str, Exported]:
        """What the variables are, with their values where these are JSON of up to 64 KB."""
        ...

    def export_pickle(self, name: str, max_bytes: int) -> AsyncIterator[bytes]:
        """A variable as a pickle, opaque to the host, in pieces of up to 1 MiB.

        The session is busy until it is read to the end or closed. Raises BindFailed.
        """
        ...

    async def import_pickle(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Unpickle, inside the guest, into a variable and `inputs`. Raises BindFailed."""
        ...

    async def read_file(self, path: str, max_bytes: int) -> bytes:
        """A regular workspace file. Raises FileNotFoundError, FileTooLarge, TransferFailed."""
        ...

    async def write_file(self, path: str, data: bytes) -> None:
        """Write a workspace file, its folders included. Raises TransferFailed."""
        ...

    async def list_files(self) -> tuple[FileInfo, ...]:
        """The regular files of the workspace, at most 10,000, links and devices left out."""
        ...

    def export_workspace(self) -> AsyncIterator[bytes]:
        """The workspace's regular files as a tar stream, in pieces. Raises TransferFailed."""
        ...

    async def import_workspace(self, chunks: AsyncIterator[bytes]) -> tuple[str, ...]:
        """Unpack a tar stream into the workspace; links and devices are refused.

        A file that is there and was changed later stays. Returns the names of files that had no
        place: a folder is there, or a file where their folder should be. Raises TransferFailed.
        """
        ...

    async def close(self) -> None:
        """End the sandbox. Never raises; may be called twice."""
        ...


class Launcher(Protocol):
    """Opens sessions of one kind."""

    @property
    def kind(self) -> Literal["docker", "unsafe-host"]:
        """How its sandboxes are isolated; unsafe-host: not at all."""
        ...

    async def open(self, spec: SessionSpec, tools: ToolHandler) -> Session:
        """A session in a fresh sandbox, from the warm pool when it has one.

        Raises EngineMissing, ImageMissing, SandboxError.
        """
        ...

    async def close(self) -> None:
        """Drain the pool and end what is left."""
        ...
