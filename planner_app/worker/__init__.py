"""The background process: claims runs from the queue and drives them, several at once."""

from planner_app.worker.loop import Drive, OpenDrive, Worker
from planner_app.worker.process import run_worker

__all__ = ["Drive", "OpenDrive", "Worker", "run_worker"]
