"""What holds in every run, over tens of thousands of random ones.

`rules.py` has what must hold at each event; `nature.py` the worlds that the runs live in.
"""

import random
from collections import Counter

import pytest

from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from planner_app.domain.moves import next_moves
from planner_app.domain.state import RunState
from tests.domain.nature import NATURES, WILD, Nature
from tests.domain.rules import Rules, Unchanged, check_event
from tests.domain.simulation import World

WILD_BLOCKS, WILD_RUNS = 10, 1_700
SHORT = frozenset({"simple", "poor", "planless", "broken", "crashing"})
SHORT_RUNS, LONG_RUNS = 520, 40
"""Of each other nature, by how long its runs are."""


def _cut(events: list[Event], rng: random.Random) -> list[list[Event]]:
    """The events in batches of random sizes."""
    batches, rest = [], events
    while rest:
        size = rng.choice([1, 2, 7, len(rest)])
        batches.append(rest[:size])
        rest = rest[size:]
    return batches


def _check_reading(world: World) -> None:
    """However the log is written out, cut and read, it says the same."""
    for event in world.events:
        check_event(event)
    reread = [Event.model_validate_json(event.to_json()) for event in world.events]
    assert fold(reread) == world.state
    state: RunState | None = None
    for batch in _cut(reread, world.rng):
        state = fold(batch, state)
        state = RunState.model_validate_json(state.model_dump_json())
    assert state == world.state
    assert next_moves(world.state, world.now) == []


def _drive(nature: Nature, seeds: range, every: int) -> Counter[str]:
    """Run them all; of each `every` runs one is read in every way, and one watched for changes."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        rules = Rules(seen)
        careful = seed % every == 1
        world = World(seed, nature, Unchanged(rules) if careful else rules, careful=careful)
        try:
            world.run()
            if seed % every == 0:
                _check_reading(world)
        except Exception as error:
            tail = "\n".join(f"{e.seq} {e.type} {e.data}"[:200] for e in world.events[-12:])
            raise AssertionError(f"{nature.name} {seed}: {error}\n{tail}") from error
    return seen


@pytest.mark.parametrize("block", range(WILD_BLOCKS))
def test_every_random_run_ends_within_its_rules(block: int) -> None:
    seen = _drive(WILD, range(block * WILD_RUNS, (block + 1) * WILD_RUNS), 60)
    assert seen["run.finished"] == WILD_RUNS
    missing = [key for key, least in WILD_REACHES.items() if seen[key] < least]
    assert not missing, "the random worlds no longer reach these"


@pytest.mark.parametrize("nature", [n for n in NATURES if n is not WILD], ids=lambda n: n.name)
def test_every_run_of_a_kind_ends_within_its_rules(nature: Nature) -> None:
    runs = SHORT_RUNS if nature.name in SHORT else LONG_RUNS
    seen = _drive(nature, range(runs), 20)
    assert seen["run.finished"] == runs
    missing = [key for key in REACHES.get(nature.name, []) if not seen[key]]
    assert not missing, "these runs no longer reach what they are for"


WILD_REACHES = {
    "final done: ": 50,
    "final failed: the budget is used up": 50,
    "final partial: the budget is used up": 20,
    "final partial: the check found": 20,
    "final partial: some claims could not be verified": 10,
    "final failed: nobody could be asked to approve the plan": 20,
    "final failed: no valid plan after three tries": 10,
    "planning -> checking: ": 50,
    "planning -> answering: ": 5,
    "executing -> answering: ": 100,
    "reviewing -> answering: the planner answered before every step was done": 20,
    "checking -> answering: ": 50,
    "done by planner": 50,
    "done by executor": 10,
    "budget.used_up usd": 5,
    "budget.used_up tokens": 20,
    "budget.used_up seconds": 5,
    "budget.used_up calls": 50,
    "budget.used_up actions": 20,
    "closed plan approved by user": 20,
    "closed plan approved by user edited": 15,
    "closed plan rejected by user": 20,
    "closed plan rejected by default": 20,
    "closed action approved by user": 50,
    "closed action rejected by user": 20,
    "closed action rejected by default": 50,
    "closed clarify answered by user": 10,
    "closed clarify expired by default": 50,
    "closed review answered by user": 10,
    "closed review expired by default": 10,
    "asked network": 10,
    "user.cancelled": 30,
    "user.paused": 30,
    "user.budgeted": 30,
    "model.orphaned": 100,
    "call act in reviewing": 5,
    "call correct in reviewing": 20,
    "call correct in answering": 50,
    "call correct in checking": 50,
}
"""What a block of wild runs reaches, and how often at least."""

REACHES = {
    "diligent": [
        "final done: ",
        "executing -> answering: ",
        "executing -> reviewing: four reports since the last review",
    ],
    "simple": ["planning -> checking: ", "done by executor", "done by planner"],
    "poor": [
        "budget.used_up usd",
        "budget.used_up tokens",
        "budget.used_up seconds",
        "budget.used_up calls",
        "budget.used_up actions",
        "final failed: the budget is used up",
        "final partial: the budget is used up",
    ],
    "looping": ["loop same fatal=True", "outcome loop of attempt 1", "outcome loop of attempt 2"],
    "erring": ["loop same_error fatal=False", "loop same_error fatal=True"],
    "circling": ["loop cycle fatal=True"],
    "silent": ["outcome silent of attempt 1", "outcome silent of attempt 2"],
    "endless": ["outcome limit of attempt 1", "refused limit double=False"],
    "stalling": [
        "executing -> planning: stall",
        "outcome no_progress of attempt 1",
        "outcome failed of attempt 2",
        "executing -> reviewing: # failed",
        "executing -> answering: the plan was given up # times already",
        "final partial: the plan was given up # times already",
        "call act in planning",
        "call act in reviewing",
        "refused truncated double=False",
        "refused truncated double=True",
    ],
    "blocked": [
        "executing -> planning: deadlock",
        "outcome blocked of attempt 1",
        "outcome blocked of attempt 2",
        "executing -> reviewing: # blocked",
        "reviewing -> executing: ",
    ],
    "replanning": [
        "review replan",
        "outcome surprise of attempt 1",
        "outcome cancelled of attempt 1",
        "reviewing -> answering: the plan was given up # times already",
    ],
    "long": ["executing -> reviewing: four reports since the last review"],
    "asking": [
        "closed ask_user answered by user",
        "closed ask_user approved by user",
        "closed ask_user expired by default",
        "closed network approved by user",
        "closed network cancelled by default",
        "closed review answered by user",
    ],
    "unreadable": [
        "final partial: the check could not be read",
        "final partial: the planner could not write the answer",
    ],
    "planless": ["final failed: no valid plan after three tries"],
    "crashing": ["model.orphaned", "action.orphaned", "tool.orphaned", "final done: "],
    "broken": [
        "final failed: planner model m",
        "final partial: planner model m",
        "executing -> answering: executor model m",
        "final partial: the answer was not checked",
    ],
    "fat": ["final done: ", "review replan", "closed clarify answered by user"],
}
"""What each other nature is there for."""
