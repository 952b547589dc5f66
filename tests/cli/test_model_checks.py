"""`planner models`: what is known of each model, and what one small call to each found."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from planner_app.cli.context import Context
from planner_app.cli.model_checks import Answered, Known, Look
from planner_app.models.port import ModelClient
from tests.cli.test_run_against_a_server import planner
from tests.loopback.fixtures import loopback  # noqa: F401 - a fixture
from tests.loopback.server import LoopbackServer, Reply

KEY = "sk-" + "test" * 10
IN_JSON = '{"answer": "one two three four five"}'


def refusal(message: str, status: int = 400) -> Reply:
    return Reply(status=status, body={"error": {"message": message}})


async def check(server: LoopbackServer, *names: str) -> dict[str, dict[str, Any]]:
    """`planner models NAMES --check --json`, by name; no key in it, nor a traceback."""
    status, out, err = await planner(server, "models", *names, "--check", "--json")
    assert KEY not in out + err
    assert "Traceback" not in err
    checks = json.loads(out)["checks"]
    assert status == (0 if all(one["ok"] for one in checks) else 4)
    return {one["name"]: one for one in checks}


async def test_each_model_is_told_by_what_it_really_did(
    loopback: LoopbackServer,  # noqa: F811
) -> None:
    loopback.serve("thinker", Reply(IN_JSON, reasoning="Hm. So."))
    loopback.serve("talker", Reply("one two three four five"))
    loopback.serve("older", refusal("response_format: json_schema is not supported"),
                   Reply(IN_JSON))  # fmt: skip
    loopback.serve("orphan", Reply(IN_JSON, reasoning="Hm. So.", form="orphan"))
    names = ["openai/thinker", "openai/talker", "openai/older", "openai/orphan"]
    found = await check(loopback, *names)
    assert [found[name]["ok"] for name in names] == [True] * 4
    assert [found[name]["reasons"] for name in names] == [True, False, False, True]
    assert [found[name]["streams"] for name in names] == [True] * 4
    assert found["openai/thinker"]["json_mode"] == "native_schema"
    assert found["openai/talker"]["json_mode"] is None
    assert found["openai/thinker"]["price_known"] is False
    assert found["openai/thinker"]["ms"] > 0
    assert found["openai/older"]["json_mode"] == "json_object"

    status, out, _ = await planner(loopback, "models", *names)
    assert status == 0
    assert out.count("asked 20") == 4


FAILS = {
    "unauthorized": (refusal("Incorrect API key provided: " + KEY, 401), "key refused"),
    "forbidden": (refusal("no", 403), "not allowed"),
    "nowhere": (refusal("model does not exist", 404), "unknown model"),
    "busy": (refusal("slow down", 429), "rate limit"),
    "poor": (refusal("insufficient balance", 402), "no credit"),
    "broken": (refusal("oops", 500), "server error"),
    "page": (Reply(fault="html"), "no model server"),
    "silent": (Reply(fault="empty_body"), "empty reply"),
}


async def test_each_way_to_fail_has_its_word(loopback: LoopbackServer) -> None:  # noqa: F811
    for name, (reply, _) in FAILS.items():
        loopback.serve(name, reply)
    found = await check(loopback, *(f"openai/{name}" for name in FAILS))
    assert {name: found[f"openai/{name}"]["failure"] for name in FAILS} == {
        name: word for name, (_, word) in FAILS.items()
    }


async def test_a_slow_model_keeps_no_other_from_being_told(tmp_path: Path) -> None:
    fast_is_told = asyncio.Event()

    class Slow(Look):
        async def _check(self, _client: ModelClient, known: Known) -> Answered:
            if known.name == "ollama_chat/slow":
                await fast_is_told.wait()
            return Answered(known.name, True, "reachable")

    def tell(answer: Answered) -> None:
        told.append(answer.name)
        fast_is_told.set()

    told: list[str] = []
    context = Context({"PLANNER_HOME": str(tmp_path)}, tmp_path)
    look = Slow(context.settings(), context, None)
    both = [look.known(name, ()) for name in ("ollama_chat/slow", "ollama_chat/fast")]
    async with asyncio.timeout(60):
        answers = await look.check_all(both, tell)
    assert told == ["ollama_chat/fast", "ollama_chat/slow"]
    assert [answer.name for answer in answers] == told[::-1]


@pytest.mark.parametrize(
    ("name", "env", "word", "said"),
    [
        ("deepseek/deepseek-chat", {}, "no key", "DEEPSEEK_API_KEY is not set"),
        ("openai/x", {"OPENAI_API_KEY": "sk-one two"}, "bad key", "white space"),
        ("openai/x", {"OPENAI_API_KEY": "sk-ant-" + "q" * 30}, "bad key", "ANTHROPIC_API_KEY"),
        ("opneai/gpt-5", {}, "unknown provider", "did you mean openai/gpt-5?"),
        ("deepseek-reasoner", {}, "unknown provider", "did you mean deepseek/deepseek-reasoner?"),
        ("gpt-5.99", {}, "unknown provider", "did you mean openai/gpt-5.99?"),
        ("Qwen3-Coder", {}, "unknown provider", "openai/Qwen3-Coder with its api_base"),
    ],
)
def test_what_cannot_be_asked_is_said_without_asking(typed, name, env, word, said) -> None:
    done = typed("models", name, "--check", **env)
    assert done.returncode == 4
    assert done.stdout.startswith(f"!!  {name}: {word}: ")
    assert said in done.stdout
    assert done.stdout.count("\n") == 1
    for secret in env.values():
        assert secret not in done.stdout + done.stderr


def test_a_persons_own_profile_is_named_with_its_file_and_pattern(
    typed, planner_home: Path
) -> None:
    planner_home.mkdir()
    file = planner_home / "profiles.toml"
    file.write_text('[[profile]]\nmatch = "*my-*"\nlike = "qwq"\n', encoding="utf-8")
    (model,) = json.loads(typed("models", "openai/my-own", "--json").stdout)["models"]
    assert (model["family"], model["why"]) == (
        "*my-*", f"'qwq' in the bundled profiles.toml; then '*my-*' in {file}",
    )  # fmt: skip
    file.write_text('[[profile]]\nmatch = "x"\nfewshot = true\n', encoding="utf-8")
    for command in (["models"], ["run", "x", "--planner", "openai/my-own"]):
        done = typed(*command, OPENAI_API_KEY=KEY)
        assert done.returncode == 2
        assert f"{file}, line 3: field 'fewshot' is not known" in done.stderr
    assert json.loads(typed("tasks", "--json").stdout) == {"runs": []}


def test_prices_and_withdrawals_are_told_with_their_source(typed, planner_home: Path) -> None:
    planner_home.mkdir()
    (planner_home / "config.toml").write_text(
        '[models.prices]\n"openai/" = { input = 1, output = 2.5, reasoning = 4 }\n',
        encoding="utf-8",
    )
    names = ("openai/mine", "anthropic/claude-sonnet-4-5", "hosted_vllm/x")
    models = json.loads(typed("models", *names, "--json").stdout)["models"]
    assert [model["price"] for model in models] == [
        "$1 in, $2.5 out, $4 reasoning per million tokens (your settings)",
        "$3 in, $15 out, $0.3 cached per million tokens (litellm's table)",
        "unknown",
    ]
