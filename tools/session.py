"""Talk to the person and keep results of this task."""

from typing import TypedDict

from planner import host


class Artifact(TypedDict):
    name: str
    title: str
    bytes: int


@host(timeout=60)
def save_artifact(path: str, title: str) -> Artifact:
    """Keep a workspace file (a chart, a table, a report) as a result that the person gets."""
    ...


@host(timeout=10)
def ask_user(question: str, default: str = "") -> None:
    """Ask the person something that only they know. Ends this action, the state is kept; the
    answer is the next message. default: what to assume if nobody answers."""
    ...


# ruff: noqa: PIE790
