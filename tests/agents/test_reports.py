"""A report of any length in any script is cut to what its events can hold."""

import json

import pytest

from planner_app.agents.executor import Reported, read_executor
from planner_app.domain.answers import fitted_report
from planner_app.domain.catalogue import EvidenceChecked, StepReported
from planner_app.domain.citations import find_quote
from planner_app.domain.state import Attempt
from tests.domain.story import Story


def attempt() -> Attempt:
    return Story().plan("a").state.steps["a"].attempts[-1]


@pytest.mark.parametrize("letter", ["x", "\u6f22", '"', "\U0001f600", "\n"])
def test_the_longest_report_fits_into_its_events(letter: str) -> None:
    said = {
        "verdict": "done",
        "result": letter * 5_000,
        "evidence": [{"source_id": n, "quote": letter * 300} for n in range(1, 30)],
        "values": [f"{letter * 90}{n}" for n in range(20)],
        "artifacts": [letter * 300] * 30,
        "tried": [letter * 300] * 30,
        "next_hint": letter * 900,
    }
    read = read_executor(f"```report\n{json.dumps(said)}\n```", "stop", attempt())
    assert isinstance(read, Reported)
    handed = {
        name: {"kind": "json", "preview": letter * 400, "bytes": 9, "type": "str"}
        for name in read.report.values
    }
    report, values = fitted_report(read.report, handed)
    StepReported(report=report, values=values).draft()
    checks = [
        {"source_id": e.source_id, "quote": e.quote, "found": False, "reason": "r" * 60}
        for e in read.report.evidence
    ]
    EvidenceChecked(checks=checks, unsupported=20).draft()
    assert values.keys() == handed.keys()
    assert report.result.startswith(letter * 400)


@pytest.mark.parametrize("pieces", [1, 20])
def test_quotes_that_are_cut_still_stand_in_their_source(pieces: int) -> None:
    page = "The tower is three hundred and thirty metres tall in all, or 1,082.68 feet. " * 9
    evidence = [{"source_id": 1, "quote": page[n : n + 600]} for n in [0] * pieces]
    said = {"verdict": "done", "result": "so", "evidence": evidence}
    read = read_executor(f"```report\n{json.dumps(said)}\n```", "stop", attempt())
    assert isinstance(read, Reported)
    assert all(find_quote(page, piece.quote) for piece in read.report.evidence)
