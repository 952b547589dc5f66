"""What a list shows of a run: a few columns kept beside the log, so that lists never fold."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RunSummary(BaseModel):
    """The newest state of a run in short."""

    model_config = ConfigDict(frozen=True)

    status: str
    phase: str
    title: str
    """First line of the task, at most 120 characters."""
    example: str | None = None
    steps_done: int = 0
    steps_total: int = 0
    usd: float = 0.0
    """Sum of the known prices."""
    unpriced_calls: int = 0
    tokens: int = 0
    calls: int = 0
    actions: int = 0
    started_at: str | None = None
    """ISO time of the first claim; None: still queued."""
    ended_at: str | None = None
    active_seconds: float = 0.0
    """Time in which the run worked."""
    wake_at: str | None = None
    """ISO time at which something happens by itself, such as a question's deadline."""
    needs: str = ""
    """What a person is asked, in short; empty: nothing."""
    answer_head: str = ""
    reason: str = ""
