"""Waits grow with jitter and end in time; prices are exact, and unknown ones stay unknown."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.domain.errors import BadInput
from planner_app.models.assembly import Assembly
from planner_app.models.complaints import read_retry_after
from planner_app.models.faults import Place, plain_text
from planner_app.models.port import (
    RETRYABLE,
    Delta,
    Message,
    ModelError,
    ModelErrorKind,
    ModelReply,
    ModelRequest,
    ModelSpec,
    OnDelta,
    Profile,
)
from planner_app.models.price_table import (
    context_window,
    nearest_names,
    provider_is_known,
    table_price,
    withdrawal,
)
from planner_app.models.prices import Price, Step
from planner_app.models.retry import RetryPolicy, complete_with_retry
from planner_app.models.tokens import estimate_tokens
from tests.models.calls import Heard, ask, real_client


class Failing:
    """Fails with these kinds in turn, over and over; each call takes a second."""

    def __init__(self, *kinds: ModelErrorKind) -> None:
        self.kinds = kinds
        self.now = 0.0
        self.deadlines: list[float] = []

    async def complete(self, request: ModelRequest, on_delta: OnDelta) -> ModelReply:
        kind = self.kinds[len(self.deadlines) % len(self.kinds)]
        self.deadlines.append(request.deadline_s)
        self.now += 1.0
        raise ModelError(kind, f"it was {kind}")

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def price(self, spec: ModelSpec) -> Price | None:
        return None

    def profile(self, spec: ModelSpec) -> Profile:
        return Profile()

    def count_tokens(self, spec: ModelSpec, messages: Sequence[Message]) -> int:
        return 0

    async def aclose(self) -> None:
        return None


async def fail(client: Failing, seed: int = 1, **changes: Any) -> tuple[ModelError, Heard]:
    heard = Heard()
    with pytest.raises(ModelError) as caught:
        await complete_with_retry(
            client, ask("x/y", **changes), heard.deltas.append, heard.retries.append,
            sleep=client.sleep, clock=lambda: client.now, rng=random.Random(seed),
        )  # fmt: skip
    return caught.value, heard


@pytest.mark.parametrize("kind", sorted(RETRYABLE))
async def test_what_may_pass_is_retried_five_times_at_most(kind: ModelErrorKind) -> None:
    client = Failing(kind)
    error, heard = await fail(client, deadline_s=1000.0)
    assert (error.kind, len(client.deadlines), len(heard.retries)) == (kind, 6, 5)


@pytest.mark.parametrize(
    "kind",
    ["auth", "forbidden", "not_found", "bad_request", "context_overflow", "content_policy",
     "quota", "tls", "too_long", "deadline", "unknown_model", "unscripted"],
)  # fmt: skip
async def test_what_will_not_pass_is_never_retried(kind: ModelErrorKind) -> None:
    client = Failing(kind)
    error, heard = await fail(client)
    assert (error.kind, len(client.deadlines), heard.retries) == (kind, 1, [])


@given(st.integers(0, 10_000))
def test_waits_have_full_jitter_under_a_doubling_bound(seed: int) -> None:
    policy, rng = RetryPolicy(), random.Random(seed)
    for number in range(1, 12):
        assert 0.0 <= policy.wait_s(number, rng) <= min(60.0, 2.0 ** (number - 1))


@given(st.integers(0, 200))
async def test_all_tries_and_waits_keep_to_one_deadline(seed: int) -> None:
    client = Failing("server")
    _, heard = await fail(client, seed, deadline_s=8.0)
    assert client.now <= 9.0
    assert client.deadlines[0] == 8.0
    assert all(b <= a - 1.0 for a, b in zip(client.deadlines, client.deadlines[1:], strict=False))
    assert len(heard.retries) == len(client.deadlines) - 1


NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0), ("0.5", 0.5), ("-2", 0.0), ("Sat, 21 Nov 2026 10:01:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0), ("later", None), ("", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms(value: str, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    ["key sk-abcdef0123456789abcd is bad", "Bearer abcdefgh.ijkl", "AIzaSyA1234567890abcdefghijkl",
     "my own secret"],
)  # fmt: skip
def test_no_key_is_ever_quoted(text: str) -> None:
    place = Place("m", None, "my own secret")
    assert "***" in plain_text(text, place)
    assert "secret" not in repr(place)


def test_a_price_counts_cached_tokens_apart() -> None:
    price = Price(2.0, 10.0, 0.5)
    assert price.cost(1_000_000, 100_000, 500_000) == pytest.approx(1.0 + 0.25 + 1.0)
    assert price.cost(10, 0, 99) == pytest.approx(10 * 0.5 / 1e6)


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**7))
def test_the_worst_case_is_never_exceeded(prompt: int, completion: int, cached: int) -> None:
    price = Price(2.0, 10.0, 0.5, steps=(Step(200_000, 4.0, 18.0),))
    assert price.cost(prompt, completion, cached) <= price.worst_case(prompt, completion) + 1e-12


def test_a_long_prompt_costs_the_dearer_rate() -> None:
    price = Price(2.0, 10.0, steps=(Step(200_000, 4.0, 18.0),))
    assert price.cost(200_001, 0) == pytest.approx(200_001 * 4 / 1e6)


def test_reasoning_may_have_a_price_of_its_own() -> None:
    price = Price(1.0, 2.0, reasoning_usd_per_mtok=8.0)
    assert price.cost(0, 1_000_000, 0, 250_000) == pytest.approx(0.75 * 2 + 0.25 * 8)
    assert price.worst_case(0, 1_000_000) == 8.0


def test_names_that_were_probably_meant_are_offered() -> None:
    assert nearest_names("deepseek/deepseek-reasonr")[0] == "deepseek/deepseek-reasoner"
    assert nearest_names("deepseek-reasoner") == ("deepseek/deepseek-reasoner",)
    assert nearest_names("antropic/claude-sonnet-5")[0] == "anthropic/claude-sonnet-5"
    assert nearest_names("nobody/knows") == ()
    found = importlib.util.find_spec("litellm")
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).with_name("types") / "utils.py"
    listing = source.read_text(encoding="utf-8").split("class LlmProviders(str, Enum):")[1]
    names = re.findall(r'^    \w+ = "([^"]+)"$', listing.split("\n\n\n")[0], re.MULTILINE)
    tools = {"aws_textract", "langfuse", "humanloop", "azure_speech", "dotprompt",
             "a2a_agent", "litellm_agent"}  # fmt: skip
    assert len(names) > 100
    assert {name for name in names if not provider_is_known(name)} <= tools
    assert not provider_is_known("opneai")


def test_a_model_that_is_soon_withdrawn_is_said_sixty_days_before() -> None:
    name, ends = "openai/gpt-4-0613", date.fromisoformat(_listed("gpt-4-0613"))
    assert withdrawal(name, ends - timedelta(days=61)) == ""
    assert f"on {ends}, in 60 days" in withdrawal(name, ends - timedelta(days=60))
    assert "tomorrow" in withdrawal(name, ends - timedelta(days=1))
    assert f"was withdrawn by its provider on {ends}" in withdrawal(name, ends)
    assert withdrawal("acme/never-heard-of", ends) == ""
    assert withdrawal("sample_spec", ends) == ""


def _listed(name: str) -> str:
    """The date as litellm's table has it."""
    found = importlib.util.find_spec("litellm")
    assert found is not None
    assert found.origin is not None
    file = Path(found.origin).with_name("model_prices_and_context_window_backup.json")
    return str(json.loads(file.read_text(encoding="utf-8"))[name]["deprecation_date"])


def test_a_price_of_nothing_in_the_table_is_no_price_unless_the_name_says_free() -> None:
    assert table_price("publicai/swiss-ai/apertus-8b-instruct") is None
    assert table_price("openrouter/openrouter/free") is not None
    assert table_price("hosted_vllm/gpt-4o") is None
    assert table_price("sample_spec") is None
    bedrock = table_price("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    assert bedrock is not None
    assert [step.above for step in bedrock.steps] == [200_000]


def test_prices_by_ranges_of_the_prompt_are_read() -> None:
    qwen = table_price("dashscope/qwen3-coder-plus")
    assert qwen is not None
    assert qwen.cost(1_000_000, 0) > qwen.cost(200_000, 0) * 5
    assert [step.above for step in qwen.steps] == sorted(step.above for step in qwen.steps)
    assert qwen.steps[0].above == 32_000


def test_listed_prices_are_known_without_importing_litellm() -> None:
    price = table_price("anthropic/claude-sonnet-4-5")
    assert price is not None
    assert price.source == "table"
    assert price.output_usd_per_mtok > price.input_usd_per_mtok > 0
    assert (context_window("anthropic/claude-sonnet-4-5") or 0) >= 100_000
    assert table_price("acme/never-heard-of") is None


def test_a_window_is_known_from_the_table_the_options_or_not_at_all() -> None:
    client = real_client()
    assert (client.profile(ModelSpec(name="openai/gpt-4o")).context_window or 0) > 100_000
    assert client.profile(ModelSpec(name="ollama_chat/qwq")).context_window == 32768
    own = ModelSpec(name="ollama_chat/qwq", options={"num_ctx": 8192})
    assert client.profile(own).context_window == 8192
    assert client.profile(ModelSpec(name="openai/x", api_base="http://h/v1")).context_window is None
    with pytest.raises(BadInput, match="think_mode"):
        client.profile(ModelSpec(name="x/y", options={"think_mode": "sometimes"}))


@given(st.text(max_size=200))
def test_estimates_grow_with_the_text(text: str) -> None:
    assert 0 <= estimate_tokens(text) <= estimate_tokens(text + "abcd") <= len(text) * 2 + 8


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The run that was paused goes on where it was, and nothing is done twice. " * 20, 341),
        ("\n".join(f"{n},{n * 7 / 3:.3f},{n * n:.2f}" for n in range(100, 200)), 1_099),
        (json.dumps([{"id": n, "name": f"item_{n}", "v": n / 7} for n in range(100)]), 2_561),
        ("深度学习模型在许多任务上表现出色。" * 20, 380),
    ],
)
def test_no_estimate_is_far_below_what_a_tokenizer_counts(text: str, tokens: int) -> None:
    """Counted with tiktoken's cl100k_base."""
    assert 0.85 * tokens < estimate_tokens(text) < 1.5 * tokens


def test_signed_thoughts_are_put_together_as_they_must_go_back() -> None:
    """Synthetic: the pieces that litellm gives for Claude's stream."""
    heard: list[Delta] = []
    assembly = Assembly("field", heard.append, 1000)
    for text in ("I ", "think"):
        assembly.add_reasoning(text)
        assembly.add_blocks([{"type": "thinking", "thinking": text, "signature": ""}])
    assembly.add_blocks([{"type": "thinking", "thinking": "", "signature": "sig1"}])
    assembly.add_blocks([{"type": "redacted_thinking", "data": "x"}])
    assembly.add_text("Yes.")
    assembly.finish("stop")
    assert assembly.provider_state("anthropic") == {
        "provider": "anthropic",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "I think", "signature": "sig1"},
            {"type": "redacted_thinking", "data": "x"},
        ],
    }
    assert (assembly.text, assembly.reasoning) == ("Yes.", "I think")


@pytest.mark.parametrize(
    "module",
    ["port", "structured", "fences", "think", "profiles", "client", "scripted", "retry", "limiter",
     "price_table"],
)  # fmt: skip
def test_using_the_port_imports_nothing_heavy(module: str) -> None:
    code = (
        f"import sys; import planner_app.models.{module};"
        "print([m for m in ('litellm', 'openai', 'httpx', 'aiohttp', 'yaml', 'json_repair')"
        " if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
