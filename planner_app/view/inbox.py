"""The task list: what a row says, and in which order rows stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from planner_app.view import figures
from planner_app.view.clean import clip, one_line, pad, width
from planner_app.view.status import ENDED, FAILED, NEEDS_YOU, WORKING, Look, run_look
from planner_app.view.wrap import Line, Span

if TYPE_CHECKING:
    from planner_app.domain.summary import RunSummary


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One run in the inbox."""

    run_id: str
    task_id: str
    title: str
    status: str
    created_at: datetime
    ended_at: datetime | None = None
    steps_done: int = 0
    steps_total: int = 0
    usd: float = 0.0
    unpriced: int = 0
    tokens: int = 0
    active_seconds: float = 0.0
    note: str = ""
    """What it needs, why it failed, or the first words of its answer."""
    example: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def look(self) -> Look:
        """Glyph, word and tone."""
        return run_look(self.status)

    @property
    def steps(self) -> str:
        """`2/5`, or nothing before there is a plan."""
        return f"{self.steps_done}/{self.steps_total}" if self.steps_total else ""

    @property
    def cost(self) -> str:
        """Short: `$0.02`, `$0.02+` with unpriced calls, nothing before anything was spent."""
        if not (self.usd or self.unpriced):
            return ""
        return figures.usd(self.usd) + ("+" if self.unpriced else "")

    @property
    def works(self) -> bool:
        """Whether something happens in it now."""
        return self.status in WORKING


def row_of(
    run_id: str, task_id: str, created_at: datetime, summary: RunSummary, tags: Iterable[str] = ()
) -> TaskRow:
    """The row of a run from its newest summary."""
    ended = summary.ended_at
    note = summary.needs or (summary.answer_head if summary.status == "done" else summary.reason)
    return TaskRow(
        run_id=run_id,
        task_id=task_id,
        title=one_line(summary.title),
        status=summary.status,
        created_at=created_at,
        ended_at=datetime.fromisoformat(ended) if ended else None,
        steps_done=summary.steps_done,
        steps_total=summary.steps_total,
        usd=summary.usd,
        unpriced=summary.unpriced_calls,
        tokens=summary.tokens,
        active_seconds=summary.active_seconds,
        note=one_line(note),
        example=summary.example,
        tags=tuple(tags),
    )


def inbox_order(rows: Iterable[TaskRow]) -> list[TaskRow]:
    """Needs you, failed, running (queued, paused), done (partial), cancelled; newest first.

    Within the running ones those at work stand before those that wait.
    """

    def key(row: TaskRow) -> tuple[int, int, float, str]:
        waits = 0 if row.status in WORKING or row.status in ENDED else 1
        return (row.look.place, waits, -(row.ended_at or row.created_at).timestamp(), row.run_id)

    return sorted(rows, key=key)


def inbox_lines(rows: Sequence[TaskRow], now: datetime, cells: int) -> list[tuple[int, Line]]:
    """The list on a screen: (place of the row, line). Some rows say why on a second line."""
    lines: list[tuple[int, Line]] = []
    wide = cells >= 90
    for place, row in enumerate(rows):
        figures_said = _columns(row, now, wide)
        lead: list[Span] = [
            (f"{row.look.glyph} ", row.look.tone),
            (f"{row.look.word:<11}", row.look.tone),
        ]
        room = cells - 13 - width(figures_said) - 1
        title = pad(row.title or "(no text)", max(8, room))
        lines.append((place, (*lead, (title, "text"), (f" {figures_said}", "dim"))))
        if row.note and row.look.place in (NEEDS_YOU, FAILED):
            note = clip(row.note, cells - 14)
            lines.append(
                (
                    place,
                    ((" " * 13, "text"), (note, "ask" if row.look.place == NEEDS_YOU else "dim")),
                )
            )
    return lines


def _columns(row: TaskRow, now: datetime, wide: bool) -> str:
    age = figures.age(row.ended_at or row.created_at, now)
    if not wide:
        return f"{row.steps:>5} {age:>7}"
    return f"{row.steps:>5}  {row.cost:>9}  {age:>10}"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many runs want what; for the terminal's title."""

    needs_you: int = 0
    failed: int = 0
    working: int = 0
    waiting: int = 0
    """Queued or paused."""

    def __str__(self) -> str:
        said = (
            [f"{self.needs_you} need{'s' if self.needs_you == 1 else ''} you"]
            if self.needs_you
            else []
        )
        said += [f"{self.working} working"] if self.working else []
        said += [f"{self.waiting} waiting"] if self.waiting else []
        return ", ".join(said)


def counts(rows: Iterable[TaskRow]) -> Counts:
    """The counts over all rows."""
    needs = failed = working = waiting = 0
    for row in rows:
        place = row.look.place
        needs += place == NEEDS_YOU
        failed += place == FAILED
        working += row.works
        waiting += row.status in ("queued", "paused")
    return Counts(needs, failed, working, waiting)
