"""Which entries differ between two views of one run, without comparing them all."""

from __future__ import annotations

from planner_app.view.run_view import RunView


def changed_places(before: RunView, after: RunView) -> list[int]:
    """Where in the timeline the events after `before` made or changed entries, in order."""
    places = {waiting.index for waiting in (*before.open, *after.open)}
    places |= {question.index for question in before.questions}
    places |= {place for _step, place in after.reports}
    places |= {answer.place for answer in (before.answer, after.answer) if answer}
    places |= set(range(len(before.timeline), len(after.timeline)))
    return [place for place in sorted(places) if after.timeline[place].last_seq > before.seq]


def differing_places(shown: RunView, wanted: RunView) -> list[int]:
    """Where an entry of `wanted` is not what `shown` has, whichever of the two is later."""
    if wanted.seq >= shown.seq:
        return changed_places(shown, wanted)
    return [p for p in changed_places(wanted, shown) if p < len(wanted.timeline)]
