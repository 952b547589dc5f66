"""Search finds what was said, written and read, and no query is an error."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner_app.domain.catalogue import (
    ActionFinished,
    ActionStarted,
    AnswerDrafted,
    PlanAccepted,
    SourceAdded,
)
from planner_app.domain.plan import Answer, Plan, Step
from planner_app.history import History
from planner_app.history.search import snippet_of, terms_of
from tests.history.conftest import DrivenRun, new_run


@pytest.fixture
def full(run: DrivenRun) -> DrivenRun:
    """A run with a text of each kind."""
    put = run.history.put_blob
    step = Step(id="s1", objective="Fetch the glacier table", expected="a number of kilometres")
    page = "The Aletsch glacier is the longest of the Alps. " * 50 + "Its length is 22.6 km."
    answer = Answer(text="Short.")
    run.append(
        PlanAccepted(plan=Plan(steps=[step]), revision=1).draft(),
        ActionStarted(turn=1, code_head="x", timeout_s=1).draft(
            step_id="s1", blobs={"code": put(b"rows = parse_table(glaciers_html)")}
        ),
        ActionFinished(turn=1, status="ok", head="x").draft(
            step_id="s1", blobs={"observation": put(b"DataFrame with 42 moraines")}
        ),
        SourceAdded(n=1, kind="page", title="Glaciers of Z\u00fcrich", mime="text/html").draft(
            blobs={"text": put(page.encode())}
        ),
        AnswerDrafted(answer=answer, number=1).draft(
            blobs={"answer": put(json.dumps({"text": "Aletsch, with 22.6 km."}).encode())}
        ),
    )
    return run


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("count words", "task"),
        ("kilometres", "plan"),
        ("parse_table", "code"),
        ("moraines", "observation"),
        ("zurich", "page"),
        ("longest alps", "page"),
        ("moraine", "observation"),
    ],
)
def test_every_kind_of_text_is_found(full: DrivenRun, words: str, kind: str) -> None:
    hits = full.history.search(words)
    assert [hit.kind for hit in hits] == [kind]
    assert hits[0].run_id == full.id
    assert hits[0].task_id == "t_aaaaaaaaaa"
    assert hits[0].run_title == "Count the words"


def test_a_phrase_a_kind_or_a_run_narrows_the_search(full: DrivenRun) -> None:
    history = full.history
    other = new_run(history, "r_bbbbbbbbbb", "Which glacier is the longest?")
    assert {hit.kind for hit in history.search("22.6 km")} == {"page", "answer"}
    assert [hit.kind for hit in history.search("22.6 km", kinds=["answer"])] == ["answer"]
    assert [hit.run_id for hit in history.search("glacier", run_id=other.id)] == [other.id]
    assert history.search('"longest glacier"') == []
    assert history.search('"the longest"') != []
    assert len(history.search("glacier", limit=1)) == 1


def test_a_hit_shows_the_words_where_they_stand(full: DrivenRun) -> None:
    (hit,) = full.history.search("its length", kinds=["page"])
    marked = [hit.snippet[start:end].lower() for start, end in hit.marks]
    assert "length" in marked
    assert "\n" not in hit.snippet
    assert len(hit.snippet) < 200


def test_words_of_scripts_without_spaces_are_found(history: History) -> None:
    new_run(history, "r_aaaaaaaaaa", "\u6bd4\u8f83\u51b0\u5ddd\u7684\u957f\u5ea6")
    new_run(history, "r_bbbbbbbbbb", "\u6771\u4eac\u30bf\u30ef\u30fc\u306e\u9ad8\u3055")
    assert [hit.run_id for hit in history.search("\u51b0\u5ddd")] == ["r_aaaaaaaaaa"]
    assert [hit.run_id for hit in history.search("\u30bf\u30ef\u30fc")] == ["r_bbbbbbbbbb"]
    assert history.search("\u5ddd\u51b0") == []


odd_pieces = [*"\"'*()^:-+{}[]~\\%_;,. \n\t\x00\ud800", "NEAR", "AND", "OR", "NOT", "ab", "\u51b0"]
hostile = st.lists(st.sampled_from(odd_pieces), max_size=30).map("".join) | st.text(max_size=60)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(hostile)
def test_no_query_is_an_error(full: DrivenRun, words: str) -> None:
    for hit in full.history.search(words):
        assert all(0 <= a < b <= len(hit.snippet) for a, b in hit.marks)


@pytest.mark.parametrize(
    "words", ["", "  ", '"', "***", "x" * 100_000, "NEAR(a b)", "body:x", "a AND"]
)
def test_odd_queries_find_nothing_or_something_but_never_fail(full: DrivenRun, words: str) -> None:
    assert isinstance(full.history.search(words), list)


def test_a_hostile_page_is_indexed_and_shown_as_text(run: DrivenRun) -> None:
    sha = run.history.put_blob(b"\x00\xff[bold]boom\x1b[31m \xed\xa0\x80")
    source = SourceAdded(n=1, kind="page", title="\ud800 title", mime="x").draft(
        blobs={"text": sha}
    )
    run.append(source)
    assert [hit.kind for hit in run.history.search("boom")] == ["page"]


def test_only_words_count_and_quotes_make_phrases() -> None:
    assert terms_of('-a "b  c" (d*) "e') == ["a", "b c", "d", "e"]
    assert terms_of("^^ ** ()") == []
    assert len(terms_of(" ".join(map(str, range(500))))) == 24


def test_a_snippet_without_a_match_is_the_beginning() -> None:
    assert snippet_of("a b c", ["z"]) == ("a b c", ())
    assert snippet_of("", ["z"]) == ("", ())
