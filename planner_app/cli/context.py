"""What every command starts from: environment, folder, streams, and late access to the parts."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from planner_app.history import History
    from planner_app.settings import Flag, Paths, Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One invocation of the program."""

    env: Mapping[str, str]
    cwd: Path

    @classmethod
    def of_process(cls) -> Context:
        """The real environment. BadInput when the working folder was removed."""
        try:
            return cls(os.environ, Path.cwd())
        except FileNotFoundError:
            raise BadInput("the working folder does not exist any more", "cd to one") from None

    def paths(self) -> Paths:
        """Where the files are, without reading any settings."""
        from planner_app.settings_paths import find_paths

        return find_paths(self.env)

    def settings(self, flags: Sequence[Flag] = ()) -> Settings:
        """All settings; reads the files."""
        from planner_app.settings import load_settings

        return load_settings(self.cwd, self.env, flags)

    def history(self, *, create: bool = True) -> History:
        """The history, opened. HistoryError when it cannot be."""
        from planner_app.history import History

        place = self.env.get("PLANNER_DATABASE_URL") or str(self.paths().database)
        return History.open(place, create=create)


def emit(value: object) -> None:
    """One JSON object on a line of stdout."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def say(text: str) -> None:
    """A line for the person, on stderr: stdout is for results only."""
    print(text, file=sys.stderr, flush=True)


def can_ask(*, stdin_taken: bool) -> bool:
    """Whether a person sits at a terminal. `stdin_taken`: stdin is data, so it says nothing."""
    if sys.stderr is None or not sys.stderr.isatty():
        return False
    if not stdin_taken:
        return sys.stdin is not None and sys.stdin.isatty()
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
    except OSError:
        return False
    return True


def require_terminal(what: str, without: str) -> None:
    """BadInput unless all three streams are a terminal; `without` says how to go on otherwise.

    The error output counts too: Textual draws on it, and sent elsewhere the screen stays empty.
    """
    streams = {"input": sys.stdin, "output": sys.stdout, "error output": sys.stderr}
    elsewhere = [name for name, stream in streams.items() if stream is None or not stream.isatty()]
    if elsewhere:
        names = " and ".join(elsewhere)
        raise BadInput(f"{what} needs a terminal as its {names}", f"without one: {without}")


def columns() -> int:
    """How wide a line may be: the terminal's width, or 120 where output is no terminal."""
    return shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 120


def one_line(text: str) -> str:
    """The text without line breaks and without characters that would steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def let_go_of_stdout() -> None:
    """The reader has gone: point stdout at nothing, or Python complains while it exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
