"""How a thought moved and in which language a text is, or that it cannot be told."""

# ruff: noqa: RUF001 - Chinese is written with its own comma

from __future__ import annotations

import pytest

from planner_app.models.language import (
    guess_language,
    keeps_facts,
    language_share,
)
from planner_app.models.thinking import measure_switches

STEADY = "First I count the cases. Then I add them. The sum is twelve. " * 10
RESTLESS = " ".join(
    f"Let me use method {n}. Wait, no. Alternatively, try number {n}." for n in range(6)
)


@pytest.mark.parametrize(
    ("text", "switches", "weak"),
    [
        (STEADY, 0, 0),
        (RESTLESS, 6, 6),
        ("Use A.\nAnother approach: B. On second thought C. Instead, D.", 3, 0),
        ("Use A. Let's try a different one. Let\u2019s try a different two.", 2, 0),
        ("We may alternatively do B, or instead, C.", 0, 0),
        ("先算一下。或者用别的。另一种方法是这样。换个思路。", 3, 0),
        ("等等，再看。不对。", 0, 2),
        ("Hmm. Actually, no. wait", 0, 3),
    ],
)
def test_switches_are_strong_markers_at_the_start_of_a_sentence(
    text: str, switches: int, weak: int
) -> None:
    measured = measure_switches(text)
    assert measured is not None
    assert (measured.switches, measured.weak) == (switches, weak)


def test_many_short_thoughts_are_flagged_and_a_steady_one_is_not() -> None:
    restless, steady = measure_switches(RESTLESS), measure_switches(STEADY)
    assert restless is not None
    assert steady is not None
    assert restless.underthinking
    assert restless.short_share == 1.0
    assert not steady.underthinking


def test_the_providers_count_is_taken_where_there_is_one() -> None:
    measured = measure_switches(RESTLESS, tokens=7000)
    assert measured is not None
    assert (measured.tokens, measured.mean_tokens) == (7000, 1000.0)
    assert measured.per_1k == pytest.approx(6 / 7)


@pytest.mark.parametrize(("visible", "text"), [("hidden", ""), ("summary", STEADY), ("full", " ")])
def test_hidden_thoughts_are_not_measurable_rather_than_zero(visible: str, text: str) -> None:
    assert measure_switches(text, visible) is None  # type: ignore[arg-type]


ENGLISH = (
    "The quick brown fox jumps over the lazy dog and runs far away into the dark wood, where it "
    "sleeps until dawn"
)
CHINESE = "我们先来看这个问题的条件，然后一步一步地推导出结果"


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        (ENGLISH, "en", 1.0),
        (CHINESE, "zh", 1.0),
        (CHINESE, "en", 0.0),
        (ENGLISH + " " + CHINESE, "en", pytest.approx(22 / 46)),
        ("too short", "en", None),
        (ENGLISH + "\n```python\n" + CHINESE + "\n```", "en", 1.0),
        (ENGLISH + " https://例子.cn/" + CHINESE, "en", 1.0),
        (ENGLISH + " “" + CHINESE + "”", "en", 1.0),
        (ENGLISH + "\n> " + CHINESE, "en", 1.0),
        (ENGLISH + " $" + CHINESE + "$", "en", 1.0),
        ("これは日本語の文章です。漢字とかなが混ざっています。", "ja", 1.0),
        ("Это довольно длинное русское предложение, в котором больше двадцати слов, " * 3, "ru", 1),
    ],
)
def test_the_share_of_a_language_counts_prose_only(
    text: str, language: str, share: float | None
) -> None:
    assert language_share(text, language) == share


def test_lines_of_the_task_do_not_count() -> None:
    task = "请把下面这句话翻译成英文并解释"
    assert language_share(f"{ENGLISH}\n{task}", "en", quoted_input=task) == 1.0


@pytest.mark.parametrize(
    ("text", "language"),
    [(ENGLISH, "en"), (CHINESE, "zh"), ("これは何ですか", "ja"), ("Привет", "ru"), ("123", None)],
)
def test_the_language_of_a_task_is_guessed_by_its_script(text: str, language: str | None) -> None:
    assert guess_language(text) == language


@pytest.mark.parametrize(
    ("translation", "kept"),
    [
        ("It grew 12.5% in 2024 [3], see https://a.org/x.", True),
        ("It grew 12.5% in 2024, see https://a.org/x.", False),
        ("It grew 12,5% in 2024 [3], see https://a.org/x.", False),
        ("It grew 12.5% in 2024 [3], see https://a.org/y.", False),
    ],
)
def test_a_translation_that_changes_a_fact_is_noticed(translation: str, kept: bool) -> None:
    original = "2024 年增长了 12.5% [3]，见 https://a.org/x。"
    assert keeps_facts(original, translation) is kept
