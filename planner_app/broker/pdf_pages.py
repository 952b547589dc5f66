"""From a PDF to its text by page. Runs in the reader's child process."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import pypdf
from pypdf.errors import PyPdfError

MAX_PAGES = 1000
MAX_PAGE_CHARS = 100_000


@dataclass(frozen=True, slots=True)
class PdfText:
    """What a PDF says."""

    title: str
    """Empty when it has none."""
    date: str | None
    """The day it was made, ISO form; None when unknown."""
    pages: tuple[str, ...]
    """The text of each page that was read, from the first."""
    missing: str
    """What was not read and why; empty when all was."""


class PdfUnreadableError(Exception):
    """The file is no PDF that can be read; the text says why."""


def read_pdf(content: bytes, seconds: float, max_chars: int) -> PdfText:
    """The text by page, as much as fits into the time and the characters."""
    deadline = time.monotonic() + seconds
    try:
        reader = pypdf.PdfReader(io.BytesIO(content), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise PdfUnreadableError("it is locked with a password")
        total = len(reader.pages)
        pages: list[str] = []
        chars = 0
        while len(pages) < min(total, MAX_PAGES) and chars < max_chars:
            if time.monotonic() > deadline:
                break
            text = (reader.pages[len(pages)].extract_text() or "")[:MAX_PAGE_CHARS]
            pages.append(text)
            chars += len(text)
        title, date = _about(reader)
    except PdfUnreadableError:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError,
            NotImplementedError, RecursionError, OSError, AssertionError, ZeroDivisionError,
            ) as error:  # fmt: skip
        # pypdf raises whatever a broken file trips over
        raise PdfUnreadableError(str(error)[:200] or type(error).__name__) from error
    if not any(page.strip() for page in pages):
        raise PdfUnreadableError("it holds no text, only pictures of pages perhaps")
    missing = f"pages {len(pages) + 1} to {total} of {total}" if len(pages) < total else ""
    return PdfText(title, date, tuple(pages), missing)


def _about(reader: pypdf.PdfReader) -> tuple[str, str | None]:
    about = reader.metadata
    if about is None:
        return "", None
    try:
        made = about.creation_date
    except ValueError:
        made = None
    return str(about.title or ""), made.date().isoformat() if made else None
