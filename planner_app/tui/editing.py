"""Lets a person edit a proposed plan in their own editor; what they wrote is never lost.

Without Textual, so that the command line uses it too.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from planner_app.domain.plan import Plan
    from planner_app.domain.state import RunState

_USUAL = ("sensible-editor", "nano", "vim", "vi")
HEADER = """\
# The plan of run {run_id}, yours to change. Save and close to approve it as it stands then.
# Empty the file to approve nothing. Lines that begin with # are left out.
"""


def named_editor(env: Mapping[str, str]) -> list[str]:
    """The editor that the environment names; empty: it names none. Raises BadInput."""
    named = env.get("VISUAL") or env.get("EDITOR") or ""
    try:
        return shlex.split(named)
    except ValueError:
        raise BadInput(f"the editor {named!r} cannot be read", "set EDITOR") from None


def editor_of(env: Mapping[str, str]) -> list[str]:
    """The command of the person's editor. Raises BadInput when there is none."""
    if named := named_editor(env):
        return named
    for name in _USUAL:
        if found := shutil.which(name, path=env.get("PATH")):
            return [found]
    raise BadInput("there is no editor", "set EDITOR, or use: planner approve RUN --plan FILE")


class PlanFile:
    """The file in which a run's plan is edited; an edit that cannot run stays there."""

    def __init__(self, folder: Path, state: RunState) -> None:
        """`folder` is created. Raises BadInput when the run proposes no plan."""
        from planner_app.domain.plan_edit import plan_text

        if state.proposed is None:
            raise BadInput(f"run {state.run_id} proposes no plan now")
        self._state = state
        self._proposed = state.proposed
        self.path = folder / f"{state.run_id}.json"
        if not self.path.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.write(HEADER.format(run_id=state.run_id) + plan_text(state.proposed) + "\n")

    def text(self) -> str:
        """What is written in it. Raises BadInput."""
        return read_text(self.path)

    def write(self, text: str) -> None:
        """Keep a text, for its owner only."""
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)

    def read(self) -> Plan:
        """What the person wrote. Raises BadInput that says what is wrong and where it is kept."""
        from planner_app.domain.plan_edit import read_plan

        text = self.text()
        lines = (line.strip() for line in text.splitlines())
        if all(not line or line.startswith("#") for line in lines):
            self.path.unlink()
            raise BadInput("the file is empty, so nothing was approved")
        try:
            return read_plan(text, self._state)
        except BadInput as error:
            kept = f"your edit is kept; go on with: planner approve {self._state.run_id} --edit"
            raise BadInput(error.message, f"{kept} ({self.path})") from None

    def done(self) -> None:
        """The plan is approved: the file has served."""
        self.path.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """A file's text. Raises BadInput."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"the plan {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"the plan {path} is no text in UTF-8") from None


def edit(file: PlanFile, env: Mapping[str, str]) -> Plan:
    """Opens the editor, waits for it, and reads what was written. Raises BadInput."""
    command = [*editor_of(env), str(file.path)]
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise BadInput(f"the editor {command[0]} did not start: {error.strerror}") from None
    if code != 0:
        raise BadInput(
            f"the editor ended with {code}, so nothing was approved",
            f"what you wrote is in {file.path}",
        )
    return file.read()
