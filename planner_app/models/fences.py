"""Read the fenced blocks of an assistant's turn: the code to run, the report, the plan.

The last block of a kind wins. A block whose fence, or whose code's bracket or quotes, is still
open is truncated, and truncated code must never run.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["python", "report", "json", "other"]

_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE)
_INVISIBLE_LEAD = re.compile(r"^[\ufeff\u200b\u2060]+(?=[ \t]*(?:```|~~~))", re.MULTILINE)
_WORD = re.compile(r"[\w+#-]+")
_PYTHON = frozenset(
    {"python", "py", "python3", "py3", "python2", "ipython", "ipython3", "pycon", "tool_code"}
)
_JSON = frozenset({"json", "json5", "jsonc"})
_DATA = _JSON | {"yaml", "yml"}
_CLOSE_THINK = "</think>"
MAX_CODE_CHARS = 200_000
"""Longer code counts as truncated: to read it alone takes seconds and much memory."""
_MAX_EXTENSIONS = 8
"""How many later fences are tried as the end of a block whose text is not complete."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    kind: BlockKind
    """What it is, by its language."""
    language: str
    """The first word after the fence, lower case; empty when there is none."""
    text: str
    """What stands inside, without the indentation of its fence and the last line end."""
    closed: bool
    """Its closing fence is there."""
    truncated: bool
    """A bracket or quote in it is open at its end (or, for code, its fence)."""
    start: int
    """Position of its opening fence in the turn, line ends counted as one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What an assistant's turn holds."""

    code: str | None
    """The last block of Python; None when there is none, or when it is truncated."""
    report: str | None
    """The text of the last report block; None when there is none, or when it is truncated."""
    json: str | None
    """The text of the last JSON block; None when there is none, or when it is truncated."""
    truncated: bool
    """The turn ends inside a block, or its last code or report is not complete."""
    blocks: tuple[Block, ...]
    """All blocks in their order."""
    prose: str
    """The text outside of the blocks."""


def read_turn(text: str, finish_reason: str = "stop") -> Turn:
    """The blocks of a turn, reasoning already split off. A turn that ended for its length is
    truncated, whatever stands in it."""
    text = _INVISIBLE_LEAD.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    spans = list(_blocks(text))
    thought = text.rfind(_CLOSE_THINK)
    if thought >= 0 and not any(_holds(block, end, thought) for block, end in spans):
        # Reasoning that nobody split off, since its opening tag is missing: nothing of it counts.
        text = text[thought + len(_CLOSE_THINK) :]
        spans = list(_blocks(text))
    blocks = tuple(block for block, _ in spans)
    python = _last(blocks, "python") or _unlabelled_python(blocks)
    report, plain = _last(blocks, "report"), _last(blocks, "json")
    wanted = [block for block in (python, report, plain) if block is not None]
    cut_off = bool(blocks) and not blocks[-1].closed and blocks[-1].kind == "other"
    return Turn(
        code=_whole(python),
        report=_whole(report),
        json=_whole(plain),
        truncated=finish_reason == "length" or cut_off or any(block.truncated for block in wanted),
        blocks=blocks,
        prose=_prose(text, spans),
    )


def python_is_open(code: str) -> bool:
    """Whether a bracket or a string of this code is open at its end."""
    message = _syntax_message(code)
    return message is not None and (
        "was never closed" in message
        or "unterminated triple-quoted" in message
        or "unexpected EOF" in message
    )


def _holds(block: Block, end: int, position: int) -> bool:
    """Whether a position is inside a whole block, so that what stands there is its text."""
    if not block.start < position < end or not block.closed:
        return False
    return block.kind != "python" or _parsed(block.text) is not None


def _whole(block: Block | None) -> str | None:
    return None if block is None or block.truncated else block.text


def _last(blocks: tuple[Block, ...], kind: BlockKind) -> Block | None:
    return next((block for block in reversed(blocks) if block.kind == kind), None)


def _unlabelled_python(blocks: tuple[Block, ...]) -> Block | None:
    """Local models leave the language out: an unlabelled block that does something in Python."""
    if any(block.kind == "report" for block in blocks):
        return None
    for block in reversed(blocks):
        if block.kind == "other" and not block.language and block.closed and _acts(block.text):
            return block
    return None


def _acts(code: str) -> bool:
    tree = _parsed(code)
    if tree is None:
        return False
    acting = (ast.Call, ast.Assign, ast.AugAssign, ast.Import, ast.ImportFrom, ast.FunctionDef)
    return any(isinstance(node, acting) for node in ast.walk(tree))


def _blocks(text: str) -> Iterator[tuple[Block, int]]:
    """Each block with the position after it."""
    fences = list(_FENCE.finditer(text))
    number = 0
    while number < len(fences):
        opening = fences[number]
        info = opening["info"].strip()
        if opening["marks"][0] == "`" and "`" in info:
            number += 1
            continue
        closing = _closing(text, fences, number)
        if closing is None:
            yield _block(text, opening, len(text), closed=False), len(text)
            return
        end = fences[closing]
        yield _block(text, opening, end.start(), closed=True), min(end.end() + 1, len(text))
        number = closing + 1


def _closing(text: str, fences: list[re.Match[str]], opening: int) -> int | None:
    """Which fence closes a block: the first that can, unless a string of the block is open there
    and a later one leaves it whole (Markdown inside a Python string)."""
    first: int | None = None
    kind = _kind(fences[opening]["info"])
    tried = 0
    for number in range(opening + 1, len(fences)):
        if not _can_close(fences[opening], fences[number]):
            continue
        if kind == "other":
            return number
        body = _body(text, fences[opening], fences[number].start())
        if first is None:
            if not _open_string(kind, body):
                return number
            first = number
        elif _is_whole(kind, body):
            return number
        tried += 1
        if tried >= _MAX_EXTENSIONS:
            break
    return first


def _can_close(opening: re.Match[str], fence: re.Match[str]) -> bool:
    return (
        not fence["info"].strip()
        and fence["marks"][0] == opening["marks"][0]
        and len(fence["marks"]) >= len(opening["marks"])
    )


def _body(text: str, opening: re.Match[str], end: int) -> str:
    body = text[opening.end() + 1 : end].removesuffix("\n")
    indent = opening["indent"]
    if not indent:
        return body
    lines = body.split("\n")
    if all(line.startswith(indent) or not line.strip() for line in lines):
        return "\n".join(line[len(indent) :] for line in lines)
    return textwrap.dedent(body)


def _block(text: str, opening: re.Match[str], end: int, *, closed: bool) -> Block:
    body = _body(text, opening, end)
    kind = _kind(opening["info"])
    if kind == "python":
        truncated = not closed or len(body) > MAX_CODE_CHARS or python_is_open(body)
    elif kind == "other":
        truncated = not closed
    else:
        truncated = _json_is_open(body) or (not closed and not body.strip())
    words = _words(opening["info"])
    return Block(kind, words[0] if words else "", body, closed, truncated, opening.start())


def _words(info: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(info)]


def _kind(info: str) -> BlockKind:
    words = _words(info)
    if not words:
        return "other"
    if words[0] in _PYTHON:
        return "python"
    if words[0] == "report" or (words[0] in _DATA and words[1:2] == ["report"]):
        return "report"
    return "json" if words[0] in _JSON else "other"


def _open_string(kind: BlockKind, body: str) -> bool:
    if kind == "python":
        return "unterminated triple-quoted" in (_syntax_message(body) or "")
    return _json_is_open(body)


def _is_whole(kind: BlockKind, body: str) -> bool:
    """Whether a block that goes on over a fence is whole: code must be valid then."""
    return _parsed(body) is not None if kind == "python" else not _json_is_open(body)


_JSON_MARKS = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


def _json_is_open(text: str) -> bool:
    """Whether a bracket or a string is open at the end."""
    depth, in_string = 0, False
    for mark in _JSON_MARKS.findall(text):
        if mark == '"':
            in_string = not in_string
        elif not in_string:
            depth += 1 if mark in "{[" else -1 if mark in "}]" else 0
    return in_string or depth > 0


def _parsed(code: str) -> ast.Module | None:
    if len(code) > MAX_CODE_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _syntax_message(code: str) -> str | None:
    """Python's complaint about code, or None when it has none."""
    if len(code) > MAX_CODE_CHARS:
        return f"code has over {MAX_CODE_CHARS:,} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        return error.msg
    except (ValueError, MemoryError, RecursionError) as error:
        return str(error)
    return None


def _prose(text: str, spans: list[tuple[Block, int]]) -> str:
    parts: list[str] = []
    at = 0
    for block, end in spans:
        parts.append(text[at : block.start])
        at = end
    parts.append(text[at:])
    return "\n".join(part.strip() for part in parts if part.strip())
