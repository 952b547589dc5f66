"""The roles that lines are painted with, and Python in colours; pygments comes with first code."""

from __future__ import annotations

from functools import lru_cache

from planner_app.view.wrap import Line, Span

ROLES = (
    *("text", "dim", "title", "good", "bad", "warn", "ask", "busy", "calm", "step", "cite"),
    *("link", "code", "bold", "thought", "output", "bar", "cursor", "match"),
    *("kw", "str", "num", "fn", "com", "op"),
)
"""Each is a component class `lines--ROLE` of a widget that shows lines."""

_TOKENS = (
    ("Token.Comment", "com"),
    ("Token.Literal.String", "str"),
    ("Token.Literal.Number", "num"),
    ("Token.Keyword", "kw"),
    ("Token.Operator.Word", "kw"),
    ("Token.Name.Function", "fn"),
    ("Token.Name.Class", "fn"),
    ("Token.Name.Builtin", "fn"),
    ("Token.Name.Decorator", "fn"),
    ("Token.Operator", "op"),
    ("Token.Punctuation", "op"),
)


@lru_cache(maxsize=1024)
def _role(token: str) -> str:
    return next((role for prefix, role in _TOKENS if token.startswith(prefix)), "code")


@lru_cache(maxsize=512)
def python_lines(code: str) -> tuple[Line, ...]:
    """The code as lines of coloured spans, exactly as many as it has lines."""
    from pygments.lexers.python import PythonLexer

    lines: list[Line] = []
    row: list[Span] = []
    for token, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(code):
        role = _role(str(token))
        first, *others = text.split("\n")
        if first:
            row.append((first, role))
        for part in others:
            lines.append(tuple(row))
            row = [(part, role)] if part else []
    lines.append(tuple(row))
    return tuple(lines)
