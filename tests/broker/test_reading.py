"""What a person may rely on about how pages, PDFs and data read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.broker.charsets import decode
from planner_app.broker.port import Fetched, ToolFailed
from planner_app.broker.readable import (
    MAX_DATA_BYTES,
    PAGE_CHARS,
    clean,
    cut_pages,
    kind_of,
    note_for,
    parts_of,
)
from planner_app.broker.reader import ChildReader
from tests.broker.documents import ARTICLE, make_pdf

URL = "https://example.org/a/b"


@pytest.fixture
async def reader() -> AsyncIterator[ChildReader]:
    made = ChildReader()
    yield made
    await made.close()


def environment_of(pid: int | None) -> bytes:
    path = Path(f"/proc/{pid}/environ")
    if not path.exists():
        pytest.skip("no /proc on this system")
    return path.read_bytes()


def html(text: str) -> Fetched:
    return Fetched(URL, "text/html; charset=utf-8", text.encode())


async def test_an_article_reads_as_markdown_with_title_date_and_links(reader: ChildReader) -> None:
    page = await reader.read(html(ARTICLE))
    assert page.kind == "html"
    assert page.title.startswith("The tower")
    assert page.date == "2023-04-05"
    text = page.pages[0]
    assert "**finished**" in text
    assert "[330 metres](https://example.org/height)" in text
    assert "## Visitors" in text
    assert "5889000" in text
    assert "section 7" not in text
    assert "alert" not in text


async def test_a_page_of_links_shows_its_links(reader: ChildReader) -> None:
    rows = "".join(f'<li><a href="?id={n}">Story {n}</a> <b>by</b> me</li>' for n in range(5))
    page = await reader.read(html(f"<title>News</title><body><ul>{rows}</ul>"))
    assert page.title == "News"
    assert "[Story 3](https://example.org/a/b?id=3)" in page.pages[0]


async def test_a_page_that_needs_its_scripts_says_so(reader: ChildReader) -> None:
    page = await reader.read(html("<div id=app></div><script>render()</script>"))
    assert "without running its scripts" in page.missing


async def test_a_pdf_reads_by_page(reader: ChildReader) -> None:
    pdf = make_pdf(["First page here\nsecond line", "Second page here"], "The report")
    page = await reader.read(Fetched(URL, "application/pdf", pdf))
    assert page.kind == "pdf"
    assert [text.split() for text in page.pages] == [
        ["First", "page", "here", "second", "line"],
        ["Second", "page", "here"],
    ]
    assert (page.title, page.date) == ("The report", "2024-02-03")
    (part,) = parts_of(page)
    assert part.text.startswith("[page 1]\nFirst page")
    assert "[page 2]\nSecond page" in part.text


async def test_a_long_pdf_is_shown_in_groups_of_whole_pages(reader: ChildReader) -> None:
    long = "\n".join(["words " * 12] * 100)
    pdf = make_pdf([long] * 7)
    page = await reader.read(Fetched(URL, "application/pdf", pdf))
    parts = parts_of(page)
    assert len(page.pages) == 7
    assert [part.says for part in parts] == ["PDF pages 1-2", "PDF pages 3-4", "PDF pages 5-6",
                                             "PDF page 7"]  # fmt: skip
    assert note_for(page, parts, 2) == (
        "page 2 of 4 (PDF pages 3-4); read on with fetch(url, page=3)"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"%PDF-1.7\nbroken", "cannot read"),
        (make_pdf([""]), "holds no text"),
        (make_pdf(["x"])[:200], "cannot read"),
    ],
)
async def test_a_pdf_that_cannot_be_read_is_an_error(
    reader: ChildReader, content: bytes, says: str
) -> None:
    with pytest.raises(ToolFailed, match=says) as caught:
        await reader.read(Fetched(URL, "application/pdf", content))
    assert caught.value.kind == "unreadable"


async def test_a_cut_pdf_is_refused_with_what_to_do(reader: ChildReader) -> None:
    with pytest.raises(ToolFailed, match="download"):
        await reader.read(Fetched(URL, "application/pdf", b"%PDF-1.4", truncated=True))


async def test_json_is_data_and_text(reader: ChildReader) -> None:
    value = {"a": [1, 2.5, None], "\u00e9": "x"}
    page = await reader.read(Fetched(URL, "application/json", json.dumps(value).encode()))
    assert page.data == value
    assert json.loads(page.pages[0]) == value


async def test_json_that_is_broken_deep_or_huge_is_still_text(reader: ChildReader) -> None:
    for content in (b'{"a": ', b"[" * 200_000, b"9" * 5000):
        page = await reader.read(Fetched(URL, "application/json", content))
        assert page.data is None
        assert page.pages[0]
    big = json.dumps(["x" * 100] * (MAX_DATA_BYTES // 100)).encode()
    page = await reader.read(Fetched(URL, "application/json", big))
    assert page.data is None
    assert "download" in page.missing


async def test_json_that_no_other_program_takes_is_mended(reader: ChildReader) -> None:
    content = b'{"a": NaN, "b": "\\ud800x"}'
    page = await reader.read(Fetched(URL, "application/json", content))
    assert page.data == {"a": None, "b": "\ufffdx"}
    page.pages[0].encode()


@pytest.mark.parametrize(
    ("mime", "content", "kind"),
    [
        ("text/html", b"<p>", "html"),
        ("application/xhtml+xml", b"<p>", "html"),
        ("", b"  <!DOCTYPE html><html>", "html"),
        ("application/pdf", b"<html>please log in", "html"),
        ("text/html", b"%PDF-1.5 ...", "pdf"),
        ("application/octet-stream", b"%PDF-1.5 ...", "pdf"),
        ("text/csv", b"a,b\n1,2", "text"),
        ("application/ld+json", b"{}", "json"),
        ("application/rss+xml", b"<rss>", "text"),
        ("image/svg+xml", b"<svg>", "text"),
        ("", b"plain words", "text"),
        ("", b'{"a": 1}', "json"),
        ("application/octet-stream", "\u00e9".encode() * 700, "text"),
        ("application/octet-stream", b"\x89PNG\r\n\x1a\n\0\0", "binary"),
        ("image/png", b"\x89PNG", "binary"),
        ("application/zip", b"PK", "binary"),
        ("", b"\xff\xfe\xfd\x80", "binary"),
    ],
)
def test_what_a_body_is_is_told_by_its_bytes_and_type(mime: str, content: bytes, kind: str) -> None:
    assert kind_of(Fetched(URL, mime, content))[0] == kind


async def test_a_picture_is_refused_with_what_to_do(reader: ChildReader) -> None:
    with pytest.raises(ToolFailed, match="image/png") as caught:
        await reader.read(Fetched(URL, "image/png", b"\x89PNG"))
    assert caught.value.kind == "binary"
    assert "download(url)" in caught.value.hint


async def test_a_page_that_takes_too_long_is_read_plainly_and_the_next_one_is_not_harmed() -> None:
    reader = ChildReader(read_s=5.0)
    slow = "<p>word " * 150_000
    page = await reader.read(html(slow))
    assert page.pages[0].startswith("word")
    assert "## Visitors" in (await reader.read(html(ARTICLE))).pages[0]
    await reader.close()


async def test_a_cancelled_reading_leaves_the_reader_usable(reader: ChildReader) -> None:
    await reader.read(html(ARTICLE))
    task = asyncio.create_task(reader.read(html("<p>word " * 150_000)))
    await asyncio.sleep(0)
    assert reader.busy
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "## Visitors" in (await reader.read(html(ARTICLE))).pages[0]


async def test_an_idle_child_ends_and_comes_back_when_needed() -> None:
    reader = ChildReader(idle_s=0.0)
    for _ in range(3):
        assert "## Visitors" in (await reader.read(html(ARTICLE))).pages[0]
        async with asyncio.timeout(10):
            while reader.pid is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    await reader.close()


async def test_the_parsers_see_no_key(monkeypatch: pytest.MonkeyPatch, reader: ChildReader) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    await reader.read(html(ARTICLE))
    assert b"secret" not in environment_of(reader.pid)


@pytest.mark.parametrize(
    ("content", "content_type", "text"),
    [
        ("caf\u00e9".encode(), "text/html", "caf\u00e9"),
        ("caf\u00e9".encode("latin-1"), "text/html; charset=ISO-8859-1", "caf\u00e9"),
        ("\u20ac5".encode("cp1252"), "text/html; charset=iso-8859-1", "\u20ac5"),
        ("\u041f\u0440".encode("cp1251"), 'text/html; charset="windows-1251"', "\u041f\u0440"),
        ("\u65e5\u672c".encode("shift_jis"), "text/plain; charset=Shift_JIS", "\u65e5\u672c"),
        ("\u4e2d\u6587".encode("gb18030"), "text/plain; charset=gb2312", "\u4e2d\u6587"),
        (
            "<meta charset=koi8-r>\u0430".encode("koi8-r"),
            "text/html",
            "<meta charset=koi8-r>\u0430",
        ),
        (
            '<?xml version="1.0" encoding="iso-8859-2"?>\u0142'.encode("iso-8859-2"),
            "text/xml",
            '<?xml version="1.0" encoding="iso-8859-2"?>\u0142',
        ),
        (b"\xef\xbb\xbfbom", "text/plain; charset=latin-1", "bom"),
        ("utf16".encode("utf-16"), "text/plain", "utf16"),
        ("caf\u00e9".encode(), "text/html; charset=utf-7", "caf\u00e9"),
        (b"x+ADw-", "text/html; charset=utf-7", "x+ADw-"),
        (b"abc", "text/html; charset=rot13", "abc"),
        (b"abc", "text/html; charset=zlib", "abc"),
        (b"abc", "text/html; charset=no-such-thing", "abc"),
        ("\u65e5\u672c\u8a9e".encode(), "text/html; charset=euc-jp", "\u65e5\u672c\u8a9e"),
        (b"\xff\xfa bad", "text/plain", "\ufffd\ufffd bad"),
    ],
)
def test_text_is_decoded_by_header_then_page_then_utf8(
    content: bytes, content_type: str, text: str
) -> None:
    decoded = decode(content, content_type)
    assert decoded == text


@given(st.binary(max_size=300), st.text(max_size=60))
def test_no_bytes_and_no_header_make_decoding_stumble(content: bytes, header: str) -> None:
    assert isinstance(decode(content, header), str)
    assert isinstance(decode(content, f"text/html; charset={header}"), str)


@given(st.text(max_size=400), st.integers(10, 60))
def test_cutting_into_pages_loses_no_word(text: str, size: int) -> None:
    pages = cut_pages(text, size)
    assert "".join("".join(pages).split()) == "".join(text.split())
    assert all(len(page) <= size for page in pages)


def test_pages_are_cut_at_paragraphs() -> None:
    paragraph = "word " * 300 + "\n\n"
    pages = cut_pages(paragraph * 60)
    assert len(pages) > 3
    assert all(len(page) <= PAGE_CHARS for page in pages)
    assert all(page.endswith("word") for page in pages[:-1])


def test_hidden_characters_are_removed() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "obey")
    assert clean("a\udc80b") == "a\ufffdb"
    assert clean(f"a{hidden}b\x1b[31m\u202ec\x00\td\r\ne") == "ab[31mc\td\ne"
