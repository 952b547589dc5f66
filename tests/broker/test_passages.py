"""What a person may rely on when words are looked for in a source, and pages are kept."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from planner_app.broker.cache import CachedPage, PageCache
from planner_app.broker.passages import MAX_PASSAGES, find_passages
from planner_app.broker.port import NewSource
from planner_app.broker.readable import in_pages, parts_of


def test_the_passage_with_most_of_the_words_comes_first() -> None:
    far = "filler " * 300
    text = f"Taxes rose. {far} The window tax was raised in 1784. {far}\fwindows and doors"
    best, *others = find_passages(text, "window TAX 1784")
    assert "The window tax was raised in 1784." in best.text
    assert text[best.offset :].startswith(best.text[:20])
    assert [(other.page, other.text[:6]) for other in others] == [(1, "Taxes "), (2, "window")]


def test_words_are_found_in_scripts_without_spaces() -> None:
    (found,) = find_passages("\u6771\u4eac\u90fd\u306e\u4eba\u53e3\u306f", "\u4eba\u53e3")
    assert "\u4eba\u53e3" in found.text


def test_words_that_do_not_stand_there_give_nothing() -> None:
    assert find_passages("some text", "zebra") == ()
    assert find_passages("some text", " ?! ") == ()
    assert find_passages("", "word") == ()
    assert find_passages("syntax", "tax") == ()


@given(st.text(max_size=500), st.text(max_size=30))
def test_every_passage_stands_in_the_text_at_its_place(text: str, words: str) -> None:
    passages = find_passages(text, words)
    assert len(passages) <= MAX_PASSAGES
    for passage in passages:
        assert passage.text
        assert passage.text in text[passage.offset :]
        assert passage.page == text[: passage.offset].count("\f") + 1


def page(name: str, size: int) -> CachedPage:
    document = in_pages("text", "text/plain", "x" * size)
    source = NewSource("page", name, name, b"", "", "text/plain", datetime.now(UTC), weak=False)
    return CachedPage(source, document, parts_of(document))


async def test_the_page_used_longest_ago_is_dropped_first() -> None:
    cache = PageCache(max_size=1000)
    fetched: list[str] = []

    async def get(name: str, size: int = 200) -> None:
        async def fetch() -> CachedPage:
            fetched.append(name)
            return page(name, size)

        assert (await cache.get(name, fetch)).source.title == name

    for name in ("a", "b", "a", "c", "a", "b"):
        await get(name)
    assert fetched == ["a", "b", "c", "b"]
    await get("huge", 5000)
    await get("huge", 5000)
    assert fetched[-1] == "huge"
    assert fetched.count("huge") == 1


def test_loading_the_tools_costs_no_http_parser_or_search_library() -> None:
    heavy = ("httpcore", "httpx", "trafilatura", "lxml", "pypdf", "ddgs", "primp", "anyio")
    code = (
        "import sys, planner_app.broker.services, planner_app.broker.standalone\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
