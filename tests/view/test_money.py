"""What a run cost is the same wherever it is told, and is the sum of its calls."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from planner_app.cli.lists import cost_lines
from planner_app.domain.catalogue import ModelRetried, ModelUsage, UserBudgeted
from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from planner_app.view import figures
from planner_app.view.reducer import view_of
from tests.domain.nature import WILD
from tests.domain.simulation import World
from tests.domain.story import Story


def a_run(seed: int) -> list[Event]:
    """A run by chance, with crashes, refused calls, and tries that were billed and made anew."""
    rng = random.Random(seed)
    world = World(seed, WILD)
    world.run()
    drafts: list[Event] = []
    for event in world.events:
        drafts.append(event)
        while event.type == "model.started" and rng.random() < 0.3:
            retried = ModelRetried(
                number=1,
                kind="server",
                message="broke",
                wait_s=1.0,
                usage=ModelUsage(prompt_tokens=rng.randrange(99), completion_tokens=7),
                usd=rng.choice([None, 0.0, 0.00123]),
            ).draft(move_id=event.move_id, step_id=event.step_id, attempt=event.attempt)
            drafts.append(Event.of(retried, event.run_id, 0, event.at))
    return [event.model_copy(update={"seq": n}) for n, event in enumerate(drafts, 1)]


def test_a_budget_that_a_person_set_is_told_in_plain_figures() -> None:
    told = Story().say(UserBudgeted(limits={"usd": 5.0, "tokens": 2_000_000.0, "calls": None}))
    said = [entry.head for entry in view_of(told.events).timeline if "budget" in entry.title]
    assert said == ["usd 5, tokens 2,000,000, calls without limit"]


class Ledger:
    """The run's account, kept from its events alone."""

    def __init__(self, events: list[Event]) -> None:
        self.usd: dict[str, float] = defaultdict(float)
        self.tokens: dict[str, int] = defaultdict(int)
        self.unpriced: dict[str, int] = defaultdict(int)
        started: dict[str | None, Event] = {}
        for event in events:
            what = event.type.removeprefix("model.")
            if event.type == "model.started":
                started[event.move_id] = event
            elif event.type.startswith("model.") and event.move_id in started:
                self._pay(started[event.move_id], event, what)
                if what != "retried":
                    del started[event.move_id]

    def _pay(self, start: Event, event: Event, what: str) -> None:
        if what == "orphaned":
            usd, tokens = start.data["reserved_usd"], start.data["reserved_tokens"]
        else:
            usage = event.data["usage"]
            usd, tokens = event.data["usd"], usage["prompt_tokens"] + usage["completion_tokens"]
        accounts = ["run", f"role {start.data['role']}", f"model {start.data['model']}"]
        for account in (*accounts, *([f"step {start.step_id}"] if start.step_id else [])):
            self.usd[account] += usd or 0.0
            self.tokens[account] += tokens
            self.unpriced[account] += usd is None


@pytest.mark.parametrize("seed", range(60))
def test_run_role_model_and_step_agree_with_the_events(seed: int) -> None:
    events = a_run(seed)
    ledger, state = Ledger(events), fold(events)
    spent = state.spent
    told = {"run": (spent.usd, spent.tokens, spent.unpriced_calls)}
    for kind, usd, tokens, unpriced in (
        ("role", spent.by_role, spent.tokens_by_role, spent.unpriced_by_role),
        ("model", spent.by_model, spent.tokens_by_model, spent.unpriced_by_model),
        ("step", spent.by_step, spent.tokens_by_step, spent.unpriced_by_step),
    ):
        told |= {f"{kind} {who}": (usd[who], tokens[who], unpriced[who]) for who in usd}
        if kind != "step":
            assert sum(usd.values()) == pytest.approx(spent.usd)
            assert sum(tokens.values()) == spent.tokens
            assert sum(unpriced.values()) == spent.unpriced_calls
    assert set(told) == {"run", *ledger.usd}
    for account, (usd_told, tokens_told, unpriced_told) in told.items():
        assert usd_told == pytest.approx(ledger.usd[account]), account
        assert (tokens_told, unpriced_told) == (ledger.tokens[account], ledger.unpriced[account])
    view = view_of(events)
    assert view.spent.usd == pytest.approx(spent.usd)
    assert (view.spent.tokens, view.spent.unpriced) == (spent.tokens, spent.unpriced_calls)
    assert view.spent.calls == spent.calls
    if spent.usd or spent.unpriced_calls:
        cost = figures.cost(ledger.usd["run"], ledger.unpriced["run"])
        assert cost_lines(state)[1] == f"Cost: {cost}"
