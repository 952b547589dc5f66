"""Breaks text into lines of a given width in cells, and marks what stands out in it."""

from __future__ import annotations

import re

from planner_app.view.clean import width

Span = tuple[str, str]
"""Text and the name of its role."""
Line = tuple[Span, ...]

_WORD = re.compile(r"\S+\s*")
_INLINE = re.compile(
    r"(?P<cite>\[\d{1,4}\])|\*\*(?P<bold>[^*\n]{1,400})\*\*|`(?P<code>[^`\n]{1,400})`"
)
_BULLET = re.compile(r"^(\s*)[-*•]\s+")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")


def hard(line: str, cells: int) -> list[str]:
    """The line cut into pieces of at most `cells` cells, wherever that falls."""
    cells = max(1, cells)
    if width(line) <= cells:
        return [line]
    if line.isascii():
        return [line[at : at + cells] for at in range(0, len(line), cells)]
    pieces, piece, used = [], "", 0
    for char in line:
        wide = width(char)
        if used + wide > cells:
            pieces.append(piece)
            piece, used = "", 0
        piece += char
        used += wide
    return [*pieces, piece]


def soft(line: str, cells: int, hang: int = 0) -> list[str]:
    """The line broken between words; later lines are indented by `hang` spaces."""
    if width(line) <= cells:
        return [line]
    rows: list[str] = []
    row, used = "", 0
    lead = line[: len(line) - len(line.lstrip())]
    if lead:
        row, used = lead, len(lead)
    for match in _WORD.finditer(line):
        word = match.group()
        if used + width(word.rstrip()) <= cells:
            row, used = row + word, used + width(word)
            continue
        if row.strip():
            rows.append(row.rstrip())
        row, used = " " * hang, hang
        *full, row_end = hard(word, max(1, cells - hang))
        rows += [" " * hang + piece for piece in full]
        row, used = row + row_end, used + width(row_end)
    if row.strip():
        rows.append(row.rstrip())
    return rows or [""]


def paragraphs(text: str, cells: int) -> list[str]:
    """A text's lines, each broken between words; list items hang under their first word."""
    rows: list[str] = []
    for line in text.strip("\n").split("\n"):
        match = _BULLET.match(line)
        rows += soft(line.rstrip(), max(8, cells), len(match.group()) if match else 0)
    return rows


def marked(text: str, cells: int, role: str = "text") -> list[Line]:
    """Model prose as lines: headings, list items, **bold**, `code` and `[n]` stand out.

    It is a reading aid, not Markdown: whatever it does not know stays as it was written.
    """
    lines: list[Line] = []
    fenced = False
    for raw in text.strip("\n").split("\n"):
        line = raw.rstrip()
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if fenced:
            lines += [((piece, "code"),) for piece in hard(line, cells)]
        elif heading := _HEADING.match(line):
            lines += [((piece, "title"),) for piece in soft(heading.group(1), cells)]
        else:
            lines += _prose(line, cells, role)
    return lines


def _prose(line: str, cells: int, role: str) -> list[Line]:
    match = _BULLET.match(line)
    hang = 0
    if match:
        line, hang = f"{match.group(1)}• {line[match.end() :]}", len(match.group(1)) + 2
    plain, roles = _inline(line, role)
    rows = soft(plain, max(8, cells), hang)
    out: list[Line] = []
    at = 0
    for i, row in enumerate(rows):
        lead = hang if i and row.startswith(" " * hang) else 0
        body = row[lead:]
        start = plain.find(body, at) if body else at
        if start < 0:
            out.append(((row, role),))
            continue
        spans = _spans(body, roles[start : start + len(body)])
        out.append(((" " * lead, role), *spans) if lead else spans)
        at = start + len(body)
    return out


def _inline(line: str, role: str) -> tuple[str, list[str]]:
    """The line without its inline marks, and a role for each of its characters."""
    plain, roles, at = "", [], 0
    for match in _INLINE.finditer(line):
        before = line[at : match.start()]
        kind = match.lastgroup or role
        said = match.group(kind)
        plain += before + said
        roles += [role] * len(before) + [kind] * len(said)
        at = match.end()
    return plain + line[at:], roles + [role] * (len(line) - at)


def _spans(text: str, roles: list[str]) -> Line:
    spans: list[Span] = []
    start = 0
    for i in range(1, len(text) + 1):
        if i == len(text) or roles[i] != roles[start]:
            spans.append((text[start:i], roles[start]))
            start = i
    return tuple(spans) or (("", "text"),)
