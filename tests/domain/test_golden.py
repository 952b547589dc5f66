"""The logs that released versions wrote are read as they were meant."""

import json
from pathlib import Path
from typing import Any

import pytest

from planner_app.domain.catalogue import TYPES, upcast
from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from planner_app.domain.moves import next_moves

LOGS = sorted(Path(__file__).parent.glob("golden/v*.jsonl"))


def events_of(log: Path) -> list[Event]:
    lines = log.read_text(encoding="utf-8").splitlines()
    return [Event.model_validate_json(line) for line in lines]


def differences(expected: Any, found: Any, where: str = "state") -> list[str]:
    """Where what was recorded differs from what is found; fields that came later may be more."""
    if isinstance(expected, dict) and isinstance(found, dict):
        missing = [f"{where}.{key} is missing" for key in expected.keys() - found.keys()]
        shared = expected.keys() & found.keys()
        return missing + [
            d for key in shared for d in differences(expected[key], found[key], f"{where}.{key}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [d for i, (e, f) in pairs for d in differences(e, f, f"{where}[{i}]")]
    return [] if expected == found else [f"{where} is {found!r}, was {expected!r}"]


def test_there_is_a_golden_log() -> None:
    assert "v0.1.0.jsonl" in {log.name for log in LOGS}


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_released_log_folds_to_the_state_it_had(log: Path) -> None:
    expected = json.loads(log.with_suffix(".state.json").read_text(encoding="utf-8"))
    found = fold(events_of(log)).model_dump(mode="json")
    assert differences(expected, found) == []


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_each_prefix_of_a_released_log_can_be_driven_on(log: Path) -> None:
    events = events_of(log)
    for end in range(1, len(events) + 1):
        state = fold(events[:end])
        assert isinstance(next_moves(state, events[end - 1].at), list)


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_each_event_of_a_released_log_has_its_type_s_shape(log: Path) -> None:
    for event in events_of(log):
        TYPES[event.type].model_validate(upcast(event).data)


def test_every_type_of_event_stands_in_a_golden_log() -> None:
    found = {event.type for log in LOGS for event in events_of(log)}
    assert TYPES.keys() - found == set(), "add it to golden/make.py and write the log again"
