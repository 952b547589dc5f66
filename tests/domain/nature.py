"""What kind of world a simulated run lives in: how its models, people and processes behave."""

from __future__ import annotations

import random
from dataclasses import dataclass

from planner_app.domain.catalogue import BudgetLimits
from planner_app.domain.sizes import cut


@dataclass(frozen=True, slots=True)
class Nature:
    """Chances, each between 0 and 1 unless a field says otherwise."""

    name: str
    budgets: str = "rich"
    """rich, poor or any."""
    code: float = 0.5
    """Of an executor's turn that acts."""
    report: float = 0.4
    """Of one that reports; the rest is refused."""
    refusals: tuple[str, ...] = ("truncated", "silent", "bad_report", "evidence")
    verdicts: tuple[str, ...] = ("done",) * 9 + ("failed", "blocked", "surprise")
    progress: float = 0.9
    keys: str = "fresh"
    """How alike an executor's turns are: fresh, few, same, error or cycle."""
    asks: float = 0.0
    """Of an action that asks the person."""
    bad_plan: float = 0.1
    plan_answers: float = 0.05
    plan_asks: float = 0.05
    sizes: tuple[int, ...] = (1, 2, 3, 5)
    """Numbers of steps."""
    actions: tuple[int, ...] = (3, 12)
    """`max_actions` of steps."""
    unreadable: float = 0.1
    decisions: tuple[str, ...] = ("continue", "continue", "replan", "answer", "ask_user")
    check_ok: float = 0.8
    cited: float = 0.8
    """Of an answer whose claims have sources that exist."""
    doubted: float = 0.0
    """Of a usable reply that one further call may better."""
    dies: float = 0.01
    """Of a process, per tick."""
    breaks: float = 0.01
    """Of a model call that fails for good."""
    speaks: float = 0.02
    """Of a person who says something unasked, per tick."""
    approve: tuple[str, ...] = ("never", "outside")
    no_input: float = 0.2
    solo: float = 0.1
    schema: float = 0.1
    fat: bool = False
    """Whether every text is as long as its event can hold, in a script of three-byte letters."""
    hasty: float = 0.3
    """Of a driver that gives up at the first shortage without waiting for calls under way."""


WILD = Nature(
    "wild",
    budgets="any",
    code=0.5,
    report=0.3,
    verdicts=("done", "done", "done", "failed", "blocked", "surprise"),
    progress=0.8,
    keys="few",
    asks=0.1,
    bad_plan=0.3,
    plan_answers=0.1,
    plan_asks=0.1,
    sizes=(1, 1, 2, 3, 5, 13),
    actions=(1, 3, 12),
    unreadable=0.2,
    decisions=("continue", "replan", "answer", "ask_user"),
    check_ok=0.6,
    cited=0.4,
    doubted=0.1,
    dies=0.03,
    breaks=0.02,
    speaks=0.05,
    approve=("never", "outside", "plan", "actions"),
    no_input=0.3,
    solo=0.25,
)
NATURES = (
    WILD,
    Nature("diligent", bad_plan=0.0, verdicts=("done",), progress=1.0, check_ok=1.0, cited=1.0),
    Nature("simple", sizes=(1,), verdicts=("done",), progress=1.0, plan_answers=0.3),
    Nature("poor", budgets="poor", verdicts=("done",), sizes=(1, 2, 3)),
    Nature("looping", keys="same", code=0.9, report=0.05),
    Nature("erring", keys="error", code=0.9, report=0.05),
    Nature("circling", keys="cycle", code=0.95, report=0.03),
    Nature("silent", code=0.2, report=0.1, refusals=("silent", "bad_report")),
    Nature("endless", code=0.95, report=0.0, actions=(1, 2, 3)),
    Nature("stalling", verdicts=("done", "done", "failed"), progress=0.2, sizes=(5, 8)),
    Nature("blocked", verdicts=("blocked", "surprise", "done"), decisions=("continue",)),
    Nature("replanning", verdicts=("surprise", "done"), decisions=("replan",), sizes=(2, 3)),
    Nature("long", verdicts=("done",), progress=1.0, sizes=(8, 12), code=0.2, report=0.8),
    Nature(
        "asking",
        asks=0.5,
        plan_asks=0.5,
        approve=("plan", "actions"),
        no_input=0.1,
        verdicts=("done", "done", "blocked"),
        decisions=("ask_user", "continue"),
        speaks=0.1,
    ),
    Nature("unreadable", unreadable=0.7, cited=0.3, check_ok=0.4),
    Nature("planless", bad_plan=0.9),
    Nature("doubting", doubted=0.7, dies=0.1, breaks=0.1, budgets="any", speaks=0.05),
    Nature("crashing", dies=0.2, asks=0.1),
    Nature("broken", breaks=0.15),
    Nature(
        "fat",
        fat=True,
        asks=0.2,
        plan_asks=0.3,
        verdicts=("done", "done", "failed", "blocked", "surprise"),
        decisions=("continue", "replan", "answer", "ask_user"),
        check_ok=0.5,
        cited=0.4,
        breaks=0.03,
        speaks=0.05,
        sizes=(1, 3, 12),
        approve=("never", "plan"),
    ),
)


def limits(nature: Nature, rng: random.Random) -> BudgetLimits:
    """What the run may spend."""
    if nature.budgets == "rich":
        return BudgetLimits(
            usd=rng.choice([None, 20.0]),
            tokens=None,
            seconds=rng.choice([None, 36_000.0]),
            calls=rng.choice([None, 300]),
            actions=rng.choice([None, 300]),
        )
    if nature.budgets == "poor":
        scarce = rng.choice(["usd", "tokens", "seconds", "calls", "actions"])
        amount = {
            "usd": rng.choice([0.01, 0.05, 0.1]),
            "tokens": rng.randint(500, 40_000),
            "seconds": float(rng.randint(1, 60)),
            "calls": rng.randint(1, 16),
            "actions": rng.randint(0, 6),
        }[scarce]
        none = {"usd": None, "tokens": None, "seconds": None, "calls": None, "actions": None}
        return BudgetLimits.model_validate(none | {scarce: amount})
    return BudgetLimits(
        usd=rng.choice([None, 0.05, 0.5, 2.0]),
        tokens=rng.choice([None, 5_000, 50_000, 500_000]),
        seconds=rng.choice([None, 30.0, 1800.0]),
        calls=rng.choice([None, 1, 3, 5, 8, 20, 60, 300]),
        actions=rng.choice([None, 0, 1, 5, 100]),
    )


def words(nature: Nature, rng: random.Random, short: str, most: int) -> str:
    """The short text, or in a fat world one of about `most` bytes as JSON."""
    if not nature.fat:
        return short
    letter = rng.choice(["漢", "é", "\n", '"', "\x00", "x"])
    return short + cut(letter * most, most - 50)
