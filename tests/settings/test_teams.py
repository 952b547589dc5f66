"""Which team follows from which keys."""

from __future__ import annotations

import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.errors import KeyringLocked

from planner_app.domain.errors import KeyMissing, ModelMissing
from planner_app.domain.places import LocalServer
from planner_app.domain.teams import (
    PROVIDERS,
    TeamChoice,
    choose_team,
    family,
    key_problem,
    key_variables,
    provider_of,
)
from planner_app.settings_keys import (
    all_keys,
    check_key_for,
    find_keys,
    keys_in_environment,
    needs_of,
)

OLLAMA = LocalServer("Ollama", "http://127.0.0.1:11434", ("ollama_chat/qwq",))


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.name)
def test_one_key_makes_a_team_and_says_why(provider) -> None:
    team = choose_team(TeamChoice(), [provider.variable])
    assert (team.planner, team.executor) == (provider.planner, provider.executor)
    assert provider.variable in team.why
    assert "\n" not in team.why


def test_the_first_in_the_documented_order_wins_and_another_family_checks() -> None:
    team = choose_team(TeamChoice(), ["OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"])
    assert team.planner.startswith("deepseek/")
    assert team.checker.startswith("anthropic/")
    assert team.checker in team.why


def test_the_same_family_elsewhere_is_no_second_opinion() -> None:
    team = choose_team(TeamChoice(), ["DEEPSEEK_API_KEY", "OPENROUTER_API_KEY"])
    assert team.checker == team.planner


def test_what_a_person_names_wins() -> None:
    choice = TeamChoice(planner="a/p", checker="b/c")
    team = choose_team(choice, key_variables())
    assert team.models == {"planner": "a/p", "executor": "a/p", "checker": "b/c"}


def test_a_named_executor_keeps_the_found_planner() -> None:
    team = choose_team(TeamChoice(executor="x/y"), ["OPENAI_API_KEY"])
    assert team.planner == "openai/gpt-5.6"
    assert team.executor == "x/y"


def test_solo_lets_one_model_do_both() -> None:
    team = choose_team(TeamChoice(mode="solo"), ["OPENAI_API_KEY"])
    assert team.executor == team.planner


def test_a_local_server_comes_last_and_brings_its_address() -> None:
    assert choose_team(TeamChoice(), ["OPENAI_API_KEY"], [OLLAMA]).planner.startswith("openai/")
    team = choose_team(TeamChoice(), [], [OLLAMA])
    assert team.planner == "ollama_chat/qwq"
    assert team.api_bases == {"ollama_chat/qwq": "http://127.0.0.1:11434"}


def test_with_nothing_found_it_says_what_to_do() -> None:
    with pytest.raises(ModelMissing, match="planner run --example") as caught:
        choose_team(TeamChoice(), [])
    assert caught.value.exit_code == 4


@given(st.sets(st.sampled_from(key_variables())), st.booleans())
def test_every_set_of_keys_gives_a_whole_team_or_says_that_none_is_there(keys, local) -> None:
    servers = [OLLAMA] if local else []
    if not keys and not servers:
        with pytest.raises(ModelMissing):
            choose_team(TeamChoice(), keys, servers)
        return
    team = choose_team(TeamChoice(), keys, servers)
    assert all(team.models.values())
    others = [p for p in PROVIDERS if {p.variable, *p.other_variables} & keys]
    if len({family(p.planner) for p in others}) > 1:
        assert family(team.checker) != family(team.planner)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.name)
def test_a_models_provider_is_known_by_its_name(provider) -> None:
    assert provider_of(provider.planner) is provider
    assert provider_of(provider.executor) is provider


@pytest.mark.parametrize("name", ["scripted:x", "recorded:r_1", "ollama_chat/x", "unheard/of"])
def test_models_without_a_known_provider_need_no_key(name) -> None:
    assert provider_of(name) is None
    assert check_key_for(name, {}) is None


def test_a_key_in_the_wrong_variable_is_said_and_never_printed() -> None:
    key = "sk-ant-" + "x" * 30
    said = key_problem("OPENAI_API_KEY", key)
    assert "ANTHROPIC_API_KEY" in said
    assert key not in said
    env = {"OPENAI_API_KEY": key}
    with pytest.raises(KeyMissing) as caught:
        check_key_for("openai/gpt-5.6", env)
    assert key not in str(caught.value)
    assert key not in repr(keys_in_environment(env))


@pytest.mark.parametrize(
    "key", [" sk-abc", "sk-abc\n", "sk abc", "sk-äbc", "sk-\x00", '"sk-abc"', "'sk-abc'", "..."]
)
def test_a_key_that_cannot_be_one_is_said(key) -> None:
    assert "OPENAI_API_KEY" in key_problem("OPENAI_API_KEY", key)


def test_a_beginning_that_several_providers_share_is_not_blamed_on_one() -> None:
    said = key_problem("ANTHROPIC_API_KEY", "sk-" + "x" * 30)
    assert "begins with sk-ant-" in said
    assert "OPENAI_API_KEY" in said
    assert "DEEPSEEK_API_KEY" in said


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        ("OPENAI_API_KEY", "sk-proj-abc"),
        ("ANTHROPIC_API_KEY", "sk-ant-abc"),
        ("DEEPSEEK_API_KEY", "sk-abc"),
        ("OPENROUTER_API_KEY", "sk-or-v1-abc"),
        ("MISTRAL_API_KEY", "abcdef"),
    ],
)
def test_ordinary_keys_are_fine(variable, key) -> None:
    assert key_problem(variable, key) == ""


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(KeyMissing, match="ANTHROPIC_API_KEY"):
        check_key_for("anthropic/claude-opus-4-8", {})


def test_without_keys_anywhere_none_are_found() -> None:
    assert find_keys({}) == {}


def test_a_key_of_the_keyring_counts_beside_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {"DEEPSEEK_API_KEY": "from-the-keyring", "OPENAI_API_KEY": "older"}
    monkeypatch.setattr(keyring, "get_password", lambda _service, name: kept.get(name))
    found = all_keys({"OPENAI_API_KEY": "sk-new"})
    assert {name: key.secret for name, key in found.items()} == {
        "DEEPSEEK_API_KEY": "from-the-keyring",
        "OPENAI_API_KEY": "sk-new",
    }
    assert "keyring" not in repr(found["OPENAI_API_KEY"])
    assert "from-the-keyring" not in repr(found)


@pytest.mark.parametrize(
    "fault", [RuntimeError("the bus exploded"), ModuleNotFoundError("backend"), KeyringLocked("no")]
)
def test_a_keyring_that_cannot_be_asked_keeps_nobody_from_other_keys(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def broken(_service: str, _name: str) -> str:
        raise fault

    monkeypatch.setattr(keyring, "get_password", broken)
    assert find_keys({}) == {}
    assert list(all_keys({"OPENAI_API_KEY": "sk-new"})) == ["OPENAI_API_KEY"]


def test_only_keys_that_are_set_here_are_asked_of_a_worker() -> None:
    env = {"GOOGLE_API_KEY": "AIza-x", "XAI_API_KEY": ""}
    asked = ["gemini/gemini-3-pro", "xai/grok-4", "ollama_chat/qwq", "acme/x"]
    assert needs_of(asked, env) == [("GOOGLE_API_KEY", "GEMINI_API_KEY")]


def test_a_key_that_cannot_be_used_is_why_there_is_no_team() -> None:
    with pytest.raises(ModelMissing, match=r"no key can be used.*holds white space"):
        choose_team(TeamChoice(), (), (), ["OPENAI_API_KEY holds white space"])
