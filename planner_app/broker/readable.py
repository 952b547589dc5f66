"""What a fetched body is, and its readable text in pages; the parsing itself is elsewhere."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import JsonValue

from planner_app.broker.charsets import decode
from planner_app.broker.port import Fetched, ToolFailed

PAGE_CHARS = 20_000
"""About the length of one page of a long text."""
MAX_TEXT_CHARS = 2_000_000
"""A text longer than this is cut, with a note."""
MAX_DATA_BYTES = 1_000_000
"""JSON up to this size goes to the code as data; beyond it only as text."""

Kind = Literal["html", "pdf", "json", "text", "binary"]


@dataclass(frozen=True, slots=True)
class Readable:
    """A document as the model reads it."""

    kind: Literal["html", "pdf", "json", "text"]
    """What it was read as."""
    mime: str
    """Media type without parameters."""
    title: str
    """Empty when it has none."""
    date: str | None
    """The day it was published, in ISO form; None when unknown."""
    pages: tuple[str, ...]
    """Its text: a PDF's own pages, for others pieces of about `PAGE_CHARS`. Never empty."""
    data: JsonValue = None
    """The value, if it is JSON and not too big."""
    missing: str = ""
    """What of the document is not in the text, and why; empty when nothing is missing."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one `fetch(url, page=n)` shows."""

    text: str
    """The text; a PDF's pages are headed by their numbers."""
    says: str
    """Which piece this is, for the note."""


def kind_of(fetched: Fetched) -> tuple[Kind, str]:
    """What the body is, and its media type. Its first bytes weigh more than the header."""
    mime = fetched.content_type.partition(";")[0].strip().lower()
    head = fetched.content[:1024]
    if b"%PDF-" in head and not mime.startswith("text/plain"):
        return "pdf", "application/pdf"
    looks_like_html = re.match(
        rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
        head,
        re.IGNORECASE | re.DOTALL,
    )
    if mime in ("text/html", "application/xhtml+xml") or (
        looks_like_html and mime in ("", "application/pdf", "application/octet-stream")
    ):
        return "html", "text/html"
    if mime == "application/json" or mime.endswith("+json"):
        return "json", mime
    if mime.startswith("text/") or mime in _TEXTUAL or mime.endswith("+xml"):
        return "text", mime
    if mime in ("", "application/octet-stream", "binary/octet-stream") and _is_text(head):
        return (
            ("json", "application/json")
            if head.lstrip()[:1] in (b"{", b"[")
            else ("text", "text/plain")
        )
    return "binary", mime or "application/octet-stream"


_TEXTUAL = frozenset(
    {
        "application/xml",
        "application/javascript",
        "application/x-javascript",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/x-ndjson",
        "application/csv",
        "application/x-sh",
        "application/sql",
        "application/rss+xml",
        "image/svg+xml",
    }
)


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character cut by the end of the sample
    return True


def read_plain(fetched: Fetched, kind: Literal["json", "text"], mime: str) -> Readable:
    """JSON and text, which need no parser that could be attacked."""
    text = decode(fetched.content, fetched.content_type)
    missing = "the end: the document is longer than one may fetch" if fetched.truncated else ""
    if kind == "text":
        return in_pages("text", mime, text, missing=missing)
    try:
        data: JsonValue = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return in_pages("text", mime, text, missing=missing)
    shown = json.dumps(data, ensure_ascii=False, indent=1)
    if _SURROGATE.search(shown):  # half a character, which no file or database takes
        shown = _SURROGATE.sub("\ufffd", shown)
        data = json.loads(shown)
    page = in_pages("json", mime, shown, missing=missing)
    if len(fetched.content) > MAX_DATA_BYTES:
        return replace(page, missing="the data: it is too big to hand over; use download(url)")
    return replace(page, data=data)


def in_pages(
    kind: Literal["html", "json", "text"],
    mime: str,
    text: str,
    *,
    title: str = "",
    date: str | None = None,
    missing: str = "",
) -> Readable:
    """A document from one long text."""
    text = clean(text)
    if len(text) > MAX_TEXT_CHARS:
        text = text[:MAX_TEXT_CHARS]
        missing = f"all after the first {MAX_TEXT_CHARS:,} characters"
    return Readable(kind, mime, clean(title), date, cut_pages(text), missing=missing)


def _no_number(name: str) -> None:
    """NaN and Infinity are no JSON; None travels, they would not."""


_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """Without what a person would not see: control characters, direction marks, hidden tags."""
    text = _SURROGATE.sub("\ufffd", text)
    return _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def cut_pages(text: str, size: int = PAGE_CHARS) -> tuple[str, ...]:
    """Pieces of at most `size` characters, cut at a blank line, a line's end or a space."""
    pages, start = [], 0
    while len(text) - start > size:
        end = start + size
        for seam in ("\n\n", "\n", " "):
            at = text.rfind(seam, start + size // 2, end)
            if at > 0:
                end = at + len(seam)
                break
        pages.append(text[start:end].rstrip())
        start = end
    pages.append(text[start:])
    return tuple(pages)


def parts_of(document: Readable) -> tuple[Part, ...]:
    """The document in the pieces that are shown: several short PDF pages make one."""
    if document.kind != "pdf":
        return tuple(Part(page, "") for page in document.pages)
    parts: list[Part] = []
    group: list[str] = []
    first = 1
    for number, page in enumerate(document.pages, start=1):
        if group and sum(map(len, group)) + len(page) > PAGE_CHARS:
            parts.append(_pdf_part(group, first))
            group, first = [], number
        group.append(page)
    parts.append(_pdf_part(group, first))
    return tuple(parts)


def _pdf_part(group: list[str], first: int) -> Part:
    last = first + len(group) - 1
    text = "\n\n".join(f"[page {first + n}]\n{page.strip()}" for n, page in enumerate(group))
    return Part(text, f"PDF page {first}" if first == last else f"PDF pages {first}-{last}")


def note_for(document: Readable, parts: tuple[Part, ...], page: int) -> str:
    """What is missing from what is shown, and how to read on; empty when nothing is."""
    notes = []
    if len(parts) > 1:
        says = parts[page - 1].says
        notes.append(f"page {page} of {len(parts)}" + (f" ({says})" if says else ""))
        if page < len(parts):
            notes.append(f"read on with fetch(url, page={page + 1})")
    if document.missing:
        notes.append(f"missing: {document.missing}")
    return "; ".join(notes)


def binary_refused(fetched: Fetched, mime: str) -> ToolFailed:
    """The error for a body that does not read as text."""
    return ToolFailed(
        "binary",
        f"{fetched.url} is {mime} ({len(fetched.content):,} bytes), not a text",
        hint="use download(url) and open the file",
    )
