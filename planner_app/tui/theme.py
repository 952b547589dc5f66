"""The colours: calm, dark, with one accent; status is told by glyph and word as well."""

from textual.theme import Theme

THEME = Theme(
    name="planner",
    primary="#8ab4f8",
    secondary="#c4a7e7",
    accent="#8ab4f8",
    foreground="#d7dae0",
    background="#14161b",
    surface="#1a1d24",
    panel="#23272f",
    success="#8fce9b",
    warning="#e5c07b",
    error="#f28b82",
    dark=True,
    variables={
        "block-cursor-text-style": "none",
        "footer-background": "#14161b",
        "footer-key-foreground": "#8ab4f8",
        "footer-description-foreground": "#8b919c",
        "input-selection-background": "#8ab4f8 30%",
        "scrollbar": "#2c313b",
        "scrollbar-hover": "#3a404c",
        "scrollbar-active": "#4a5160",
        "scrollbar-background": "#14161b",
        "scrollbar-background-hover": "#14161b",
        "scrollbar-background-active": "#14161b",
        "scrollbar-corner-color": "#14161b",
    },
)
