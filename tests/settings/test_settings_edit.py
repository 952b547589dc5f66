"""`config set` changes one value and keeps every other character."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_app.domain.errors import SettingsError
from planner_app.settings_edit import set_value

FILE = """\
# mine
team = "default"   # which one
[budget]  # money
usd = 1.5   # not "more" # than this

[teams.default]
planner = "a#b" # hash
[models.prices."x/y"]
input=1
output=2"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("budget.usd", "5", 'usd = 5  # not "more" # than this'),
        ("teams.default.planner", "deepseek/x", 'planner = "deepseek/x"  # hash'),
        ("team", "other", 'team = "other"  # which one'),
        ('models.prices."x/y".cached', "0.1", "cached = 0.1"),
        ("budget.minutes", "2h", 'minutes = "2h"'),
        ("net.policy", "off", 'policy = "off"'),
        ("sandbox.packages", '["a", "b"]', 'packages = ["a", "b"]'),
    ],
)
def test_only_the_line_of_the_value_changes(file: Path, key, value, line) -> None:
    set_value(file, key, value)
    after = file.read_text(encoding="utf-8")
    assert line in after.splitlines()
    name = line.split("=")[0]
    kept = [old for old in FILE.splitlines() if old and old.split("=")[0] != name]
    assert [new for new in after.splitlines() if new in kept] == kept


@pytest.mark.parametrize(
    ("key", "value"),
    [("budget.usdd", "1"), ("budget.usd", "a lot"), ("budget", "1"), ("a b", "1"), ("", "1")],
)
def test_a_mistake_leaves_the_file_untouched(file: Path, key, value) -> None:
    with pytest.raises(SettingsError):
        set_value(file, key, value)
    assert file.read_text(encoding="utf-8") == FILE


@pytest.mark.parametrize(
    ("text", "key", "told", "todo"),
    [
        ("a = 1\nbudget = { usd = 1.5 }", "budget.usd", "line 2: budget is", "write usd = 1 there"),
        ("[teams]\nx = {}", "teams.x.sandbox.cpus", "line 2: teams.x is", "write sandbox.cpus = 1"),
        ("[budget]\nusd = [\n]", "budget.usd", "line 2: budget.usd has", "write 1 there"),
        ("sandbox.pids = 9", "sandbox.cpus", "cannot be edited", "write sandbox.cpus = 1 into it"),
    ],
)
def test_a_file_that_cannot_be_edited_safely_is_left_alone_and_its_line_is_told(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str, key: str, told: str, todo: str
) -> None:
    monkeypatch.setattr("planner_app.settings_edit.check_tree", lambda *_: None)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=f"{told}.*{todo}.*by hand"):
        set_value(file, key, "1")
    assert file.read_text(encoding="utf-8") == text


def test_a_new_file_is_private_and_says_what_was_set(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    set_value(path, "budget.usd", "1")
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {"budget": {"usd": 1}}
    assert path.stat().st_mode & 0o077 == 0


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["# note", "", "[budget]", "[net]", "usd = 1", "policy = 'off'  # x", "calls = [", "]"]
        ),
        max_size=8,
    ),
    st.floats(0, 100, allow_nan=False),
)
def test_the_file_says_what_was_meant_or_is_unchanged(lines: list[str], usd: float) -> None:
    import tempfile

    text = "\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.toml")
        path.write_text(text, encoding="utf-8")
        try:
            set_value(path, "budget.usd", repr(usd))
        except SettingsError:
            assert path.read_text(encoding="utf-8") == text
        else:
            before = tomllib.loads(text)
            after = tomllib.loads(path.read_text(encoding="utf-8"))
            assert after["budget"]["usd"] == usd
            after["budget"].pop("usd")
            before.get("budget", {}).pop("usd", None)
            before.setdefault("budget", {})
            assert after == before
