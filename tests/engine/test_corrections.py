"""Replies that cannot be read: put right in short chats of their own, twice at most.

Through real litellm and HTTP: the requests are those that a provider receives.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner_app.agents.checker import BAD_CHARS
from planner_app.queue.submission import Submission
from planner_app.settings import ModelsSettings
from tests.engine.world import World, answer, check, fenced, plan, report
from tests.loopback.fixtures import loopback
from tests.loopback.server import LoopbackServer, Reply

__all__ = ["loopback"]

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {"count": {"type": "integer"}},
    "type": "object",
    "properties": {"n": {"$ref": "#/$defs/count"}, "day": {"type": "string", "format": "date"}},
    "required": ["n", "day"],
}
GOOD = answer("Seven [1].", 1, data={"n": 7, "day": "2026-11-21"})


def written(folder: Path) -> Path:
    """The schema as a person's file."""
    path = folder / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return path


async def answered(
    world: World,
    loopback: LoopbackServer,
    planner: str,
    *answers: str,
    checks: tuple[str, ...] = (),
) -> dict[str, Any]:
    """A run of one step whose answer is to fit the schema: its state, its answer's data, and what
    was asked for the answer and after it."""
    settings = ModelsSettings(api_bases={"openai/": loopback.base})
    world.services.settings = world.settings.model_copy(update={"models": settings})
    loopback.serve(planner, *(Reply(text) for text in (plan({"id": "a"}), *answers)))
    loopback.serve("codes", Reply(fenced("python", "print(7)")), Reply(report(result="seven")))
    loopback.serve("judges", *(Reply(text) for text in (*checks, check())))
    models = {"planner": f"openai/{planner}", "executor": "openai/codes"}
    models["checker"] = "openai/judges"
    wanted = Submission(
        text="How many?", models=models, sandbox="unsafe-host", schema=written(world.folder)
    )
    run_id = world.queue.submit(wanted, world.settings).run_id
    state = await world.drive(run_id)
    drafted = world.events(run_id, "answer.drafted")
    return {
        "final": state.final,
        "data": drafted[-1].data["answer"]["data"] if drafted else None,
        "refused": [e.data["problems"] for e in world.events(run_id, "reply.refused")],
        "purposes": [e.data["purpose"] for e in world.events(run_id, "model.started")],
        "requests": loopback.requests,
    }


async def test_a_bad_answer_is_put_right_in_a_new_short_chat(
    world: World, loopback: LoopbackServer
) -> None:
    bad = '{"text": "Seven", "claims" = ' + " ".join(map(str, range(4_000))) + "}"
    told = await answered(world, loopback, "plans", bad, GOOD)
    assert (told["final"], told["data"]) == ("done", {"n": 7, "day": "2026-11-21"})
    assert told["purposes"].count("correct") == 1
    (message,) = told["requests"][told["purposes"].index("correct")]["messages"]
    text = message["content"]
    assert '"claims": [{"text"' in text, "the form"
    assert '"format": "date"' in text, "the task's own schema"
    assert "syntax: not JSON" in text, "what is wrong"
    assert bad[:BAD_CHARS] in text
    assert bad[: BAD_CHARS + 1] not in text
    assert len(text) < BAD_CHARS + 2_000


async def test_no_answer_is_corrected_more_than_twice(
    world: World, loopback: LoopbackServer
) -> None:
    told = await answered(world, loopback, "plans", "I would rather not.")
    assert told["final"] == "partial"
    assert told["purposes"].count("correct") == 2
    assert all(len(problems) > 0 for problems in told["refused"])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"n": "seven", "day": "2026-11-21"}, "data.n: 'seven' is not of type 'integer'"),
        ({"n": 7, "day": "tomorrow"}, "data.day: 'tomorrow' is not a 'date'"),
        (None, "data: None is not of type 'object'"),
    ],
)
async def test_data_that_does_not_fit_the_schema_is_told_and_corrected(
    world: World, loopback: LoopbackServer, data: Any, problem: str
) -> None:
    told = await answered(world, loopback, "plans", answer("Seven [1].", 1, data=data), GOOD)
    assert told["refused"] == [[problem]]
    assert told["data"] == {"n": 7, "day": "2026-11-21"}


async def test_a_native_mode_is_asked_for_where_the_profile_has_one_and_its_reply_still_read(
    world: World, loopback: LoopbackServer
) -> None:
    wrapped = json.dumps({"n": 7, "day": "2026-11-21"})
    native = fenced("json", json.dumps({"text": "Seven [1].", "claims": [], "data": wrapped}))
    good = answer("Seven [1].", 1, data=wrapped)
    told = await answered(world, loopback, "gpt-4o", "{", good, native)
    assert (told["final"], told["data"]) == ("done", {"n": 7, "day": "2026-11-21"})
    modes = {
        purpose: request.get("response_format")
        for purpose, request in zip(told["purposes"], told["requests"], strict=True)
    }
    assert modes["plan"] is None, "a plan has prose before it"
    assert modes["act"] is None
    assert modes["check"] is None, "the checker's profile has no native mode"
    for purpose in ("answer", "correct"):
        sent = modes[purpose]["json_schema"]["schema"]
        assert sent["required"] == ["text"]
        inner = sent["properties"]["data"]
        assert inner["properties"]["n"] == {"$ref": "#/properties/data/$defs/count"}
        assert "$schema" not in inner
