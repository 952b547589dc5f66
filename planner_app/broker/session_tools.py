"""The host half of `tools/session.py`: what a run keeps for the person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from pydantic import JsonValue

from planner_app.broker.port import CallContext, ToolFailed, ToolRefused, ToolValue
from planner_app.broker.registry import HostFunction
from planner_app.domain.errors import PlannerError

WORKSPACE = PurePosixPath("/workspace")
MAX_ARTIFACT_BYTES = 50 * 2**20


def in_workspace(path: str) -> str:
    """A path as it stands below the workspace, where it does, and as the session lists it: with
    `_` for what a terminal or another system trips over."""
    place = PurePosixPath("".join(c if c.isprintable() and c != "\\" else "_" for c in path))
    return str(place.relative_to(WORKSPACE) if place.is_relative_to(WORKSPACE) else place)


async def save_artifact(ctx: CallContext, path: str, title: str) -> ToolValue:
    """Keep a workspace file under its place in the workspace."""
    place = PurePosixPath(in_workspace(path))
    name = place.name if place.is_absolute() or ".." in place.parts else str(place)
    if name in ("", ".", ".."):
        raise ToolRefused("arguments", f"save_artifact takes the path of a file, not {path[:80]!r}")
    try:
        data = await ctx.read_file(str(place), MAX_ARTIFACT_BYTES)
    except FileNotFoundError:
        raise ToolFailed("not_found", f"there is no file {path[:200]!r} in the workspace") from None
    except (OSError, PlannerError) as error:
        limit = f"an artifact has at most {MAX_ARTIFACT_BYTES // 2**20} MB"
        raise ToolFailed(
            "unreadable", f"cannot keep {path[:200]!r}: {error}", hint=limit
        ) from error
    title = " ".join(title.split())[:200] or name
    ctx.save_artifact(name, title, data)
    value: dict[str, JsonValue] = {"name": name, "title": title, "bytes": len(data)}
    return ToolValue(value, f"kept {name} ({len(data):,} bytes)")


FUNCTIONS: Mapping[str, HostFunction] = {"save_artifact": save_artifact}
"""By the names of the stubs. `ask_user` is the engine's own."""
