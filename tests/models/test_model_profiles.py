"""Which habits a name gets, and what a person may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner_app.domain.errors import SettingsError
from planner_app.models.profiles import ProfileBook

BOOK = ProfileBook.load()


@pytest.mark.parametrize(
    ("name", "family", "system_role", "think_mode", "json_mode"),
    [
        ("ollama_chat/deepseek-r1:14b", "deepseek-r1", "none", "assume_think", "prompt"),
        ("openrouter/deepseek/deepseek-r1", "deepseek-r1", "none", "assume_think", "prompt"),
        ("hosted_vllm/deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "deepseek-r1", "none",
         "assume_think", "prompt"),
        ("deepseek/deepseek-reasoner", "deepseek-api", "system", "field", "json_object"),
        ("deepseek/deepseek-v4-pro", "deepseek-api", "system", "field", "json_object"),
        ("ollama_chat/qwq", "qwq", "user", "assume_think", "prompt"),
        ("hosted_vllm/Qwen/Qwen3-235B-A22B-Thinking-2507", "qwen3-thinking", "system",
         "assume_think", "prompt"),
        ("o3-mini", "o-series", "developer", "field", "native_schema"),
        ("openai/gpt-5.6", "gpt-5.1", "developer", "field", "native_schema"),
        ("anthropic/claude-opus-4-8", "claude", "system", "field", "prompt"),
        ("anthropic/claude-sonnet-5", "claude", "system", "field", "prompt"),
        ("anthropic/claude-sonnet-4-5-20250929", "claude-4.5", "system", "field", "prompt"),
        ("openrouter/anthropic/claude-sonnet-4.5", "claude-4.5", "system", "field", "prompt"),
        ("claude-3-5-sonnet", "claude-3.5 and before", "system", "off", "prompt"),
        ("gemini/gemini-3.1-pro-preview", "gemini-3", "system", "field", "native_schema"),
        ("groq/openai/gpt-oss-120b", "gpt-oss", "system", "auto", "prompt"),
        ("ollama_chat/qwen3-coder:30b", "qwen3-coder", "system", "auto", "prompt"),
        ("mistral/codestral-latest", "code", "system", "auto", "prompt"),
        ("acme/never-heard-of", "unknown", "system", "auto", "prompt"),
    ],
)  # fmt: skip
def test_every_family_is_known_by_its_names(
    name: str, family: str, system_role: str, think_mode: str, json_mode: str
) -> None:
    profile = BOOK.find(name)
    assert profile.family == family
    assert (profile.system_role, profile.think_mode, profile.json_mode) == (
        system_role, think_mode, json_mode,
    )  # fmt: skip


FAMILIES = {
    "deepseek-r1": """bedrock/us.deepseek.r1-v1:0 azure_ai/MAI-DS-R1 perplexity/r1-1776
        groq/deepseek-r1-distill-llama-70b ollama/deepseek-r1:8b-0528-qwen3-q4_K_M
        ollama_chat/hf.co/unsloth/DeepSeek-R1-0528-Qwen3-8B-GGUF:Q4_K_M
        lm_studio/deepseek-r1-distill-qwen-7b openrouter/deepseek/deepseek-r1-0528""",
    "deepseek-api": "deepseek-reasoner openai/deepseek-reasoner openrouter/x/deepseek-v4",
    "qwq": "ollama/qwq groq/qwen-qwq-32b hosted_vllm/Qwen/QwQ-32B-Preview dashscope/qwq-plus",
    "qwen3": "ollama_chat/qwen3:8b hosted_vllm/Qwen/Qwen3-32B dashscope/qwen3-max",
    "qwen3-thinking": """lm_studio/qwen/qwen3-4b-thinking-2507
        ollama_chat/qwen3:30b-a3b-thinking-2507-q4_K_M cerebras/qwen-3-235b-a22b-thinking-2507
        hosted_vllm/Qwen/Qwen3-Next-80B-A3B-Thinking""",
    "qwen3-instruct": """hosted_vllm/Qwen/Qwen3-235B-A22B-Instruct-2507
        ollama_chat/qwen3:30b-a3b-instruct-2507-q4_K_M""",
    "qwen3-coder": """Qwen3-Coder together_ai/Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8
        dashscope/qwen3-coder-plus ollama/qwen2.5-coder cerebras/qwen-3-coder-480b
        bedrock/qwen.qwen3-coder-480b-a35b-v1:0 openrouter/qwen/qwen3-coder:free""",
    "o-series": """o3 openai/o3 o4-mini o3-mini-2025-01-31 azure/o3-mini azure/o_series/mine
        openrouter/openai/o4-mini-high github/o3-mini""",
    "o1-mini and o1-preview": "o1-mini openai/o1-preview",
    "gpt-5": "gpt-5 gpt-5-mini openai/gpt-5-codex azure/eu/gpt-5-mini github_copilot/gpt-5",
    "gpt-5.1": "openai/gpt-5.1 azure/gpt-5.4-mini openai/gpt-6-sol",
    "gpt-5-chat": "gpt-5-chat-latest openai/gpt-5.1-chat-latest openrouter/openai/gpt-5-chat",
    "gpt-4": "gpt-4o openai/gpt-4.1-mini openai/ft:gpt-4o-mini:org::x chatgpt-4o-latest",
    "gpt-4 and before": "gpt-4 openai/gpt-4-turbo gpt-3.5-turbo gpt-4o-2024-05-13",
    "claude": """claude-opus-4-6 bedrock/us.anthropic.claude-opus-4-6-v1:0 vertex_ai/claude-opus-4-6
        openrouter/anthropic/claude-opus-4.6 claude-sonnet-5 anthropic/claude-opus-4-10""",
    "claude-4.5": """claude-opus-4-5 claude-sonnet-4-20250514 claude-opus-4-1-20250805
        bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0 vertex_ai/claude-sonnet-4@20250514
        vertex_ai/claude-sonnet-4-5@20250929 openrouter/anthropic/claude-opus-4 claude-opus-4-0
        snowflake/claude-4-sonnet databricks/databricks-claude-sonnet-4
        bedrock/converse/global.anthropic.claude-sonnet-4-5-20250929-v1:0""",
    "claude-3.7": "openrouter/anthropic/claude-3.7-sonnet:thinking claude-3-7-sonnet-20250219",
    "claude-3.5 and before": "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0 claude-3-haiku-x",
    "gemini-3": "gemini/gemini-3-pro-preview vertex_ai/gemini-3-flash gemini/gemini-flash-latest",
    "gemini-2.5": "gemini/gemini-2.5-pro openrouter/google/gemini-2.5-flash",
    "gemini-2.0 and before": "gemini/gemini-2.0-flash",
    "gpt-oss": """groq/openai/gpt-oss-120b ollama_chat/gpt-oss:20b bedrock/openai.gpt-oss-120b-1:0
        openrouter/openai/gpt-oss-120b:free""",
    "code": """deepseek/deepseek-chat mistral/devstral mistral/codestral-latest codellama
        moonshot/kimi-k2-0905-preview openrouter/deepseek/deepseek-v3.2-exp bedrock/deepseek.v3-v1:0
        fireworks_ai/accounts/fireworks/models/deepseek-v3p1 groq/moonshotai/kimi-k2-instruct""",
    "llama and other plain instruct models": """ollama_chat/mistral ollama_chat/phi4:14b
        openrouter/google/gemma-3-27b-it:free vertex_ai/meta/llama-4-maverick-17b-maas
        cohere_chat/command-a-03-2025 ollama_chat/mistral-nemo:12b mistral/mistral-medium-2508""",
    "other thinkers": """ollama_chat/phi4-reasoning:plus azure_ai/Phi-4-reasoning
        cohere/command-a-reasoning-08-2025 perplexity/sonar-reasoning-pro ollama_chat/cogito:14b
        openrouter/nvidia/llama-3.3-nemotron-super-49b-v1 volcengine/doubao-seed-1-6-thinking
        openrouter/qwen/qwen-plus-2025-07-28:thinking""",
    "grok": "xai/grok-4 xai/grok-3-mini openrouter/x-ai/grok-4",
    "grok-code": "xai/grok-code-fast-1",
    "grok-instruct": "xai/grok-4-fast-non-reasoning xai/grok-3",
    "kimi, glm and other thinkers with a field": "moonshot/kimi-k2-thinking zai/glm-4.6",
    "magistral": "mistral/magistral-medium-latest ollama_chat/magistral:24b",
    "unknown": "openai/octo-o1 vicuna/minigpt-4 hosted_vllm/my-own",
}  # fmt: skip
"""Names as people type them."""


@pytest.mark.parametrize("family", FAMILIES)
def test_names_find_their_family_under_every_provider(family: str) -> None:
    found = {name: BOOK.find(name).family for name in FAMILIES[family].split()}
    assert found == dict.fromkeys(found, family)


def test_who_does_not_think_is_not_asked_to() -> None:
    for family in ("claude-3.5 and before", "gemini-2.0 and before", "gpt-4", "code"):
        for name in FAMILIES[family].split():
            profile = BOOK.find(name)
            assert (profile.effort_param, profile.reasoning_visible) == (None, "none")


def test_the_figures_of_the_families_are_those_of_their_makers() -> None:
    r1 = BOOK.find("deepseek-r1")
    assert (r1.sampling, r1.few_shot) == ({"temperature": 0.6, "top_p": 0.95}, False)
    assert BOOK.find("ollama/qwq").sampling["top_k"] == 20
    assert BOOK.find("gpt-oss-20b").effort_values == ("low", "medium", "high")
    assert BOOK.find("claude-opus-4-5").thinking_budget_min == 1024
    assert BOOK.find("o1").reasoning_visible == "hidden"
    assert BOOK.find("gemini/gemini-3.1-pro-preview").sampling == {"temperature": 1.0}


def test_ollama_is_asked_to_tell_thoughts_apart_and_given_room() -> None:
    assert BOOK.find("ollama_chat/deepseek-r1:14b").extra == {"num_ctx": 32768, "think": True}
    assert BOOK.find("ollama/llama3.1").extra == {"num_ctx": 32768}
    # Its effort says it already; `think = true` would undo that.
    assert BOOK.find("ollama_chat/gpt-oss:20b").extra == {"num_ctx": 32768}


def own(tmp_path: Path, text: str) -> ProfileBook:
    path = tmp_path / "profiles.toml"
    path.write_text(text, encoding="utf-8")
    return ProfileBook.load(path)


def test_an_own_profile_need_only_name_what_differs(tmp_path: Path) -> None:
    book = own(
        tmp_path, '[[profile]]\nmatch = "*my-r1*"\nthink_mode = "field"\nlike = "deepseek-r1"'
    )
    profile = book.find("openai/my-r1")
    assert (profile.think_mode, profile.system_role) == ("field", "none")
    book = own(tmp_path, '[[profile]]\nmatch = "ollama_chat/qwq*"\nmax_output = 9000')
    assert (book.find("ollama_chat/qwq").max_output, book.find("ollama_chat/qwq").few_shot) == (
        9000, False,
    )  # fmt: skip


def test_the_last_of_the_own_profiles_wins(tmp_path: Path) -> None:
    text = "".join(
        f'[[profile]]\nmatch = "*x*"\nfamily = "{name}"\nmax_output = {size}\n'
        for name, size in (("first", 1), ("second", 2))
    )
    match = own(tmp_path, text).explain("openai/x")
    assert (match.profile.family, match.profile.max_output) == ("second", 2)
    assert "profiles.toml" in match.why
    assert "'*x*'" in match.why


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('match = "x"\nthink_mod = "off"', "line 3: field 'think_mod' is not known.*'think_mode'"),
        ('match = "x"\n\nthink_mode = "of"', "line 4: field 'think_mode' must be 'field'"),
        ('family = "mine"\nfew_shot = true', "field 'match' of profile 'mine' must be a pattern"),
        ("match = []", "line 2: field 'match' must be a pattern"),
        ('match = ["x", 3]', "line 2: field 'match' must be a pattern"),
        ('match = "^my.*$"', "looks like a regular expression"),
        ('match = "gpt-[4"', "brackets that match nothing"),
        ('match = "gpt-[9-1]"', "brackets that match nothing"),
        ('match = "my model"', "white space"),
        ('match = "x"\nlike = "deepseek-r2"', "did you mean 'deepseek-r1'"),
        ('match = "x"\nlike = 3', "field 'like' must name a family"),
        ('match = "x"\nmax_output = 0', "line 3: field 'max_output' must be greater than 0"),
        ('match = "x"\nsampling = "hot"', "line 3: field 'sampling' must be a valid dict"),
        ('match = "x"\nsampling = { temprature = 1 }', "did you mean 'temperature'"),
        ('match = "x"\nsampling = { top_p = nan }', "field 'sampling' must be a finite number"),
        ('match = "x"\nextra = { max_tokens = 9 }', "'max_tokens' is not a profile's to set"),
        ('match = "x"\nextra = { api_key = "k" }', "'api_key' is not a profile's to set"),
        ('match = "x"\n[[profil]]\nmatch = "x"', "unknown key 'profil'"),
        ('match = "x"\n[[profile', "not valid TOML"),
    ],
)
def test_a_mistake_in_an_own_profile_names_file_line_and_field(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        own(tmp_path, f"[[profile]]\n{text}")
    assert "profiles.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        ProfileBook.load(tmp_path / "profiles.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        ProfileBook.load(tmp_path)


def test_no_own_file_is_fine(tmp_path: Path) -> None:
    assert ProfileBook.load(tmp_path / "none.toml").find("o1").family == "o-series"
