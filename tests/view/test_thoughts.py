"""How a reply was thought out is said in words, and what cannot be measured has no figures."""

from __future__ import annotations

import pytest

from planner_app.domain.catalogue import ModelFinished
from planner_app.domain.events import Event
from planner_app.view.describe import what
from planner_app.view.thoughts import in_full, in_short
from tests.view.story import START

WANDERED = {
    "measurable": True, "switches": 7, "weak": 2, "per_1k": 9.8, "mean_tokens": 89.4,
    "short_share": 0.923, "underthinking": True, "language": "en", "language_share": 0.5,
}  # fmt: skip


def test_all_that_was_measured_is_told_and_that_it_is_a_proxy() -> None:
    switches, language = in_full(WANDERED)
    assert switches == (
        "thought switches: 7 (9.8 per 1k tokens, 89 tokens a thought, 92% in short ones; a proxy, "
        "flagged), 2 hesitations"
    )
    assert language == "thoughts in en: 50%"
    assert in_short(WANDERED) == "7 switches (9.8 per 1k, flagged)"


@pytest.mark.parametrize(
    ("why", "full", "short"),
    [
        ("hidden", "thought switches: not measurable (hidden)", "switches not measurable"),
        ("summarised", "thought switches: not measurable (summarised)", "switches not measurable"),
        ("it thought nothing aloud",
         "thought switches: not measurable (it thought nothing aloud)", ""),
        ("", "thought switches: not measurable", ""),
    ],
)  # fmt: skip
def test_hidden_thoughts_are_not_measurable_and_never_nothing(
    why: str, full: str, short: str
) -> None:
    thinking = {"measurable": False, "why": why}
    assert in_full(thinking) == (full,)
    assert in_short(thinking) == short


def test_a_line_of_the_trace_tells_the_switches_of_its_call() -> None:
    ended = ModelFinished(
        role="planner", purpose="plan", conversation="planner/1", model="m", turn=1, message="x",
        head="The plan.", ms=2300.0, thinking=WANDERED,
    )  # fmt: skip
    event = Event.of(ended.draft(), "r_1", 1, START)
    assert what(event) == "planner 2.3 s 7 switches (9.8 per 1k, flagged) The plan."
