"""Which value holds, where it came from, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.domain.errors import SettingsError
from planner_app.settings import Flag, Settings, load_settings
from planner_app.settings_layers import known_keys


def test_without_any_file_the_documented_defaults_hold(load) -> None:
    settings = load()
    limits = settings.budget.limits()
    assert (limits.usd, limits.seconds, limits.calls, limits.actions) == (2.0, 1800.0, 60, 100)
    assert settings.approve.mode == "outside"
    assert settings.sandbox.kind == "docker"
    assert settings.net.policy_for(has_attachments=False) == "open"
    assert settings.net.policy_for(has_attachments=True) == "seen"


def test_each_layer_wins_over_the_one_below(load) -> None:
    config = "[budget]\nusd = 1.5\nminutes = 20\ncalls = 50\nactions = 90\n"
    local = "[budget]\nminutes = 10\ncalls = 40\nactions = 80\n"
    settings = load(
        config,
        local,
        [Flag("--max-actions", "budget.actions", "70")],
        PLANNER_BUDGET_CALLS="30",
        PLANNER_BUDGET_ACTIONS="75",
    )
    budget = settings.budget
    assert (budget.usd, budget.minutes, budget.calls, budget.actions) == (1.5, 10, 30, 70)
    origins = settings.origins
    assert origins["budget.usd"].endswith("config.toml")
    assert origins["budget.minutes"].endswith(".planner.toml")
    assert origins["budget.calls"] == "PLANNER_BUDGET_CALLS"
    assert origins["budget.actions"] == "--max-actions"
    listed = {row.key: row.origin for row in settings.listed()}
    assert listed["budget.tokens"] == "default"


def test_one_folder_holds_everything_under_planner_home(load, home: Path) -> None:
    paths = load().paths
    files = (paths.database, paths.models_file, paths.config_file, paths.logs, paths.tools)
    assert all(home in file.parents for file in (*files, paths.profiles_file))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[budget]\nusdd = 3", "unknown key budget.usdd; did you mean budget.usd?"),
        ("[bugdet]\nusd = 3", "unknown key bugdet; did you mean [budget]?"),
        ("usd = 3", "unknown key usd; did you mean budget.usd?"),
        ("[teams.x]\nplaner = 'a'", "did you mean teams.x.planner?"),
        ("[budget]\nusd = 'a lot'", "budget.usd cannot be 'a lot'"),
        ("[budget]\nusd = -1", "budget.usd cannot be -1"),
        ("[budget]\ncalls = 0", "budget.calls cannot be 0"),
        ("[sandbox]\nmemory = '12 parsecs'", "sandbox.memory cannot be '12 parsecs'"),
        ("[sandbox]\nkind = 'dokcer'", "did you mean docker?"),
        ("[teams.x]\napi_base = 'localhost:80'", "http://localhost:80"),
        ("[teams.x]\nplanner = 'two words'", "without white space"),
        ("[models.prices.'a/b']\ninput = 1", "lacks 'output'"),
        ("[models.prices.'a/b']\ninput = -1\noutput = 2", "not negative"),
        ("[models.prices.'a/b']\ninput = nan\noutput = 2", "not negative"),
        ("[models.prices.'a/b']\ninput = 1\noutput = 2\ncache = 1", "did you mean cached?"),
        ("[models.prices.'a/b']\ninput = 0.00000055\noutput = 2", "million tokens, such as 0.55"),
        ("[models.prices.'a b']\ninput = 1\noutput = 2", "without white space"),
        ("[models.api_bases]\n'a/' = 'localhost:80'", "http://localhost:80"),
        ("[models.api_bases]\n'a/' = 'http://a b'", "use an address with http:// or https://"),
        ("[teams.x.options.planner]\ntemprature = 1", "did you mean temperature?"),
        ("[teams.x.options.planner]\ntemperature = 3", "less than or equal to 2"),
        ("[teams.x.options.planer]\nseed = 3", "planer"),
        ("[net]\npolicy = 'opne'", "use open, seen, off"),
        ("budget = 3", "write it as a table: [budget]"),
        ("openai_api_key = 'sk-1'", "keys come from the environment"),
        ("x = ", "is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_file_key_and_remedy(load, config, said) -> None:
    with pytest.raises(SettingsError) as caught:
        load(config)
    line = str(caught.value)
    assert said in line
    assert "config.toml" in line
    assert "\n" not in line
    assert caught.value.exit_code == 2


def test_what_looks_like_a_key_is_never_printed(load) -> None:
    with pytest.raises(SettingsError) as caught:
        load("[budget]\nusd = 'sk-abcdefghijklmnopqrstuvwxyz0123456789'")
    assert "abcdefgh" not in str(caught.value)


@pytest.mark.parametrize(
    "local",
    [
        "[teams.default]\nplanner = 'a/b'",
        "[models.api_bases]\n'a/' = 'http://evil.example'",
        "[net]\nallow_hosts = ['intranet']",
        "[net]\npolicy = 'evil.example'",
        "[net]\npolicy = 'open'",
        "[net]\nsearxng_url = 'http://evil.example'",
        "[sandbox]\nkind = 'unsafe-host'",
        "[sandbox]\nmemory = '1k'",
        "[approve]\nmode = 'never'",
        "[tools]\nfolder = '/tmp'",
        "[budget]\nusd = 3",
        "[budget]\nusd = 'none'",
        "team = 'other'",
    ],
)
def test_a_project_file_cannot_loosen_anything(load, local) -> None:
    with pytest.raises(SettingsError, match=r"\.planner\.toml"):
        load("", local)


def test_a_project_file_may_tighten(load) -> None:
    settings = load("", "[budget]\nusd = 0.5\ntokens = 1000\n[net]\npolicy = 'off'\n")
    assert settings.budget.usd == 0.5
    assert settings.budget.tokens == 1000
    assert settings.net.policy == "off"


def test_the_background_worker_ignores_project_files(home: Path, project: Path) -> None:
    (project / ".planner.toml").write_text("[budget]\nusd = 0.5\n", encoding="utf-8")
    env = {"PLANNER_HOME": str(home)}
    assert load_settings(project, env, with_project=False).budget.usd == 2.0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("PLANNER_BUDGT_USD", "did you mean PLANNER_BUDGET_USD?"),
        ("PLANNER_BUDGET_MINUTE", "did you mean PLANNER_BUDGET_MINUTES?"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest(load, name, said) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        load("", **{name: "3"})
    assert said in str(caught.value)


def test_tables_and_lists_fit_into_variables(load) -> None:
    settings = load(
        "",
        PLANNER_SANDBOX_PACKAGES="networkx, shapely",
        PLANNER_MODELS_PRICES='{"a/b" = {input = 1, output = "$2.50"}}',
        PLANNER_TEAMS_DEFAULT_MAX_PARALLEL="2",
    )
    assert settings.sandbox.packages == ("networkx", "shapely")
    assert settings.models.prices["a/b"].output == 2.5
    assert settings.teams["default"].max_parallel == 2


def test_passwords_in_addresses_are_masked_in_the_list(load) -> None:
    settings = load("[net]\nsearxng_url = 'https://me:secret@search.example'")
    shown = {row.key: row.value for row in settings.listed()}
    assert shown["net.searxng_url"] == "https://***@search.example"


def _outcome(load: Callable[..., Settings], **env: str) -> str:
    """The origins of what was set, or the line that refuses it."""
    try:
        return " ".join(load("", **env).origins.values())
    except SettingsError as error:
        return str(error)


def test_every_key_has_a_variable_of_its_name(load) -> None:
    for key in known_keys():
        name = "PLANNER_" + key.replace("NAME", "default").replace(".", "_").upper()
        outcome = _outcome(load, **{name: "3"})
        assert name in outcome
        assert "unknown" not in outcome


@given(st.text(max_size=200))
def test_no_file_however_written_gives_anything_but_settings_or_one_line(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.toml").write_text(text, encoding="utf-8", errors="replace")

        def load(_config: str) -> Settings:
            return load_settings(Path(folder), {"PLANNER_HOME": folder})

        outcome = _outcome(load)
        assert not outcome or "config.toml" in outcome


def test_settings_load_without_the_heavy_libraries() -> None:
    code = (
        "import sys, planner_app.settings\n"
        "heavy = {'sqlmodel', 'sqlalchemy', 'litellm', 'textual', 'httpx', 'docker', 'keyring'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
