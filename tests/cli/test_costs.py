"""What `show` says of money."""

from __future__ import annotations

from datetime import UTC, datetime

from planner_app.cli.lists import cost_lines
from planner_app.domain.spent import Spent
from planner_app.domain.state import RunState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _state(spent: Spent) -> RunState:
    return RunState(run_id="r_1", task_id="t_1", text="x", created_at=NOW, last_at=NOW, spent=spent)


def test_each_role_model_and_step_that_cost_something_is_named() -> None:
    spent = Spent(
        usd=0.3,
        by_role={"planner": 0.2, "executor": 0.1, "checker": 0.0},
        by_model={"a/p": 0.2, "a/e": 0.1},
        by_step={"load": 0.1},
        tokens_by_role={"planner": 3000, "executor": 500},
    )
    lines = cost_lines(_state(spent))
    assert lines[1] == "Cost: $0.30"
    assert lines[2].split("  ")[-1] == " planner $0.20 (3,000 tok); executor $0.10 (500 tok)"
    assert "load $0.10" in lines[4]


def test_unpriced_calls_are_never_counted_as_nothing() -> None:
    spent = Spent(
        usd=0.2,
        unpriced_calls=2,
        by_role={"planner": 0.2, "executor": 0.0},
        unpriced_by_role={"executor": 2},
    )
    lines = cost_lines(_state(spent))
    assert lines[1] == "Cost: at least $0.20, 2 calls unpriced"
    assert "executor at least $0, 2 calls unpriced" in lines[2]


def test_a_run_that_cost_nothing_has_no_such_section() -> None:
    assert cost_lines(_state(Spent(by_role={"planner": 0.0}))) == []
