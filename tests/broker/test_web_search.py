"""What a person may rely on when the web is searched."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from planner_app.broker.port import Hit, SearchQuery, ToolFailed
from planner_app.broker.recorded import RecordedPages, RecordedSearch
from planner_app.broker.search import BACKENDS, PublicSearch, ask_ddgs, hit_of
from planner_app.broker.searxng import SearxngSearch, instance_host
from planner_app.broker.services import open_recorded
from planner_app.domain.errors import BadInput
from tests.broker.loopback_web import LoopbackSite, MakeFetcher, anywhere, response

HIT = Hit("A title", "https://example.org/a", "words", None)
Script = dict[str, Sequence[Hit] | Exception | None]


class ScriptedBackends:
    """Answers by backend; its clock moves only when somebody waits."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[str] = []
        self.now = 0.0

    def ask(self, backend: str, query: SearchQuery) -> Sequence[Hit] | None:
        self.asked.append(backend)
        answer = self.script[backend]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def search(self) -> PublicSearch:
        return PublicSearch(
            tuple(self.script),
            ask=self.ask,
            sleep=self.sleep,
            clock=lambda: self.now,
            rng=random.Random(1),
        )


async def test_the_first_backend_with_hits_answers() -> None:
    web = ScriptedBackends({"a": None, "b": [HIT] * 20, "c": [HIT]})
    hits = await web.search().search(SearchQuery("words", max_results=5))
    assert len(hits) == 5
    assert web.asked == ["a", "b"]


async def test_nothing_found_is_an_empty_answer_when_two_backends_agree() -> None:
    web = ScriptedBackends({"a": RuntimeError("broken"), "b": [], "c": [], "d": [HIT]})
    assert await web.search().search(SearchQuery("words")) == ()
    assert web.asked == ["a", "b", "c"]


async def test_one_empty_page_among_failures_is_a_failed_search() -> None:
    web = ScriptedBackends({"a": None, "b": [], "c": TimeoutError()})
    with pytest.raises(ToolFailed) as caught:
        await web.search().search(SearchQuery("words"))
    assert caught.value.kind == "search"
    for told in ("a: refused", "b: an empty page", "c: timed out"):
        assert told in caught.value.message


async def test_a_failed_search_names_each_backend_with_its_reason() -> None:
    web = ScriptedBackends({"a": RuntimeError("no route"), "b": None})
    with pytest.raises(ToolFailed) as caught:
        await web.search().search(SearchQuery("words"))
    assert "a: RuntimeError: no route" in caught.value.message
    assert "b: refused to answer" in caught.value.message
    assert caught.value.retryable


async def test_a_single_configured_backend_is_believed_when_it_finds_nothing() -> None:
    assert await ScriptedBackends({"only": []}).search().search(SearchQuery("words")) == ()


async def test_a_backend_that_refused_is_asked_last_until_it_has_rested() -> None:
    web = ScriptedBackends({"a": None, "b": [HIT]})
    search = web.search()
    await search.search(SearchQuery("one"))
    await search.search(SearchQuery("two"))
    assert web.asked == ["a", "b", "b"]
    web.now += 3600
    await search.search(SearchQuery("three"))
    assert web.asked == ["a", "b", "b", "a", "b"]


def test_every_backend_of_the_default_order_exists() -> None:
    from ddgs.engines import ENGINES

    assert set(BACKENDS) <= set(ENGINES["text"])


async def test_addresses_that_are_not_of_the_web_are_left_out() -> None:
    bad = Hit("x", "javascript:alert(1)", "", None)
    assert await ScriptedBackends({"a": [bad, HIT]}).search().search(SearchQuery("w")) == (HIT,)


def test_an_unknown_backend_is_bad_input_that_lists_the_known() -> None:
    with pytest.raises(BadInput, match=r"use .*mojeek"):
        ask_ddgs("altavista", SearchQuery("words"))


@pytest.mark.parametrize(
    ("snippet", "date"),
    [
        ("Jan 5, 2024 \u2014 The text", "2024-01-05"),
        ("5 Jan 2024 \u00b7 The text", "2024-01-05"),
        ("2024-01-05 - The text", "2024-01-05"),
        ("Feb 31, 2024 \u2014 The text", None),
        ("In Jan 5, 2024 something", None),
    ],
)
def test_the_date_before_a_snippet_is_read(snippet: str, date: str | None) -> None:
    assert hit_of("t", "https://example.org", snippet).date == date


async def test_an_instance_of_ones_own_is_asked_over_http(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    row = {"title": " A\ntitle", "url": "https://example.org/a", "content": "words",
           "publishedDate": "2024-01-05T00:00:00", "engine": "x"}  # fmt: skip
    path = "/search?q=two+words&format=json&language=en&time_range=week"
    site.answers[path] = response(json.dumps({"results": [row, {"url": "ftp://x"}]}).encode())
    search = SearxngSearch(site.url("/"), make_fetcher())
    query = SearchQuery("two words", region="us-en", time="week")
    assert await search.search(query) == (
        Hit("A title", "https://example.org/a", "words", "2024-01-05"),
    )


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (response(b"{}", "403 Forbidden"), "enable the json format"),
        (response(b"<html>"), "did not answer with JSON"),
        (
            response(b'{"results": [], "unresponsive_engines": [["google", "timeout"]]}'),
            "google: timeout",
        ),
    ],
)
async def test_an_instance_that_fails_is_a_failed_search(
    site: LoopbackSite, make_fetcher: MakeFetcher, answer: bytes, says: str
) -> None:
    site.answers["/search?q=w&format=json"] = answer
    with pytest.raises(ToolFailed) as caught:
        await SearxngSearch(site.url(""), make_fetcher()).search(SearchQuery("w"))
    assert caught.value.kind == "search"
    assert says in str(caught.value)


async def test_an_instance_that_finds_nothing_is_believed(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    site.answers["/search?q=w&format=json"] = response(b'{"results": []}')
    assert await SearxngSearch(site.url(""), make_fetcher()).search(SearchQuery("w")) == ()


def test_an_instance_may_be_asked_at_its_own_port_only() -> None:
    allowed = instance_host("http://localhost:8888/searx")
    assert allowed.permits("localhost", 8888)
    assert not allowed.permits("localhost", 80)
    with pytest.raises(BadInput):
        instance_host("not an address")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """An example's folder with one search and one page."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.html").write_text("<p>recorded", encoding="utf-8")
    search = {
        "searches": [
            {
                "query": "Height of the T\u00f6wer",
                "also": ["how high is it"],
                "results": [{"title": "T", "url": "https://example.org/a", "snippet": "s"}] * 3,
            },
            {"query": "nothing", "results": []},
        ]
    }
    (tmp_path / "search.json").write_text(json.dumps(search), encoding="utf-8")
    index = {"https://example.org/a": {"file": "a.html"}}
    (tmp_path / "pages" / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "words", ["Height of the T\u00f6wer", "  t\u00d6wer, the HEIGHT of", "How high is it?"]
)
async def test_a_recorded_search_matches_by_its_words(example: Path, words: str) -> None:
    hits = await RecordedSearch(example).search(SearchQuery(words, max_results=2))
    assert [hit.url for hit in hits] == ["https://example.org/a"] * 2


async def test_a_recorded_search_knows_nothing_found_from_not_recorded(example: Path) -> None:
    search = RecordedSearch(example)
    assert await search.search(SearchQuery("Nothing!")) == ()
    with pytest.raises(ToolFailed, match="recorded are: Height of") as caught:
        await search.search(SearchQuery("something else"))
    assert caught.value.kind == "not_recorded"


async def test_a_recorded_page_is_given_under_the_rules_of_the_web(example: Path) -> None:
    pages = RecordedPages(example)
    asked: list[str] = []

    async def allow(url: str) -> None:
        asked.append(url)

    page = await pages.get("https://EXAMPLE.org/a#x", allow, 5)
    assert (page.content, page.truncated) == (b"<p>re", True)
    assert asked == ["https://example.org/a"]
    with pytest.raises(ToolFailed, match="no page"):
        await pages.get("https://example.org/b", anywhere, 100)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("search.json", "{}", "searches: Field required"),
        ("search.json", "not json", "Invalid JSON"),
        ("search.json", None, "cannot read"),
        ("pages/index.json", '{"https://x.org/": {"file": "none.html"}}', "no file none.html"),
        ("pages/index.json", '{"https://x.org/": {}}', "Field required"),
    ],
)
def test_an_example_that_cannot_be_used_says_why(
    example: Path, file: str, content: str | None, says: str
) -> None:
    path = example / file
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match=says):
        open_recorded(example)
