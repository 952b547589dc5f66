"""Where the guest runs: what the launcher said through the environment."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The surroundings of this guest."""

    contained: bool
    """True in a container of its own, where the supervisor is PID 1 and may kill everything."""
    uid: int | None
    """The user that the worker becomes; None: it stays who it is."""
    workspace: str
    tool_address: str
    """Unix socket of the tool calls; abstract where the system has such names."""
    preload: tuple[str, ...]
    """Modules that the supervisor imports once, so that every worker has them for free."""


def read_place() -> Place:
    """Read the environment once, and leave none of it to the actions."""
    contained = os.environ.pop("PLANNER_CONTAINED", "") == "1"
    workspace = os.environ.pop("PLANNER_WORKSPACE", "/workspace")
    uid = os.environ.pop("PLANNER_UID", "")
    preload = os.environ.pop("PLANNER_PRELOAD", "")
    name = "planner-tools" if contained else f"planner-tools-{secrets.token_hex(8)}"
    address = f"\0{name}" if sys.platform == "linux" else os.path.join(workspace, f"../{name}")
    return Place(
        contained=contained,
        uid=int(uid) if uid else None,
        workspace=workspace,
        tool_address=address,
        preload=tuple(name for name in preload.split(",") if name),
    )
