"""What a model thought is shown and stored, and no request of any agent ever holds it.

Whole runs through real litellm and HTTP: the requests are those that a provider receives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from planner_app.domain.events import Event
from planner_app.queue.submission import Submission
from planner_app.settings import ModelsSettings, TeamSettings
from tests.engine.world import World, answer, check, code, fenced, plan, report
from tests.loopback.fixtures import loopback
from tests.loopback.server import Form, LoopbackServer, Reply

__all__ = ["loopback"]

PLANNER, EXECUTOR, CHECKER = "openai/deepseek-r1", "openai/qwen3-32b", "openai/gpt-oss-20b"
SMALL = '[[profile]]\nmatch = "*qwen3-32b*"\nfamily = "small"\ncontext_window = 6000\n'
REVIEW = fenced("json", json.dumps({"decision": "replan", "root_cause": "it cannot be had"}))


def thoughtful(name: str, form: Form, *texts: str) -> Iterator[Reply]:
    """Replies that each begin with a thought of their own."""
    for number, text in enumerate(texts):
        thought = f"THOUGHT-{name}-{number}: alternatively, that. " * 3
        yield Reply(text, thought, form, chunk=40)


def submit(world: World, models: dict[str, str]) -> str:
    wanted = Submission(text="How many?", models=models, sandbox="unsafe-host")
    return world.queue.submit(wanted, world.settings).run_id


def stored_thoughts(world: World, run_id: str) -> list[str]:
    events: list[Event] = world.events(run_id, "model.finished")
    return [world.history.get_blob(e.blobs["reasoning"]).decode() for e in events]


async def test_thoughts_stay_out_of_every_request_across_compaction_replans_and_corrections(
    world: World, loopback: LoopbackServer
) -> None:
    world.settings.paths.profiles_file.write_text(SMALL)
    settings = ModelsSettings(api_bases={"openai/": loopback.base})
    world.services.settings = world.settings.model_copy(update={"models": settings})
    steps = [{"id": "a"}, {"id": "b", "deps": ["a"]}]
    plans = (plan(*steps), REVIEW, plan({"id": "c"}), "no json at all", answer("It is 7 [1].", 1))
    long = "\n".join(f"print('line {n} of a long story', {n} * 'x')" for n in range(60))
    turns = (
        *[code(f"n = {n}\n{long}") for n in range(4)], report(result="seven"),
        report("blocked", "cannot"), code("print(7)"), report(result="seven"),
    )  # fmt: skip
    loopback.serve("deepseek-r1", *thoughtful("planner", "orphan", *plans))
    loopback.serve("qwen3-32b", *thoughtful("executor", "inline", *turns))
    loopback.serve("gpt-oss-20b", *thoughtful("checker", "reasoning", check()))
    models = {"planner": PLANNER, "executor": EXECUTOR, "checker": CHECKER}
    run_id = submit(world, models)
    state = await world.drive(run_id)

    assert state.final == "done", state.reason
    assert state.replans == 1
    purposes = [e.data["purpose"] for e in world.events(run_id, "model.started")]
    assert {"plan", "review", "replan", "answer", "correct", "act", "check"} <= set(purposes)
    restarts = [
        e for e in world.events(run_id, "model.started")
        if e.data["conversation"] == "executor/a/1" and e.data["parent_request"] is None
    ]  # fmt: skip
    assert len(restarts) > 1, "the executor's conversation was made shorter"
    assert len(loopback.requests) == len(purposes)
    assert "THOUGHT" not in json.dumps([r["messages"] for r in loopback.requests])

    thoughts = stored_thoughts(world, run_id)
    assert len(thoughts) == len(purposes)
    assert all(thought.startswith("THOUGHT-") for thought in thoughts)
    texts = [e.blobs["text"] for e in world.events(run_id, "model.finished")]
    assert not any("THOUGHT" in world.history.get_blob(sha).decode() for sha in texts)


async def test_signed_thoughts_do_not_follow_a_run_to_the_model_that_takes_over(
    world: World, loopback: LoopbackServer
) -> None:
    claude, gemini = "anthropic/claude-opus-4-8", "gemini/gemini-3-pro"
    bases = {"anthropic/": loopback.root, "gemini/": loopback.root, "openai/": loopback.base}
    team = TeamSettings(planner=claude, fallbacks={"planner": (gemini,)})
    changes = {"models": ModelsSettings(api_bases=bases), "teams": {"default": team}}
    world.services.settings = world.settings.model_copy(update=changes)
    first = plan({"id": "a"}, {"id": "b"})
    loopback.serve(
        "claude-opus-4-8",
        Reply(first, "THOUGHT of Claude", signature="SIG-CLAUDE"),
        Reply(status=401, body={"error": {"message": "invalid x-api-key"}}),
    )
    loopback.serve("gemini-3-pro", Reply(answer("It is 7 [1].", 1), "THOUGHT of Gemini"))
    loopback.serve("qwen3-32b", Reply(code("print(7)")), Reply(code("print(7)")), Reply(report()))
    loopback.serve("gpt-oss-20b", Reply(check()))
    models = {"planner": claude, "executor": EXECUTOR, "checker": CHECKER}
    run_id = submit(world, models)
    state = await world.drive(run_id)

    assert state.final == "done", state.reason
    assert state.models["planner"] == gemini
    asked = {str(request["model"]): json.dumps(request) for request in loopback.requests}
    assert "SIG-CLAUDE" in asked["claude-opus-4-8"], "its own maker had it back"
    others = [text for model, text in asked.items() if model != "claude-opus-4-8"]
    assert len(others) == 3
    assert not any("SIG-CLAUDE" in text or "THOUGHT" in text for text in others)
