"""The roles that lines are painted with, and Python in colours; pygments comes with first code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.style import Style
from textual.color import Color

from planner_app.view.wrap import Line, Span

ROLES: dict[str, tuple[str, float, str]] = {
    "text": ("foreground", 0.0, ""),
    "dim": ("foreground", 0.42, ""),
    "title": ("foreground", 0.0, "bold"),
    "good": ("success", 0.0, ""),
    "bad": ("error", 0.0, ""),
    "warn": ("warning", 0.0, ""),
    "ask": ("warning", 0.0, "bold"),
    "busy": ("primary", 0.0, ""),
    "calm": ("foreground", 0.42, ""),
    "step": ("secondary", 0.0, ""),
    "cite": ("primary", 0.0, ""),
    "link": ("primary", 0.35, ""),
    "code": ("foreground", 0.05, ""),
    "bold": ("foreground", 0.0, "bold"),
    "thought": ("secondary", 0.25, "italic"),
    "output": ("foreground", 0.18, ""),
    "bar": ("foreground", 0.75, ""),
    "match": ("warning", 0.0, "bold"),
    "kw": ("secondary", 0.0, ""),
    "str": ("success", 0.1, ""),
    "num": ("warning", 0.1, ""),
    "fn": ("primary", 0.0, ""),
    "com": ("foreground", 0.5, "italic"),
    "op": ("foreground", 0.28, ""),
}
"""Role to the theme's colour, how far it fades into the background, and attributes.

Not component classes of the style sheet: two dozen would be matched anew for every pane at every
change, which is a sixth of the time to the first paint.
"""
CURSOR_FADE = 0.86
FAINT = 0.3
"""From this fade on, a terminal's own colours are shown faint instead: they cannot be mixed."""


def style_of(role: str, theme: Mapping[str, str]) -> Style:
    """A role's style under a theme's variables; an unknown role looks like text."""
    background = Color.parse(theme["background"])
    own_colours = background.ansi is None
    if role == "cursor":
        if not own_colours:
            return Style(reverse=True)
        back = Color.parse(theme["primary"]).blend(background, CURSOR_FADE)
        return Style(bgcolor=back.rich_color)
    name, fade, attributes = ROLES.get(role, ROLES["text"])
    colour = Color.parse(theme[name])
    if own_colours:
        colour = colour.blend(background, fade)
    return Style(
        color=colour.rich_color,
        bold="bold" in attributes or None,
        italic="italic" in attributes or None,
        dim=(fade >= FAINT and not own_colours) or None,
    )


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
