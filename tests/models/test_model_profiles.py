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
        ("openai/gpt-5.6", "gpt-5", "developer", "field", "native_schema"),
        ("anthropic/claude-opus-4-8", "claude", "system", "field", "prompt"),
        ("anthropic/claude-sonnet-5", "claude", "system", "field", "prompt"),
        ("anthropic/claude-sonnet-4-5-20250929", "claude-4.5", "system", "field", "prompt"),
        ("openrouter/anthropic/claude-sonnet-4.5", "claude-4.5", "system", "field", "prompt"),
        ("claude-3-5-sonnet", "claude-4.5", "system", "field", "prompt"),
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
    assert BOOK.find("ollama_chat/llama3.1").extra == {"num_ctx": 32768}


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
        ('[[profile]]\nmatch = "x"\nthink_mod = "off"', "unknown field 'think_mod'.*'think_mode'"),
        ('[[profile]]\nmatch = "x"\nthink_mode = "of"', "field 'think_mode'"),
        ('[[profile]]\nfamily = "mine"\nfew_shot = true', "'mine': field 'match'"),
        ('[[profile]]\nmatch = "x"\nlike = "deepseek-r2"', "did you mean 'deepseek-r1'"),
        ('[[profil]]\nmatch = "x"', "unknown key 'profil'"),
        ("[[profile", "not valid TOML"),
    ],
)
def test_a_mistake_in_an_own_profile_names_file_and_field(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        own(tmp_path, text)
    assert "profiles.toml" in str(caught.value)


def test_no_own_file_is_fine(tmp_path: Path) -> None:
    assert ProfileBook.load(tmp_path / "none.toml").find("o1").family == "o-series"
