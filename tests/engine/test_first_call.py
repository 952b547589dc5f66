"""A budget that cannot pay for one call is refused before anything is delegated."""

from __future__ import annotations

import re

import pytest

from planner_app.domain.catalogue import BudgetLimits
from planner_app.domain.errors import BadInput
from planner_app.engine.first_call import check_budget
from planner_app.models.port import ModelSpec
from planner_app.models.prices import Price
from tests.models.calls import real_client

PRICED = ModelSpec(name="openai/mine")


def refused(**limits: float) -> str:
    """What is said of a budget; empty when it will do."""
    client = real_client(prices={"openai/mine": Price(10.0, 50.0)})
    try:
        check_budget(client, PRICED, BudgetLimits.model_validate(limits), "Say hello.")
    except BadInput as error:
        return str(error)
    return ""


@pytest.mark.parametrize("limits", [{"calls": 2}, {"tokens": 1000}, {"usd": 0.01}, {"usd": 0.0}])
def test_a_budget_that_is_too_small_names_one_that_will_do(limits: dict[str, float]) -> None:
    ((name, _),) = limits.items()
    said = refused(**limits)
    assert "is too small" in said
    enough = re.search(r"allow \$?([\d,.]+) or more", said)
    assert enough is not None
    assert refused(**{name: float(enough[1].replace(",", ""))}) == ""


def test_budgets_that_will_do_are_taken() -> None:
    assert refused(calls=3, tokens=100_000, usd=2.0) == ""
    assert refused() == ""
    check_budget(real_client(), ModelSpec(name="openai/unpriced"), BudgetLimits(usd=0.001), "x")
