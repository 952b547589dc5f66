"""Where the guest runs: what the launcher said through the environment."""

from __future__ import annotations

import os
import sys


class Place:
    """The surroundings of this guest."""

    def __init__(
        self,
        contained: bool,
        uid: int | None,
        workspace: str,
        tool_address: str,
        preload: tuple[str, ...],
        packages: tuple[str, ...] = (),
    ) -> None:
        self.contained = contained
        """True in a container of its own, where the supervisor is PID 1 and may kill everything."""
        self.uid = uid
        """The user that the worker becomes; None: it stays who it is."""
        self.workspace = workspace
        self.tool_address = tool_address
        """Unix socket of the tool calls; abstract where the system has such names."""
        self.preload = preload
        """Modules that the supervisor imports once, so that every worker has them for free."""
        self.packages = packages
        """Folders of installed packages; empty: Python has found its own."""


def read_place() -> Place:
    """Read the environment once, and leave none of it to the actions."""
    contained = os.environ.pop("PLANNER_CONTAINED", "") == "1"
    workspace = os.environ.pop("PLANNER_WORKSPACE", "/workspace")
    uid = os.environ.pop("PLANNER_UID", "")
    preload = os.environ.pop("PLANNER_PRELOAD", "")
    packages = os.environ.pop("PLANNER_PACKAGES", "")
    name = "planner-tools" if contained else f"planner-tools-{os.urandom(8).hex()}"
    address = f"\0{name}" if sys.platform == "linux" else os.path.join(workspace, f"../{name}")
    return Place(
        contained=contained,
        uid=int(uid) if uid else None,
        workspace=workspace,
        tool_address=address,
        preload=tuple(name for name in preload.split(",") if name),
        packages=tuple(folder for folder in packages.split(":") if os.path.isdir(folder)),
    )
