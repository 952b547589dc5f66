"""What a run may rely on when a conversation outgrows its model's context."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from planner_app.models.port import (
    Message,
    ModelError,
    ModelReply,
    ModelRequest,
    ModelSpec,
    OnDelta,
    Profile,
)
from tests.engine.test_failing_models import Failing, use
from tests.engine.test_people import Driven
from tests.engine.world import Script, World, answer, check, code, plan, report


class Narrow(Failing):
    """A scripted client whose models take so many tokens, and say it or not."""

    def __init__(self, window: int, *, known: bool = False, roles: tuple[str, ...] = ()) -> None:
        super().__init__("server")
        self._window = window
        self._known = known
        self._roles = roles or ("planner", "executor", "checker")
        self.sent: list[ModelRequest] = []

    async def complete(self, request: ModelRequest, on_delta: OnDelta) -> ModelReply:
        tokens = self.count_tokens(request.spec, request.messages) + request.max_tokens
        if request.key.role in self._roles and tokens > self._window:
            raise ModelError("context_overflow", "the request is too long")
        self.sent.append(request)
        key = request.key  # a refused call takes a turn, but no line of the script
        who = (key.role, key.step, key.attempt)
        turn = sum((r.key.role, r.key.step, r.key.attempt) == who for r in self.sent)
        asked = request.model_copy(update={"key": key.model_copy(update={"turn": turn})})
        return await super().complete(asked, on_delta)

    def profile(self, spec: ModelSpec) -> Profile:
        profile = super().profile(spec)
        return profile.model_copy(update={"context_window": self._window if self._known else None})

    def count_tokens(self, spec: ModelSpec, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages) // 4


def whole(request: ModelRequest) -> str:
    return "\n".join(message.content for message in request.messages)


PRINTS = "print('{n} ' * 3000, 'end of {n}')"


def long_step(turns: int) -> Script:
    script = Script().planner(plan({"id": "a", "max_actions": 12}))
    for n in range(turns):
        script.executor("a", code(PRINTS.format(n=n)))
    return script


async def test_a_long_step_goes_on_from_a_summary_with_its_sources(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = world.folder / "note.txt"
    note.write_text("The cat sat on the mat.")
    client = Narrow(16_000, known=True)
    use(world, client, monkeypatch)
    quote = {"source_id": 1, "quote": "The cat sat on the mat."}
    script = long_step(10).executor("a", report(result="It sat [1].", evidence=[quote]))
    state = await world.run(script.checker(check()), files=(note,))
    assert state.status == "done"
    assert not world.events(state.run_id, "model.failed")
    last = [request for request in client.sent if request.key.role == "executor"][-1]
    text = whole(last)
    assert "Your step: a" in text
    assert "earlier turns of this step in short" in text
    assert "[1] attachment: note.txt" in text
    assert "end of 9" in text
    assert "end of 6" in text, "the last four turns stand word for word"
    assert last.messages[2].role == "assistant", "roles take turns"
    assert state.answer is not None
    assert state.answer.claims[0].source_ids == [1]


async def test_what_the_provider_counted_says_when_a_conversation_is_too_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Narrow(16_000, known=True)
    use(world, client, monkeypatch)
    script = Script().planner(plan({"id": "a"}))
    for tokens in (5_000, 9_590):
        usage = {"prompt_tokens": tokens, "completion_tokens": 9}
        script.executor("a", code("print(6 * 7)"), usage=usage)
    state = await world.run(script.executor("a", report()).checker(check()))
    assert state.status == "done"
    asked = [whole(request) for request in client.sent if request.key.role == "executor"]
    assert ["earlier turns of this step in short" in text for text in asked] == [False, False, True]
    reserved = [e.data["reserved_tokens"] for e in world.events(state.run_id, "model.started")]
    assert reserved[2] > 5_000, "a budget is asked for what was really counted"


async def test_a_summary_keeps_what_an_earlier_summary_held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Narrow(16_000, known=True)
    use(world, client, monkeypatch)
    script = long_step(12).executor("a", report()).checker(check())
    state = await world.run(script)
    assert state.status == "done"
    last = [request for request in client.sent if request.key.role == "executor"][-1]
    for n in range(12):
        assert f"print('{n} '" in whole(last)


async def test_what_a_person_said_is_still_there_after_it_was_made_shorter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Narrow(16_000, known=True)
    use(world, client, monkeypatch)
    script = long_step(12).executor("a", report()).checker(check())
    run_id = world.submit(script)
    world.queue.command(run_id, "steer", {"text": "use metres, always"})
    run = Driven(world, run_id)
    assert (await run.ended()).status == "done"
    last = [request for request in client.sent if request.key.role == "executor"][-1]
    assert whole(last).count("The person adds: use metres, always") == 1


@pytest.mark.parametrize("role", ["planner", "executor", "checker"])
async def test_an_overflow_is_answered_by_shorter_requests_and_not_by_failure(
    world: World, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    client = Narrow(5_000, roles=(role,))
    use(world, client, monkeypatch)
    script = Script().planner(plan({"id": "a"}, {"id": "b"}))
    for step in ("a", "b"):
        script.executor(step, code("1")).executor(step, report(result="x" * 2000))
    script.planner(answer("So. " + "y" * 3000, 1)).checker(check())
    state = await world.run(script, text="Do it. " + "z" * 60_000)
    assert state.status == "done", state.reason
    failed = world.events(state.run_id, "model.failed")
    assert failed
    assert {e.data["kind"] for e in failed} == {"context_overflow"}
    windows = [e.data["window"] for e in failed]
    assert windows == sorted(windows, reverse=True)
    assert len(failed) < 8, "what was learned of a model holds for its next calls"


async def test_one_message_larger_than_the_window_is_cut_in_its_middle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Narrow(8_000, known=True)
    use(world, client, monkeypatch)
    script = Script().planner(plan({"id": "a"})).executor("a", report()).checker(check())
    text = "The question is first. " + "padding " * 11_000 + " And this comes last."
    state = await world.run(script, text=text)
    assert state.status == "done"
    first = whole(client.sent[0])
    assert "The question is first." in first
    assert "And this comes last." in first
    assert "left out" in first
    assert "Write the plan now" in first


async def test_the_planner_starts_anew_from_the_ledger_with_what_it_needs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Narrow(9_000, known=True)
    use(world, client, monkeypatch)
    asked = {"done_when": ["the sum is checked"], "answer_format": "one line"}
    first = plan({"id": "a"}, {"id": "b", "deps": ["a"]}, **asked)
    script = Script().planner("words " * 4_000 + first)
    for step in ("a", "b"):
        script.executor(step, code("1")).executor(step, report(result=f"found {step}"))
    script.planner(answer("So.", 1)).checker(check())
    run_id = world.submit(script)
    world.queue.command(run_id, "steer", {"text": "in metres"})
    state = await Driven(world, run_id).ended()
    assert state.status == "done", state.reason
    last = whole([request for request in client.sent if request.key.role == "planner"][-1])
    for kept in ("found a", "found b", "the sum is checked", "one line", "in metres"):
        assert kept in last
    assert "words words" not in last
