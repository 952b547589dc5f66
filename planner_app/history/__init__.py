"""The record of all runs: the event log, blobs, search, and news of changes."""

from planner_app.history.lists import ENDED, ArtifactRow, NewRun, NewTask, RunRow, SourceRow
from planner_app.history.search import Hit
from planner_app.history.store import History

__all__ = [
    "ENDED",
    "ArtifactRow",
    "History",
    "Hit",
    "NewRun",
    "NewTask",
    "RunRow",
    "SourceRow",
]
