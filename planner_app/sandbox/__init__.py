"""The host side of the sandbox: where the code that a model wrote is run, and only there."""

from __future__ import annotations

from planner_app.sandbox.limits import Limits
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
    "Session",
    "SessionClosed",
    "SessionSpec",
    "ToolHandler",
    "TransferFailed",
]
