"""The one exception hierarchy: what a person reads when something cannot go on.

An error carries two short texts: what failed and why (`message`), and what to do next (`hint`).
The command line prints them in one line and exits with `exit_code`; a traceback belongs in the
log file. Exit codes are those of the command line's contract: 1 the task failed, 2 bad input,
4 a needed part is missing, 5 a person's answer is awaited.
"""

from __future__ import annotations

UNAVAILABLE = frozenset(
    {"refused", "dns", "tls", "auth", "forbidden", "not_found", "unknown_model", "quota"}
)
"""Kinds of a model's failure that a person must mend: the model is a missing part, then."""


class PlannerError(Exception):
    """Something that a person can act on."""

    exit_code: int = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        """What failed and why, without a trailing full stop."""
        self.hint = hint
        """What to do next; empty when the message already says it."""

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class BadInput(PlannerError):
    """The person's input cannot be used as it is."""

    exit_code = 2


class NotFound(BadInput):
    """A named run, task, source or artifact does not exist."""


class SettingsError(BadInput):
    """A settings file, variable or flag holds a key or a value that is not known."""


class Missing(PlannerError):
    """A part that the work needs is not there."""

    exit_code = 4


class EngineMissing(Missing):
    """No container engine answers, or it may not be used."""


class ImageMissing(Missing):
    """The sandbox image is not there."""


class ModelMissing(Missing):
    """No model is configured for a role, or its server does not answer."""


class KeyMissing(Missing):
    """A provider's key is absent or was refused."""


class HistoryError(Missing):
    """The history cannot be read or written: locked, corrupt, full, read-only or newer."""


class FenceLost(PlannerError):
    """Another driver holds the run now, so this one may append nothing more."""


class SandboxError(PlannerError):
    """The sandbox could not start, or ended without being told to."""
