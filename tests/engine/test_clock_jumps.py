"""A clock that is set in the middle of a run neither uses up its time nor holds it up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from planner_app.domain.catalogue import BudgetLimits
from planner_app.engine import run_clock
from planner_app.engine.run_clock import RunClock
from planner_app.history import times
from planner_app.models import faults
from planner_app.models.limiter import Limiter
from tests.engine.providers import AT_ONCE, GOOD_CHECK, Served
from tests.engine.test_provider_faults import error
from tests.engine.world import World
from tests.loopback.fixtures import loopback
from tests.loopback.server import LoopbackServer, Reply

__all__ = ["loopback"]

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_a_run_s_time_goes_on_evenly_whatever_the_wall_says() -> None:
    wall, even = [NOON], [100.0]
    clock = RunClock(NOON, wall=lambda: wall[0], even=lambda: even[0])
    wall[0] += timedelta(hours=5)
    even[0] += 2.5
    assert clock.now() == NOON + timedelta(seconds=2.5)
    wall[0] -= timedelta(days=1)
    assert clock.now() == NOON + timedelta(seconds=2.5)


def test_a_run_s_time_never_goes_back_behind_its_last_event() -> None:
    clock = RunClock(NOON, wall=lambda: NOON - timedelta(hours=1), even=lambda: 0.0)
    assert clock.now() == NOON


@pytest.mark.parametrize("hours", [2, -2])
@pytest.mark.parametrize("where", ["in a call", "in a wait between tries"])
async def test_a_jump_of_the_wall_clock_changes_nothing_for_a_run(
    world: World,
    loopback: LoopbackServer,
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
    where: str,
) -> None:
    jumped = timedelta()

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + jumped

    for module in (run_clock, times, faults):
        monkeypatch.setattr(module, "datetime", Jumping)

    def jump() -> None:
        nonlocal jumped
        jumped = timedelta(hours=hours)

    served = Served.by(world, loopback)
    waits, answered = served.waits, loopback._reply

    def replied(request: dict[str, Any]) -> Reply:
        jump()
        return answered(request)

    async def slept(seconds: float) -> None:
        jump()
        waits.taken.append(seconds)

    if where == "in a call":
        loopback.serve("plans", AT_ONCE)
        monkeypatch.setattr(loopback, "_reply", replied)
    else:
        loopback.serve("plans", error(429, **{"Retry-After": "20"}), AT_ONCE)
        world.services.limiter = Limiter(clock=waits.clock, sleep=slept)
    loopback.serve("judges", GOOD_CHECK)
    told = await served.run(budget=BudgetLimits(seconds=120), headless=True)
    assert (told.state.status, told.problem) == ("done", "")
    assert jumped == timedelta(hours=hours)
    assert told.state.active_seconds < 120
    moments = [event.at for event in told.events]
    assert moments == sorted(moments)
    assert moments[-1] - moments[0] < timedelta(seconds=120)
    assert [retried["wait_s"] for retried in told.of("model.retried")] == served.waits.taken
