"""Makes text that others wrote safe and short to print: no control codes, no hidden directions.

Models, web pages and programs can put escape sequences, carriage returns or bidirectional
overrides into their text. Nothing of the kind may reach a terminal.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC: titles, clipboard
    r"|\x1b[ -/]*[0-~]?"  # every other escape
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\n])")
_PLAIN = re.compile(r"[\n -~]*\Z")
TAB = "    "


def clean(text: str) -> str:
    """The text without anything that steers a terminal; newlines stay, tabs become four spaces.

    Of a line that a carriage return overwrote (a progress bar), the last writing stays.
    """
    if text.isascii() and (text.isprintable() or _PLAIN.match(text)):
        return text
    text = _ESCAPES.sub("", text)
    text = text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    if "\r" in text:
        text = _OVERWRITTEN.sub("", text).replace("\r", "")
    text = _CONTROLS.sub("", text.replace("\t", TAB))
    return _SURROGATES.sub("\ufffd", text)


def one_line(text: str) -> str:
    """The cleaned text on a single line, white space runs made one space."""
    return " ".join(clean(text).split())


@lru_cache(maxsize=4096)
def _cells(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def width(text: str) -> int:
    """How many terminal cells the (cleaned) text takes."""
    return len(text) if text.isascii() else sum(_cells(char) for char in text)


def clip(text: str, cells: int) -> str:
    """The text on one line in at most `cells` cells, with `…` where something was cut off."""
    text = one_line(text)
    if width(text) <= cells:
        return text
    if cells <= 0:
        return ""
    used, kept = 1, []
    for char in text:
        used += _cells(char)
        if used > cells:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def pad(text: str, cells: int) -> str:
    """The text clipped and filled with spaces to exactly `cells` cells."""
    text = clip(text, cells)
    return text + " " * (cells - width(text))


def tail(text: str, lines: int) -> tuple[list[str], int]:
    """The last lines of a text and how many lines stand before them."""
    rows = clean(text).rstrip("\n").split("\n")
    hidden = max(0, len(rows) - lines)
    return rows[hidden:], hidden
