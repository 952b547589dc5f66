"""The host side of the sandbox: where the code that a model wrote is run, and only there."""

from __future__ import annotations

from planner_app.sandbox.engine import remove_leftovers
from planner_app.sandbox.limits import Limits
from planner_app.sandbox.opening import open_launcher
from planner_app.sandbox.options import SandboxOptions
from planner_app.sandbox.session import (
    JSON,
    ActionResult,
    BindFailed,
    Display,
    Exported,
    FileInfo,
    FileTooLarge,
    GuestCall,
    GuestError,
    GuestModule,
    GuestReply,
    Launcher,
    Session,
    SessionClosed,
    SessionSpec,
    ToolHandler,
    TransferFailed,
)

__all__ = [
    "JSON",
    "ActionResult",
    "BindFailed",
    "Display",
    "Exported",
    "FileInfo",
    "FileTooLarge",
    "GuestCall",
    "GuestError",
    "GuestModule",
    "GuestReply",
    "Launcher",
    "Limits",
    "SandboxOptions",
    "Session",
    "SessionClosed",
    "SessionSpec",
    "ToolHandler",
    "TransferFailed",
    "open_launcher",
    "remove_leftovers",
]
