"""From HTML to Markdown with title, date and links. Runs in the reader's child process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin

import lxml.html  # type: ignore[import-untyped]
import trafilatura
from lxml import etree

_SHORT = 300
"""An article shorter than this may be a page of links that was taken for an empty one."""
_SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "head", "iframe", "form"})
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figcaption",
        "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main",
        "nav", "ol", "p", "pre", "section", "table", "tr", "ul", "br",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HtmlText:
    """What an HTML page says."""

    title: str
    """Empty when it has none."""
    date: str | None
    """The day it was published, ISO form; None when unknown."""
    text: str
    """Markdown; empty when the page shows no text without its scripts."""


def read_html(html: str, url: str) -> HtmlText:
    """The article of the page; for a page without one (a list of links), all that it shows."""
    text = trafilatura.extract(
        html,
        url=url,
        output_format="markdown",
        include_links=True,
        include_tables=True,
        include_formatting=True,
        include_comments=False,
        with_metadata=False,
    )
    text = text or ""
    if len(text) < _SHORT:
        everything = all_text(html, url)
        if len(everything) > 2 * len(text):
            text = everything
    about = trafilatura.extract_metadata(html, default_url=url)
    title = (about.title or "") if about is not None else ""
    date = about.date if about is not None else None
    return HtmlText(title or _title(html), date, text)


def _title(html: str) -> str:
    found = re.search(r"<title[^>]{0,200}>([^<]{1,500})", html, re.IGNORECASE)
    return " ".join(found.group(1).split()) if found else ""


def all_text(html: str, url: str) -> str:
    """Everything that the page shows, with its links. Walks without recursion: pages nest deep."""
    try:
        root = lxml.html.document_fromstring(html.encode("utf-8", "replace"), parser=_parser())
    except (etree.ParserError, ValueError):
        return ""
    pieces: list[str] = []
    links: list[int] = []  # where in `pieces` each open link begins
    skipping: etree._Element | None = None
    for event, node in etree.iterwalk(root, events=("start", "end")):
        tag = node.tag if isinstance(node.tag, str) else ""
        if event == "start" and skipping is None:
            if not tag or tag in _SKIPPED:
                skipping = node
                continue
            pieces.append(_opening(tag))
            if tag == "a":
                links.append(len(pieces))
            pieces.append(_words(node.text))
        elif event == "end":
            if skipping is None:
                if tag == "a" and links:
                    _close_link(pieces, links.pop(), urljoin(url, (node.get("href") or "").strip()))
                pieces.append("\n" if tag in _BLOCKS else " " if tag in ("td", "th") else "")
            if skipping is None or skipping is node:
                skipping = None
                pieces.append(_words(node.tail) if node is not root else "")
    lines = (" ".join(line.split()) for line in "".join(pieces).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _parser() -> lxml.html.HTMLParser:
    return lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)


def _opening(tag: str) -> str:
    if tag == "li":
        return "\n- "
    if re.fullmatch(r"h[1-6]", tag):
        return "\n\n" + "#" * int(tag[1]) + " "
    if tag == "p":
        return "\n\n"
    return "\n" if tag in _BLOCKS else ""


def _words(text: str | None) -> str:
    return re.sub(r"\s+", " ", text) if text else ""


def _close_link(pieces: list[str], start: int, target: str) -> None:
    label = " ".join("".join(pieces[start:]).split())
    del pieces[start:]
    if label and target.startswith(("http://", "https://")):
        label = f"[{label}]({target})"
    pieces.append(label)
