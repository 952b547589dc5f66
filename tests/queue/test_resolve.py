"""Naming a run: by its id, its task, the beginning of one, or `last`."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner_app.domain.errors import BadInput, NotFound
from planner_app.domain.summary import RunSummary
from planner_app.history import History, NewRun, NewTask
from planner_app.queue import Queue

SUMMARY = RunSummary(status="queued", phase="queued", title="t")


@pytest.fixture
def runs(history: History) -> None:
    """Two tasks; the second has two runs."""
    sha = history.put_blob(b"t")
    for task, run, folder in (
        ("t_tttttttttt", "r_abcdefghij", "/one"),
        ("t_uuuuuuuuuu", "r_abczzzzzzz", "/two"),
        ("t_uuuuuuuuuu", "r_mmmmmmmmmm", "/two"),
    ):
        known = run == "r_mmmmmmmmmm"
        new_task = None if known else NewTask(task, "t", sha)
        history.create_run(NewRun(run, task, SUMMARY, folder=folder), [], task=new_task)


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("r_abcdefghij", "r_abcdefghij"),
        ("R_ABCDEFGHIJ ", "r_abcdefghij"),
        ("r_abcd", "r_abcdefghij"),
        ("abcz", "r_abczzzzzzz"),
        ("t_uuuuuuuuuu", "r_mmmmmmmmmm"),
        ("t_u", "r_mmmmmmmmmm"),
        ("tttt", "r_abcdefghij"),
        ("last", "r_mmmmmmmmmm"),
    ],
)
def test_a_run_is_found_by_what_people_type(queue: Queue, runs: None, text: str, run: str) -> None:
    assert queue.resolve(text) == run


def test_last_means_this_folder_first(queue: Queue, runs: None) -> None:
    assert queue.resolve("last", Path("/one")) == "r_abcdefghij"
    assert queue.resolve("last", Path("/elsewhere")) == "r_mmmmmmmmmm"


def test_what_fits_several_is_told(queue: Queue, runs: None) -> None:
    with pytest.raises(BadInput, match="fits 2 runs: r_abcdefghij, r_abczzzzzzz"):
        queue.resolve("abc")


@pytest.mark.parametrize("text", ["r_abcdefghix", "xbcdefghij"])
def test_what_fits_none_is_told_with_the_nearest(queue: Queue, runs: None, text: str) -> None:
    with pytest.raises(NotFound, match="did you mean r_abcdefghij"):
        queue.resolve(text)


@pytest.mark.parametrize("text", ["%", "r_%", "_", "'", "x" * 5000, "r_\x00"])
def test_odd_names_find_nothing(queue: Queue, runs: None, text: str) -> None:
    with pytest.raises(NotFound):
        queue.resolve(text)


def test_an_empty_history_or_name_is_told(queue: Queue) -> None:
    with pytest.raises(NotFound, match="no run yet"):
        queue.resolve("last")
    with pytest.raises(BadInput, match="no run was named"):
        queue.resolve(" ")
