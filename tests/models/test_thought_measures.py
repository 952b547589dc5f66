"""How a thought moved and in which language a text is, or that it cannot be told."""

# ruff: noqa: RUF001 - Chinese is written with its own comma

from __future__ import annotations

import pytest

from planner_app.models.language import (
    guess_language,
    keeps_facts,
    language_share,
    target_language,
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
        # Where a sentence begins.
        ("Use A.\r\nAlternatively, B.\r\n\r\nInstead, C.", 2, 0),
        ("Use A.Alternatively B.Wait, no.", 1, 1),
        ("See www.instead, and v1.alternatively.", 0, 0),
        ("Use A. - **Alternatively**, B. * Another approach: C. (Instead, D.)", 3, 0),
        ("Use A; alternatively, B: instead, C, or alternatively D", 0, 0),
        ("Use A... Alternatively, B\u2026 Hmm, C! On second thoughts, D? instead, E", 3, 1),
        ("Use A. But wait. So actually no. But alternatively, B.", 1, 2),
        ("Use A.   ALTERNATIVELY, B. LET'S TRY A DIFFERENT one.", 2, 0),
        ("Use \u0130\u0130\u0130. Alternatively, B.", 1, 0),
        ('It says "use B." Alternatively, C. (See above.) Instead, D.', 2, 0),
        ("用甲。”或者用乙。 \u3000另一种方法。", 2, 0),
        ("Use A.\n### Alternatively, B\n1. Instead, C\n2) Instead, D", 3, 0),
        # Words that only begin like a marker, or lack its comma.
        ("Use A. Instead of B, C. Alternativelyish. Waiter! Actual. Hmpf.", 0, 0),
        # What is quoted or is code was not thought.
        ('The task says: "Alternatively, use B." \u201cWait\u201d is a word.', 0, 0),
        ("> Alternatively, B.\n> Wait.", 0, 0),
        ("Use A.\n```python\n# c\nAlternatively, = 1\nwait\n```\nAlternatively, B.", 1, 0),
        ("Use A.\n~~~\nWait\nInstead, never closed", 0, 0),
        ("Use A.\n````\n```\nwait\n```\nAlternatively, x\n````\nWait", 0, 1),
        # A marker at the very beginning turns away from nothing.
        ("Alternatively, A. Then B.", 0, 0),
        ("\n\n- Alternatively, A. Instead, B.", 1, 0),
        # Chinese, with and without spaces, and both in one text.
        ("用甲。 或者用乙！另一种方法？换个思路\n或者", 4, 0),
        ("用甲，或者用乙。等等，不对。", 0, 1),
        ("Use A.或者用乙。Alternatively, C. 不对。", 2, 1),
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


@pytest.mark.parametrize(
    ("thoughts", "tokens", "per_1k", "mean", "flagged"),
    [
        (5, 500, 8.0, 100.0, True),
        (5, 745, 4000 / 745, 149.0, True),
        (5, 750, 4000 / 750, 150.0, False),  # a mean of 150 is not under 150
        (5, 800, 5.0, 160.0, False),  # 5 per 1,000 are not over 5
        (4, 100, 30.0, 25.0, False),  # three switches are under 4
        (1, 100, 0.0, 100.0, False),
        (11, 1650, 10_000 / 1650, 150.0, False),
        (11, 1100, 10_000 / 1100, 100.0, True),
    ],
)
def test_underthinking_is_flagged_by_all_three_bounds_together(
    thoughts: int, tokens: int, per_1k: float, mean: float, flagged: bool
) -> None:
    measured = measure_switches(" ".join(["Alternatively, so."] * thoughts), tokens=tokens)
    assert measured is not None
    assert measured.switches == thoughts - 1
    assert measured.per_1k == pytest.approx(per_1k)
    assert measured.mean_tokens == pytest.approx(mean)
    assert measured.underthinking is flagged


def test_the_share_of_short_thoughts_is_one_of_tokens() -> None:
    short, long = "a" * 419, "b" * 839  # 100 and 200 tokens at 4.2 letters each
    text = f"{short}.\nAlternatively, {long}"
    measured = measure_switches(text)
    assert measured is not None
    assert measured.tokens == 101 + 204
    assert measured.short_share == pytest.approx(101 / 305)
    doubled = measure_switches(text, tokens=610)
    assert doubled is not None
    assert doubled.short_share == 0.0, "by the provider's count both are long"


def test_a_hidden_count_of_nothing_is_no_count() -> None:
    measured = measure_switches(RESTLESS, tokens=0)
    assert measured is not None
    assert measured.tokens > 0


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
        (ENGLISH + " https://例子.cn/" + CHINESE.replace("，", "/"), "en", 1.0),
        # An address ends where Chinese goes on behind its own marks.
        (f"{ENGLISH} www.a.org/x。{CHINESE}", "en", pytest.approx(22 / 46)),
        (CHINESE + "\\begin{align}\nx &= \\text{where}\n\\end{align}", "zh", 1.0),
        (CHINESE + "``let it = be``", "zh", 1.0),
        ("Ｗｉｄｅ ｌｅｔｔｅｒｓ " * 10, "en", 1.0),
        ("🎉👍🏽 " * 40, "en", None),
        (ENGLISH + " “" + CHINESE + "”", "en", 1.0),
        (ENGLISH + "\n> " + CHINESE, "en", 1.0),
        (ENGLISH + "\r\n> " + CHINESE + "\r\n", "en", 1.0),
        (ENGLISH + " „" + CHINESE + "“ «" + CHINESE + "» 『" + CHINESE + "』", "en", 1.0),
        (ENGLISH + " \\(" + CHINESE + "\\) \\[" + CHINESE + "\\]", "en", 1.0),
        (ENGLISH + "\n~~~\n" + CHINESE, "en", 1.0),
        # Prices are no maths: what stands between them counts.
        (f"{ENGLISH} for $5 {CHINESE} and $10", "en", pytest.approx(24 / 48)),
        # Mostly code, and the rest too short to tell.
        ("Run it:\n```python\n" + "total = sum(rows)\n" * 40 + "```", "en", None),
        ("`a` " * 50, "en", None),
        # Nineteen units say nothing, twenty do.
        ("word " * 19, "en", None),
        ("word " * 20, "zh", 0.0),
        ("字" * 19, "zh", None),
        ("字" * 10 + " word" * 10, "zh", 0.5),
        # A hyphen or an apostrophe joins; a digit is no unit.
        ("it's well-known " * 10 + "12 345 6.7 " * 9, "en", 1.0),
        ("naïve façade déjà vu " * 5, "en", 1.0),
        ("한국어 문장은 단어마다 하나로 센다 " * 5, "ko", 1.0),
        ("ภาษาไทยไม่มีเว้นวรรคระหว่างคำ", "th", 1.0),
        ("μια ελληνική πρόταση με λέξεις " * 4, "en", 0.0),
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
    ("task", "language"),
    [
        ("How tall is the tower?", "en"),
        ("Report on the Chinese economy.", "en"),
        ("Translate this from Chinese into English.", "en"),
        ("Translate this into French, please.", "en"),
        ("Summarise it. Answer in Chinese.", None),
        ("Write it in simple Japanese.", None),
        ("请总结这份报告。", "zh"),
        ("请用英文总结这份报告。", None),
        ("この報告を英語で要約して下さい", None),
        ("Напиши отчёт на английском языке", None),
        ("2 + 2 = ?", None),
        # A question about a text in another script.
        ("请总结下面的文章：\n\n" + "The fox jumps over the dog. " * 9, None),
        ("Summarise this article for me:\n" + "我们先来看这个问题的条件。" * 9, None),
        ("请分析数据\ndata.csv\nhttps://a.org/x", "zh"),
    ],
)
def test_a_language_that_the_person_asks_for_is_not_corrected(
    task: str, language: str | None
) -> None:
    assert target_language(task) == language


@pytest.mark.parametrize(
    ("original", "translation", "kept"),
    [
        ("涨了１２％", "It rose by 12%", True),
        ("见 https://a.org/x。", "See https://a.org/x.", True),
        ("见（https://a.org/x）", "See (https://a.org/x)", True),
        ("a [1] b [1]", "a [1] b", False),
        ("a [1] b [2]", "b [2] a [1]", True),
        ("a [1]", "a (1)", False),
        ("1,234.5", "1.234,5", False),
        ("no facts", "keine", True),
        ("three", "3", False),
        ("-5 °C", "5 °C", False),
        ("−5 °C", "-5 °C", True),
        ("2010-2020", "2010 to 2020", True),
        ("见 www.a.org/x。", "See www.a.org/y.", False),
        ("a [3,4]", "a [3, 4]", True),
        ("a [3, 4]", "a (3, 4)", False),
    ],
)
def test_facts_are_compared_as_they_are_written(
    original: str, translation: str, kept: bool
) -> None:
    assert keeps_facts(original, translation) is kept


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
