"""`planner run` against a server that speaks the OpenAI protocol: litellm and HTTP are real."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from planner_app.domain.events import Event
from planner_app.domain.fold import fold
from tests.engine.world import check, code, plan, report
from tests.loopback.fixtures import loopback  # noqa: F401 - a fixture
from tests.loopback.server import Form, LoopbackServer, Reply

THOUGHT = "I think about it. Wait, six times seven is forty-two."


async def planner(
    server: LoopbackServer, *arguments: str, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Runs the command with the server as its OpenAI; exit code, stdout, stderr."""
    settings = {"OPENAI_API_KEY": "sk-" + "test" * 10, "OPENAI_API_BASE": server.base}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "planner_app",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **settings, **(env or {})},
    )
    async with asyncio.timeout(100):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def believe_in_orphan_thoughts(home: Path) -> None:
    """A profile of the person's own: these models begin inside their reasoning."""
    home.mkdir()
    home.joinpath("profiles.toml").write_text(
        '[[profile]]\nmatch = ["*thinker", "*coder", "*judge"]\nthink_mode = "assume_think"\n'
    )


def serve_a_task(server: LoopbackServer, form: Form) -> None:
    """A planner, an executor and a checker that think in some wire form."""
    thought = "" if form == "none" else THOUGHT
    server.serve("thinker", Reply(plan({"id": "a"}), reasoning=thought, form=form))
    server.serve(
        "coder",
        Reply(code("print(6 * 7)"), reasoning=thought, form=form),
        Reply(report(result="It is 42."), reasoning=thought, form=form, when="42"),
    )
    server.serve("judge", Reply(check(), reasoning=thought, form=form))


@pytest.mark.parametrize("form", ["none", "reasoning_content", "inline", "orphan"])
async def test_a_task_runs_whatever_way_the_models_think(
    loopback: LoopbackServer,  # noqa: F811
    form: Form,
    planner_home: Path,
) -> None:
    serve_a_task(loopback, form)
    if form == "orphan":
        believe_in_orphan_thoughts(planner_home)
    models = ["--planner", "openai/thinker", "--executor", "openai/coder"]
    status, out, err = await planner(
        loopback,
        "run",
        "What is six times seven?",
        *models,
        "--checker",
        "openai/judge",
        "--sandbox",
        "unsafe-host",
        "--max-tokens",
        "200000",
        "--json",
    )
    assert status == 0, err
    events = [Event.model_validate_json(line) for line in out.splitlines()]
    state = fold(events)
    assert state.answer is not None
    assert "It is 42." in state.answer.text
    assert THOUGHT not in state.answer.text
    finished = [e for e in events if e.type == "model.finished"]
    assert all(("reasoning" in e.blobs) == (form != "none") for e in finished)
    assert state.spent.unpriced_calls == len(finished)
    assert all(THOUGHT not in json.dumps(r["messages"]) for r in loopback.requests)


async def test_what_a_model_refuses_and_when_it_ends_stand_in_the_trace(
    loopback: LoopbackServer,  # noqa: F811
    planner_home: Path,
) -> None:
    serve_a_task(loopback, "none")
    refusal = {"error": {"message": "Unsupported parameter: 'temperature' is not supported"}}
    loopback.serve(
        "gpt-4-0613", Reply(status=400, body=refusal), Reply(plan({"id": "a"})), Reply(check())
    )
    status, out, err = await planner(
        loopback,
        "run",
        "What is six times seven?",
        *("--planner", "openai/gpt-4-0613", "--executor", "openai/coder"),
        *("--sandbox", "unsafe-host", "--max-tokens", "200000", "--json"),
    )
    assert status == 0, err
    assert "note: openai/gpt-4-0613 was withdrawn by its provider on 2026-10-23" in err
    events = [Event.model_validate_json(line) for line in out.splitlines()]
    notes = [e.data["text"] for e in events if e.type == "note.added"]
    assert len([note for note in notes if "was withdrawn" in note]) == 1
    assert notes.count("openai/gpt-4-0613 does not take temperature: left out") == 1
    dropped = [e.data["dropped_params"] for e in events if e.type == "model.finished"]
    assert [d == ["temperature"] for d in dropped] == [True, False, False, True]
    asked = [r for r in loopback.requests if r["model"] == "gpt-4-0613"]
    assert ["temperature" in r for r in asked] == [True, False, False]
    assert "temperature" in (planner_home / "models.json").read_text()


async def test_a_refused_key_is_one_line_with_what_to_do(
    loopback: LoopbackServer,  # noqa: F811
) -> None:
    refused = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
    loopback.serve("*", Reply(status=401, body=refused))
    status, _, err = await planner(
        loopback,
        "run",
        "Anything",
        "--planner",
        "openai/thinker",
        "--sandbox",
        "unsafe-host",
        "--max-tokens",
        "200000",
    )
    assert status == 4
    assert "key" in err.splitlines()[-1]
    assert "testtest" not in err
    assert "Traceback" not in err
    assert len(loopback.requests) == 1
