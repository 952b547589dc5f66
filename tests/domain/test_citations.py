"""What a person may rely on when an answer says that a source says so."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.domain.citations import (
    MAX_QUOTE,
    cited_ids,
    cut_quote,
    find_quote,
    is_too_short,
    unknown_ids,
)


@pytest.mark.parametrize(
    ("text", "quote", "stands_as"),
    [
        ("The cat sat.", "cat sat", "cat sat"),
        ("The  cat\n sat.", "The cat sat.", "The  cat\n sat."),
        ("She said \u201cno\u201d to it", 'said "no" to', "said \u201cno\u201d to"),
        ("it\u2019s fine", "it's fine", "it\u2019s fine"),
        ("1990\u20131995 was", "1990-1995 was", "1990\u20131995 was"),
        ("word \u2014 another", "word--another", "word \u2014 another"),
        ("e\ufb03cient \ufb01sh", "efficient fish", "e\ufb03cient \ufb01sh"),
        ("inter\u00adnational law", "international law", "inter\u00adnational law"),
        ("inter\u00ad\nnational law", "international law", "inter\u00ad\nnational law"),
        ("inter-\nnational law", "international law", "inter-\nnational law"),
        ("well-\nknown fact", "well-known fact", "well-\nknown fact"),
        ("cafe\u0301 au lait", "caf\u00e9 au lait", "cafe\u0301 au lait"),
        ("a\u00a0b\u2009c", "a b c", "a\u00a0b\u2009c"),
        ("zero\u200bwidth", "zerowidth", "zero\u200bwidth"),
        ("the **bold** word", "the bold word", "the **bold** word"),
        ("see [the act](https://x.org/a_(b)) of 1990", "see the act of 1990", None),
        ("list:\n\n- one thing\n- two things", "- one thing", "one thing"),
        ("list\n- one thing\n- two things", "one thing two things", "one thing\n- two things"),
        ("# Title\nText here", "Title Text here", "Title\nText here"),
        ("wait\u2026 what", "wait... what", "wait\u2026 what"),
        ("He left.", "\u201cHe left.\u201d", "He left."),
        ("He left early.", "...left early.", "left early."),
        ("temperature of \u22125 \u00b0C", "of -5 \u00b0C", "of \u22125 \u00b0C"),
        ("\u6771\u4eac\u90fd\u306e\u4eba\u53e3", "\u4eac\u90fd\u306e", "\u4eac\u90fd\u306e"),
        ("area of 10\u00b2 km", "10\u00b2 km", "10\u00b2 km"),
        ("snake_case * 3", "snake_case * 3", "snake_case * 3"),
        ("So the tower is tall.", "The tower is tall", "the tower is tall"),
        ("It is, as all know, very tall indeed.", "It is, as all ... very tall indeed", None),
        ("They said at length that no one came.", "They said [\u2026] no one came.", None),
        ("ends on one page\fand begins the next", "on one page and begins", None),
        ("\u201eSo was es\u201c, sagte sie", '"So was es", sagte', None),
        ("a so-\n  called fact", "a so-called fact", None),
        # An encyclopedia's footnotes, as they stand in a page and as a reader writes it down.
        ("It is 330 m[12] tall", "It is 330 m", "It is 330 m"),
        ("It is 330 m[12] tall", "It is 330 m tall", "It is 330 m[12] tall"),
        ("It is 330 m[12] tall", "It is 330 m[12] tall", None),
        ("It opened in 1889.\\[2\\]\\[a\\]", "opened in 1889", "opened in 1889"),
        ("is 330 m<sup>[\\[12\\]](https://x.org#c1)</sup> tall", "is 330 m tall", None),
        ("is 330 m<sup>[\\[12\\]](https://x.org#c1)</sup> tall", "is 330 m[12] tall", None),
        ("10<sup>2</sup> km of CO<sub>2</sub>", "10\u00b2 km of CO2", None),
        ("CO\u2082 and 10\u00b2\u00b3", "CO2 and 10<sup>23</sup>", None),
        # What a dash parts may be quoted by itself.
        ("The tower \u2014 the tallest \u2014 was built", "the tallest", "the tallest"),
        ("The tower\u2014the tallest\u2014was built", "was built", "was built"),
        ("The tower - the tallest - was built", "\u2013 the tallest \u2013", "the tallest"),
        # Markdown's own marks.
        ("a snake\\_case \\*word\\* in 2\\*3", "a snake_case *word* in 2*3", None),
        ("see [the act](https://x.org 'of 1990\")') now", "see the act", None),
        ('see [the act](https://x.org "1990") now', "see the act now", None),
        ("| Height | Built |\n|:---|---|\n| 330 m | 1889 |", "Height Built 330 m 1889", None),
        ("| Height | 330 m |\n|---|---|\n| Built | 1889 |", "| Built | 1889 |", None),
        # The stop that ends a quote need not stand there.
        ("It is 330 m tall, and old", "It is 330 m tall.", "It is 330 m tall"),
        # Where words have no spaces between them, one is layout.
        ("\u5854\u9ad8330\u7c73\u3002", "\u5854\u9ad8 330 \u7c73", "\u5854\u9ad8330\u7c73"),
        ("\u4eca\u5929\u5f88\n\u597d", "\u4eca\u5929\u5f88\u597d", None),
        ("\u4eca **\u5929** \u5f88", "\u4eca\u5929 \u5f88", None),
    ],
)
def test_a_faithful_quote_is_found_as_it_stands(
    text: str, quote: str, stands_as: str | None
) -> None:
    match = find_quote(text, quote)
    assert match is not None
    assert text[match.offset :].startswith(match.quote)
    if stands_as is not None:
        assert match.quote == stands_as


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("grew by 15 %", "5 %"),
        ("grew by 1.5 %", "5 %"),
        ("about 12.5 tons", "12"),
        ("1,234 people", "234 people"),
        ("1,234 people", "1"),
        ("fell to -5 %", "5 %"),
        ("fell to \u22125 %", "5 %"),
        ("unhappy people", "happy people"),
        ("un-happy people", "happy people"),
        ("un-\nhappy people", "happy people"),
        ("fell to 5 %", "-5 %"),
        ("The Cat", "the cat"),
        ("area of 10\u00b2 km", "102 km"),
        ("area of 10\u00b2 km", "10"),
        ("area of 10<sup>2</sup> km", "102 km"),
        ("area of 10<sup>2</sup> km", "area of 10"),
        ("10<sub>2</sub>", "102"),
        ("is 5.2 m", "is 5."),
        ("is 5,200 m", "is 5,"),
        ("It was 1889[2]", "18892"),
        ("x[1] = 5", "x[2] = 5"),
        ("rose to 5 [3] of 7", "rose to 5 of 7"),
        ("1 000 000 people", "1000000 people"),
        ("Height | 330 m", "Height: 330 m"),
        ("caf\u00e9 au lait", "cafe"),
        ("cafe\u0301 au lait", "cafe"),
        ("\uac01", "\uac00"),
        ("one two three", "one three"),
        ("anything", ""),
        ("anything ...", "..."),
        ("no one came, they said at length", "They said ... no one came"),
        ("the start is here" + " word" * 500 + " the end is there", "the start is ... the end is"),
        ("is not safe to use here", "is ... safe to use here"),
        ("THE TOWER IS TALL", "the tower is tall"),
        ("the tower", "The Tower"),
        ("x" * (MAX_QUOTE + 1), "x" * (MAX_QUOTE + 1)),
    ],
)
def test_a_quote_that_says_something_else_is_not_found(text: str, quote: str) -> None:
    assert find_quote(text, quote) is None


def test_a_number_is_found_where_it_stands_alone_behind_one_where_it_does_not() -> None:
    match = find_quote("15 % then 5 %", "5 %")
    assert match is not None
    assert match.offset == len("15 % then ")


def test_a_range_does_not_hide_its_end() -> None:
    assert find_quote("between 10-15 degrees", "15 degrees") is not None


def test_the_page_is_counted_by_form_feeds_and_quotes_may_cross_one() -> None:
    text = "first page\fsecond page ends\fthird"
    match = find_quote(text, "second page")
    assert match is not None
    assert match.page == 2
    crossing = find_quote(text, "ends third")
    assert crossing is not None
    assert (crossing.page, crossing.quote) == (2, "ends\fthird")


words = st.lists(
    st.text(string.ascii_letters + string.digits + "\u00e9\u00df\u4eac\u03c9", min_size=1),
    min_size=1,
    max_size=30,
)


@given(words, st.data())
def test_words_quoted_in_order_are_found_however_the_page_spaces_and_marks_them(
    spoken: list[str], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(spoken) - 1))
    last = data.draw(st.integers(first, len(spoken) - 1))
    gaps = st.sampled_from([" ", "\n", "\u00a0", " \n\n ", "\f", " \u200b ", "\n> "])
    marks = st.sampled_from(["", "**", "\u201c", "`"])
    page = ""
    for word in spoken:
        mark = data.draw(marks)
        page += data.draw(gaps) + mark + word + mark
    quote = " ".join(spoken[first : last + 1])
    plain = page.replace("\u201c", "")
    match = find_quote(plain, quote)
    assert match is not None
    assert plain[match.offset :].startswith(match.quote)


@given(st.text(max_size=300), st.text(max_size=40))
def test_what_is_reported_always_stands_in_the_text(text: str, quote: str) -> None:
    match = find_quote(text, quote)
    if match is not None:
        assert match.quote
        assert text[match.offset : match.offset + len(match.quote)] == match.quote
        assert match.page == text[: match.offset].count("\f") + 1


@given(st.text(max_size=200), st.text(alphabet=string.ascii_letters, min_size=1, max_size=12))
def test_a_word_that_the_text_does_not_hold_is_never_found(text: str, word: str) -> None:
    kept = "".join(char for char in text if char not in word and ord(char) < 128)
    assert find_quote(kept, word) is None


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("A [1]. B [2, 4] and [3][1].", [1, 2, 4, 3]),
        ("range [2-4] and [7\u20138]", [2, 3, 4, 7, 8]),
        ("reversed [5-2], huge [1-900]", [5, 2, 1, 900]),
        ("[0] and [] and [x] and [1.5]", []),
        ("code `a[1]` and\n```\nb[2]\n```\nbut [3]", [3]),
        ("a link [4](https://x.org)", [4]),
    ],
)
def test_cited_numbers_are_read_from_markers(text: str, numbers: list[int]) -> None:
    assert cited_ids(text) == numbers


spoken_words = st.sampled_from(["tower", "330", "1,234.5", "\u5854\u9ad8", "it's", "-"])


@given(st.lists(spoken_words, min_size=9))
def test_what_is_left_of_a_long_quote_still_stands_in_its_page(spoken: list[str]) -> None:
    page = " ".join(spoken)
    for most in range(10, len(page) + 1):
        assert len(cut_quote(page, most)) <= most
        assert find_quote(page, cut_quote(page, most)) is not None or "tower" not in page[:most]


@pytest.mark.parametrize("quote", ["", "a", "42", "5 %", "...", "\u4eac"])
def test_a_quote_that_stands_anywhere_shows_nothing(quote: str) -> None:
    assert is_too_short(quote)


@pytest.mark.parametrize("quote", ["330", "the", "291,940", "\u6771\u4eac"])
def test_a_short_quote_may_show_something(quote: str) -> None:
    assert not is_too_short(quote)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It is so [9].", [9]),
        ("It is so [2][9, 11].", [9, 11]),
        ("The element a[9] and f(x)[7] of 2023[8].", []),
        ("In code `[9]` and\n```\nx = [9]\n```\n", []),
        ("As of [2024] it is so [1].", []),
        ("A link [9](https://x.example/) is one.", [9]),
    ],
)
def test_markers_of_no_source_are_told_from_indexes_code_and_years(
    text: str, numbers: list[int]
) -> None:
    assert unknown_ids(text, {1, 2}) == numbers
