"""Tells one run move by move, as a test wants it: `Story().plan("a", "b:a").report("a")`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from planner_app.domain.catalogue import (
    ActionFinished,
    ActionStarted,
    AnswerChecked,
    AnswerDrafted,
    ModelFailed,
    ModelFinished,
    ModelStarted,
    ModelUsage,
    PlanProposed,
    PlanRefused,
    ReplyRefused,
    ReviewDecided,
    RunClaimed,
    RunCreated,
    SourceAdded,
    StepReported,
    TurnRefused,
    TurnTaken,
    orphaned,
)
from planner_app.domain.events import EventData
from planner_app.domain.moves import CallModel, Move, Record, RunAction, WakeAt, next_moves
from planner_app.domain.plan import (
    Answer,
    CheckVerdict,
    Claim,
    Plan,
    Question,
    Report,
    Review,
    Step,
    plan_problems,
)
from tests.domain.told import Told


def steps(*texts: str) -> list[Step]:
    """`"b:a,c"` is a step b that depends on a and c."""
    made = []
    for text in texts:
        key, _, deps = text.partition(":")
        made.append(Step(id=key, objective=f"do {key}", deps=deps.split(",") if deps else []))
    return made


class Story(Told):
    """A run whose models say what the test tells them to."""

    def __init__(self, *, claimed: bool = True, **created: Any) -> None:
        super().__init__("r_story")
        self.say(
            RunCreated(**({"task_id": "t_story", "text": "a task", "approve": "never"} | created))
        )
        if claimed:
            self.claim()

    def say(self, data: EventData) -> Self:
        """Something a person says, and what follows from it."""
        self.append(data.draft(actor="user"))
        self.settle()
        return self

    def claim(self) -> Self:
        """A driver takes the run; what an earlier one left under way is orphaned."""
        fence = (self.state.fence or 0) + 1
        self.append(RunClaimed(worker_id="w", fence=fence, version="0").draft())
        for move_id, move in self.state.open.items():
            lost = orphaned(move.kind, move_id, "died")
            self.append(lost.model_copy(update={"step_id": move.step_id, "attempt": move.attempt}))
        self.settle()
        return self

    def wait(self, seconds: float) -> Self:
        """Time passes."""
        self.now += timedelta(seconds=seconds)
        self.settle()
        return self

    def settle(self) -> list[Move]:
        """Record all that follows by itself; what is left needs someone to perform it."""
        while True:
            moves = next_moves(self.state, self.now)
            if len(moves) != 1 or not isinstance(moves[0], Record):
                return moves
            self.append(*moves[0].drafts)

    # --- what is due -----------------------------------------------------------------------------

    @property
    def due(self) -> list[str]:
        """`plan`, `act a`, `action a`: what may be performed now, by name."""
        return [_name(m) for m in self.settle() if not isinstance(m, WakeAt)]

    @property
    def wakes(self) -> datetime | None:
        """When something happens by itself."""
        return next((m.at for m in self.settle() if isinstance(m, WakeAt)), None)

    def types(self) -> list[str]:
        """The types of all events so far."""
        return [event.type for event in self.events]

    def newest(self, kind: str) -> dict[str, Any]:
        """Data of the newest event of a type."""
        return next(e.data for e in reversed(self.events) if e.type == kind)

    def start(self, name: str, tokens: int = 0, usd: float | None = 0.0) -> CallModel | RunAction:
        """The move of that name begins."""
        found = [m for m in self.settle() if not isinstance(m, WakeAt) and _name(m) == name]
        assert found, f"{name} is not due, but {self.due}"
        move = found[0]
        assert isinstance(move, CallModel | RunAction)
        if isinstance(move, RunAction):
            data: EventData = ActionStarted(turn=move.turn, code_head="x", timeout_s=60)
        else:
            data = ModelStarted(
                role=move.role,
                purpose=move.purpose,
                conversation=move.conversation,
                model="m",
                turn=move.turn,
                reserved_tokens=tokens,
                reserved_usd=usd,
            )
        self.append(data.draft(**_where(move)))
        return move

    def reply(
        self, name: str, *said: EventData, tokens: int = 0, blobs: dict[str, str] | None = None
    ) -> Self:
        """The model call of that name is made, or ends, and this is what it brings about."""
        move = self._call_of(name)
        ended = ModelFinished(
            role=move.role,
            purpose=move.purpose,
            conversation=move.conversation,
            model="m",
            turn=move.turn,
            message="b",
            usage=ModelUsage(prompt_tokens=tokens),
            usd=0.0,
        )
        where = _where(move)
        self.append(ended.draft(**where), *(d.draft(**where, blobs=blobs) for d in said))
        self.settle()
        return self

    def fails(self, name: str, kind: str = "server") -> Self:
        """The model call of that name fails for good."""
        move = self._call_of(name)
        failed = ModelFailed(
            role=move.role,
            purpose=move.purpose,
            conversation=move.conversation,
            model="m",
            turn=move.turn,
            kind=kind,
            message="it broke",
        )
        self.append(failed.draft(**_where(move)))
        self.settle()
        return self

    def _call_of(self, name: str) -> CallModel:
        for move_id, m in self.state.open.items():
            if m.kind == "model" and f"{m.purpose} {m.step_id or ''}".strip() == name:
                assert m.role is not None
                assert m.purpose is not None
                assert m.conversation is not None
                turn = int(move_id.split("/")[3])
                return CallModel(
                    move_id, m.role, m.purpose, m.conversation, turn, m.step_id, m.attempt
                )
        move = self.start(name)
        assert isinstance(move, CallModel)
        return move

    # --- planner and checker ---------------------------------------------------------------------

    def plan(
        self,
        *texts: str,
        answer: str | None = None,
        asks: Sequence[tuple[str, str]] = (),
        max_actions: int = 12,
    ) -> Self:
        """The planner writes this plan; one that is not valid is refused."""
        questions = [Question(text=text, default=default) for text, default in asks]
        made = [s.model_copy(update={"max_actions": max_actions}) for s in steps(*texts)]
        plan = Plan(steps=made, answer=answer, questions=questions)
        done = frozenset(k for k, s in self.state.steps.items() if s.status == "done")
        problems = plan_problems(plan, done, frozenset(self.state.steps))
        said: EventData = PlanProposed(plan=plan, revision=self.state.revision + 1)
        if problems:
            said = PlanRefused(problems=problems, number=self.state.plan_tries + 1)
        return self.reply("replan" if self.state.replans else "plan", said)

    def review(self, decision: str, **more: Any) -> Self:
        return self.reply("review", ReviewDecided(review=Review(decision=decision, **more)))

    def answer(self, *ids: int, text: str = "so it is") -> Self:
        """The planner writes an answer of one claim that cites these sources."""
        answer = Answer(text=text, claims=[Claim(text="a claim", source_ids=list(ids))])
        number = self.state.answer_number + 1
        return self.reply("answer", AnswerDrafted(answer=answer, number=number))

    def check(self, *, ok: bool = True) -> Self:
        verdict = CheckVerdict(ok=ok, problems=[] if ok else ["it is wrong"])
        return self.reply("check", AnswerChecked(verdict=verdict, number=self.state.answer_number))

    def unreadable(self, name: str, purpose: str) -> Self:
        """The reply to the call of that name, about that purpose, cannot be read."""
        wanted = self.state.correction
        number = 1 if wanted is None else wanted.number + 1
        return self.reply(
            name, ReplyRefused(purpose=purpose, problems=["bad"], number=number, bad="x")
        )

    # --- executor --------------------------------------------------------------------------------

    def code(self, step: str, key: str | None = None, *, status: str = "ok") -> Self:
        """The executor writes code, and it runs; turns of one key are alike."""
        self.takes(step)
        self.acts(step, key, status=status)
        return self

    def takes(self, step: str) -> Self:
        """The executor writes code; it has not run yet."""
        turn = self.state.steps[step].attempts[-1].turns + 1
        return self.reply(f"act {step}", TurnTaken(turn=turn), blobs={"code": "c"})

    def acts(self, step: str, key: str | None = None, *, status: str = "ok") -> Self:
        """The code of the newest turn runs, or ends."""
        move_id = next((k for k in self.state.open if k.startswith(f"action/{step}/")), None)
        if move_id is None:
            move_id = self.start(f"action {step}").id
        _, _, attempt, turn, _ = move_id.split("/")
        key = key or f"k{len(self.events)}"
        ended = ActionFinished(turn=int(turn), status=status, code_key=key, observation_key=key)
        self.append(ended.draft(move_id=move_id, step_id=step, attempt=int(attempt)))
        self.settle()
        return self

    def refused(self, step: str, kind: str, **more: Any) -> Self:
        """The executor's turn is not carried out."""
        return self.reply(f"act {step}", TurnRefused(kind=kind, message="no", **more))

    def report(self, step: str, verdict: str = "done", **more: Any) -> Self:
        report = Report(verdict=verdict, **({"result": f"found {step}"} | more))
        return self.reply(f"act {step}", StepReported(report=report, source_id=None))

    def source(self) -> Self:
        """One more page to cite."""
        n = len(self.state.sources) + 1
        return self.append(SourceAdded(n=n, kind="page", title=f"page {n}").draft())

    def status(self, step: str) -> str:
        return self.state.steps[step].status


def _name(move: Move) -> str:
    if isinstance(move, RunAction):
        return f"action {move.step_id}"
    assert isinstance(move, CallModel)
    return f"{move.purpose} {move.step_id or ''}".strip()


def _where(move: CallModel | RunAction) -> dict[str, Any]:
    return {"move_id": move.id, "step_id": move.step_id, "attempt": move.attempt}
