"""A world in which runs happen by chance: every move is performed by a die, some processes die."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from planner_app.domain.budget import shortage
from planner_app.domain.catalogue import (
    BETTERS,
    ActionFinished,
    ActionStarted,
    BudgetUsedUp,
    EventData,
    ModelFailed,
    ModelFinished,
    ModelStarted,
    ModelUsage,
    ReplySettled,
    RunClaimed,
    RunCreated,
    SessionLost,
    SessionStarted,
    SourceAdded,
    ToolFinished,
    ToolStarted,
    UserAnswered,
    UserApproved,
    UserBudgeted,
    UserCancelled,
    UserInterrupted,
    UserPaused,
    UserRejected,
    UserResumed,
    UserSteered,
    orphaned,
)
from planner_app.domain.events import EventDraft
from planner_app.domain.move_changes import ask
from planner_app.domain.moves import CallModel, Move, Record, RunAction, WakeAt, next_moves
from planner_app.domain.plan import Plan, Step
from planner_app.domain.state import Doubt, OpenMove, RunState
from tests.domain.dice import questions, said, settled
from tests.domain.nature import Nature, limits, words
from tests.domain.told import Told, Watch

MAX_TICKS = 4_000


class World(Told):
    """One simulated run: its events, its state, and the die that performs its moves."""

    def __init__(
        self, seed: int, nature: Nature, watch: Watch | None = None, *, careful: bool = False
    ) -> None:
        """With `careful` every decision is made twice and compared."""
        super().__init__("r_sim", watch)
        self.rng = random.Random(f"{nature.name}/{seed}")
        self.nature = nature
        self.ticks = 0
        self.cancels = 0.05 if nature.name == "wild" else 0.01
        self.hasty = self.rng.random() < nature.hasty
        self.careful = careful

    def run(self) -> RunState:
        """Everything that happens until the run ends."""
        self._begin()
        while self.state.final is None:
            self.ticks += 1
            assert self.ticks < MAX_TICKS, "the run does not end"
            moves = next_moves(self.state, self.now)
            if self.careful:
                before = self.state.model_dump_json()
                assert moves == next_moves(self.state, self.now), "the same state, the same moves"
                assert before == self.state.model_dump_json()
            if len(moves) == 1 and isinstance(moves[0], Record):
                self.append(*moves[0].drafts)
                self._stop_pointless()
                if self.rng.random() < self.nature.dies / 4 and self.state.final is None:
                    self._crash()
                continue
            assert not any(isinstance(m, Record) for m in moves), "facts stand alone"
            for move in moves:
                under_way = not isinstance(move, WakeAt) and move.id in self.state.open
                assert not under_way, f"{move} is under way already"
            self._tick(moves)
        return self.state

    # --- the driver ----------------------------------------------------------------------------

    def _begin(self) -> None:
        rng, nature = self.rng, self.nature
        self.append(
            RunCreated(
                task_id="t_sim",
                text="a task",
                budget=limits(nature, rng),
                mode="solo" if rng.random() < nature.solo else "team",
                approve=rng.choice(nature.approve),
                no_input=rng.random() < nature.no_input,
                headless=rng.random() < 0.3,
                has_schema=rng.random() < nature.schema,
                max_parallel=rng.choice([1, 2, 3]),
            ).draft(actor="user")
        )
        if rng.random() < 0.02:
            self.append(UserCancelled().draft(actor="user"))
        self._claim()

    def _claim(self) -> None:
        """A driver takes the run; what an earlier one left under way is orphaned."""
        fence = (self.state.fence or 0) + 1
        self.append(RunClaimed(worker_id="w", fence=fence, version="0").draft())
        for move_id, move in self.state.open.items():
            self._orphan(move_id, move)
        for key, step in self.state.steps.items():
            if step.attempts and step.attempts[-1].live:
                lost = SessionLost(why="died")
                self.append(lost.draft(step_id=key, attempt=len(step.attempts)))

    def _crash(self) -> None:
        worked = self.state.active_seconds
        self.now += timedelta(seconds=self.rng.choice([1, 60, 100_000]))
        self._claim()
        assert self.state.active_seconds == worked, "a dead process uses up no time"

    def _orphan(self, move_id: str, move: OpenMove) -> None:
        lost = orphaned(move.kind, move_id, "died")
        self.append(lost.model_copy(update={"step_id": move.step_id, "attempt": move.attempt}))

    def _stop_pointless(self) -> None:
        """Most moves of ended attempts are stopped; some finish first."""
        for move_id, move in list(self.state.open.items()):
            if self._is_over(move) and self.rng.random() < 0.7:
                self._orphan(move_id, move)

    def _is_over(self, move: OpenMove) -> bool:
        if move.step_id is None or move.attempt is None:
            return False
        return self.state.steps[move.step_id].attempts[move.attempt - 1].outcome is not None

    def _tick(self, moves: list[Move]) -> None:
        rng = self.rng
        self.now += timedelta(seconds=rng.random() * 3)
        effects = [m for m in moves if isinstance(m, CallModel | RunAction)]
        for move in effects:
            self._start(move)
            if self.state.used_up or self.state.fatal:
                break
        if rng.random() < self.nature.dies:
            self._crash()
        elif rng.random() < self.nature.speaks:
            self._command()
        state = self.state
        if state.open and (not state.paused or rng.random() < 0.5):
            self._finish(rng.choice(sorted(state.open)))
        elif state.paused:
            self.append(UserResumed().draft(actor="user"))
        elif state.questions:
            self._reply(moves)
        elif not effects:
            wakes = [m.at for m in moves if isinstance(m, WakeAt)]
            assert wakes or next_moves(state, self.now), f"stuck: {state.status}"
            self.now = max([self.now, *wakes])

    def _start(self, move: CallModel | RunAction) -> None:
        state, rng = self.state, self.rng
        where: dict[str, Any] = {
            "move_id": move.id,
            "step_id": move.step_id,
            "attempt": move.attempt,
        }
        if isinstance(move, RunAction):
            attempt = state.steps[move.step_id].attempts[-1]
            if not attempt.live:
                started = SessionStarted(kind="docker")
                self.append(started.draft(step_id=move.step_id, attempt=move.attempt))
            self.append(ActionStarted(turn=move.turn, code_head="x", timeout_s=60).draft(**where))
            return
        tokens, usd = rng.choice([200, 2000]), rng.choice([None, 0.0, 0.01])
        if short := shortage(state, self.now, move.purpose, tokens, usd):
            if move.purpose in BETTERS:
                self.append(*self._kept(move))
            elif state.phase in {"answering", "checking"}:
                self.append(self._failed(move, "budget"))
            elif self.hasty or not state.open:
                self.append(BudgetUsedUp(which=short.which, detail=short.detail).draft())
            return
        self.append(
            ModelStarted(
                role=move.role,
                purpose=move.purpose,
                conversation=move.conversation,
                model="m",
                turn=move.turn,
                parent_request=state.requests.get(move.conversation),
                appended=["a"],
                reserved_tokens=tokens,
                reserved_usd=usd,
            ).draft(**where)
        )

    # --- what comes back -----------------------------------------------------------------------

    def _failed(self, move: CallModel, kind: str, next_model: str | None = None) -> EventDraft:
        return ModelFailed(
            role=move.role,
            purpose=move.purpose,
            conversation=move.conversation,
            model="m",
            turn=move.turn,
            kind=kind,
            message=words(self.nature, self.rng, "no", 5_000),
            next_model=next_model,
        ).draft(move_id=move.id, step_id=move.step_id, attempt=move.attempt)

    def _finish(self, move_id: str) -> None:
        move = self.state.open[move_id]
        if move.kind == "action":
            self._finish_action(move_id, move)
            return
        if move.kind == "tool":
            self._end(ToolFinished(name="search"), move_id, move)
            return
        turn = int(move_id.split("/")[3])
        assert move.role is not None
        assert move.purpose is not None
        assert move.conversation is not None
        call = CallModel(
            move_id, move.role, move.purpose, move.conversation, turn, move.step_id, move.attempt
        )
        better, doubt = move.purpose in BETTERS, self._doubt(call)
        breaks = self.rng.random() < self.nature.breaks
        if breaks and better:
            self.append(self._failed(call, "server"), *self._kept(call))
            return
        if breaks:
            kind = self.rng.choice(["auth", "server", "server", "context_overflow"])
            self.append(self._failed(call, kind, self.rng.choice([None, None, "m2"])))
            return
        finished = ModelFinished(
            role=move.role,
            purpose=move.purpose,
            conversation=move.conversation,
            model="m",
            turn=turn,
            message="b",
            usage=ModelUsage(prompt_tokens=move.tokens // 2, completion_tokens=move.tokens // 2),
            usd=move.usd,
        ).draft(move_id=move_id, step_id=move.step_id, attempt=move.attempt)
        if move.purpose == "correct" and self.state.correction is None:
            self.append(finished)  # the phase that wanted it is over
            return
        if better:
            rest = doubt and settled(call, doubt, self.state, self.nature, self.rng)
            self.append(finished, *(rest or []))
            return
        self.append(finished, *said(call, self.state, self.nature, self.rng))

    def _doubt(self, call: CallModel) -> Doubt | None:
        if call.step_id is None:
            return self.state.doubt
        return self.state.steps[call.step_id].attempts[(call.attempt or 1) - 1].doubt

    def _kept(self, call: CallModel) -> list[EventDraft]:
        """The first reply stands, if it is in doubt still."""
        doubt = self._doubt(call)
        if doubt is None:
            return []
        kept = ReplySettled(kind=doubt.kind, taken=False)
        return [kept.draft(move_id=call.id, step_id=call.step_id, attempt=call.attempt)]

    def _end(self, data: EventData, move_id: str, move: OpenMove) -> None:
        self.append(data.draft(move_id=move_id, step_id=move.step_id, attempt=move.attempt))

    def _finish_action(self, move_id: str, move: OpenMove) -> None:
        rng, state = self.rng, self.state
        inside = [k for k, m in state.open.items() if m.kind == "tool" and _same(m, move)]
        if inside:
            self._finish(inside[0])
            return
        if rng.random() < self.nature.dies:
            self._orphan(move_id, move)
            return
        if rng.random() < 0.1 and not self._is_over(move):
            tool = f"tool/{move.step_id}/{move.attempt}/{self.ticks}/1"
            self._end(ToolStarted(name="search", nth=1), tool, move)
            return
        if rng.random() < self.nature.asks and not self._is_over(move):
            asked = questions(self.nature, rng, 1)
            kind = rng.choice(["ask_user", "network"])
            attempt = move.attempt if kind == "ask_user" else None
            self.append(ask(state, kind, asked, self.now, move.step_id, attempt))
        key, error = self._key(move)
        self.append(SourceAdded(n=len(state.sources) + 1, kind="page", title="p").draft())
        finished = ActionFinished(
            turn=int(move_id.split("/")[3]),
            status="error" if error else "ok",
            head=words(self.nature, rng, "1", 900),
            code_key=key,
            observation_key=key,
            state_lost=rng.random() < 0.05,
        )
        self._end(finished, move_id, move)

    def _key(self, move: OpenMove) -> tuple[str, bool]:
        """How alike this turn is to others, and whether its code failed."""
        turns = self.state.steps[move.step_id or ""].attempts[(move.attempt or 1) - 1].actions
        match self.nature.keys:
            case "same":
                return "k", False
            case "error":
                return "k", True
            case "cycle":
                return f"k{turns % 2}", False
            case "few":
                return self.rng.choice(["k1", "k2", f"k{self.ticks}"]), self.rng.random() < 0.5
        return f"k{self.ticks}", self.rng.random() < 0.2

    # --- people --------------------------------------------------------------------------------

    def _command(self) -> None:
        """Somebody says something at a time when nobody asked."""
        rng = self.rng
        if rng.random() < self.cancels:
            reason = words(self.nature, rng, "enough", 14_000)
            self.append(UserCancelled(reason=reason).draft(actor="user"))
            return
        data: EventData = rng.choice(
            [
                UserSteered(text=words(self.nature, rng, "look again", 9_000)),
                UserPaused(),
                UserPaused(),
                UserResumed(),
                UserInterrupted(),
                UserAnswered(text="an answer to nothing?"),
                UserApproved(),
                UserRejected(reason="no"),
                UserBudgeted(limits={"calls": rng.choice([None, 5, 40])}),
                UserBudgeted(limits={"usd": 1.0, "magic": 3.0}),
            ]
        )
        self.append(data.draft(actor="user"))

    def _reply(self, moves: list[Move]) -> None:
        """The person answers, or lets the time run out."""
        rng = self.rng
        wakes = [m.at for m in moves if isinstance(m, WakeAt)]
        if wakes and rng.random() < 0.3:
            self.now = max(self.now, *wakes)
            return
        self.now += timedelta(seconds=rng.choice([1, 100, 1_000_000 if not wakes else 1]))
        question = next(iter(self.state.questions.values()))
        if question.kind in {"clarify", "review", "ask_user"} and rng.random() < 0.8:
            data: EventData = UserAnswered(text=words(self.nature, rng, "yes", 14_000))
        elif rng.random() < 0.7:
            data = UserApproved(scope=rng.choice(["once", "run"]), plan=self._edit(question.kind))
        else:
            data = UserRejected(reason=words(self.nature, rng, "no", 14_000))
        self.append(data.draft(actor="user"))

    def _edit(self, kind: str) -> Plan | None:
        """The plan as a person may have rewritten it, well or badly."""
        if kind != "plan" or self.rng.random() < 0.6:
            return None
        bad = self.rng.random() < 0.3
        deps = ["nowhere"] if bad else []
        return Plan(steps=[Step(id=f"own{self.state.revision}", objective="mine", deps=deps)])


def _same(one: OpenMove, other: OpenMove) -> bool:
    return (one.step_id, one.attempt) == (other.step_id, other.attempt)
