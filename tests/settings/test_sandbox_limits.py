"""What a sandbox may use, by settings: the task's over its team's over those of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner_app.domain.errors import SettingsError

BIG = """
[sandbox]
memory = "512m"
pids = 50
[teams.big.sandbox]
memory = "2g"
cpus = 2
"""


def test_the_task_wins_over_its_team_and_that_over_the_settings(load) -> None:
    settings = load(BIG)
    assert settings.limits("default", {}) == {"memory": 512 * 2**20, "pids": 50}
    assert settings.limits("big", {}) == {"memory": 2 * 2**30, "pids": 50, "cpus": 2}
    assert settings.limits("big", {"cpus": 1})["cpus"] == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('[sandbox]\nmemory = "12 parsecs"', 'sandbox.memory cannot be .*"512m"'),
        ('[sandbox]\naction_seconds = "0s"', "between 100ms and 1d"),
        ("[sandbox]\ncpus = true", "sandbox.cpus"),
        ("[sandbox]\npids = nan", "sandbox.pids"),
        ('[sandbox]\npreload = ["os; x"]', "names of modules"),
        ('[teams.big.sandbox]\nmemory = "12 parsecs"', "teams.big.sandbox.*memory: "),
        ('[teams.big.sandbox]\nmemmory = "1g"', "did you mean memory"),
        ('[teams.big]\nsandbox = "1g"', "write it as a table"),
    ],
)
def test_a_bad_limit_names_the_file_the_key_and_an_example(
    home: Path, load, written: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        load(written)
    assert str(home / "config.toml") in caught.value.message
    assert "\n" not in str(caught.value)
