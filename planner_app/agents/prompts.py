"""The prompts: Markdown files beside this module, filled in and known by their hash."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from string import Template


@cache
def _text(name: str) -> str:
    folder = files("planner_app.agents") / "prompts"
    return (folder / f"{name}.md").read_text(encoding="utf-8").strip()


def prompt(name: str, **values: object) -> str:
    """The prompt with its `$names` filled in. Raises KeyError for one that has no value."""
    return Template(_text(name)).substitute({key: str(value) for key, value in values.items()})


@cache
def prompt_hashes() -> dict[str, str]:
    """Prompt name to the first 16 digits of its sha256, as a run records them."""
    folder = files("planner_app.agents") / "prompts"
    names = sorted(entry.name[:-3] for entry in folder.iterdir() if entry.name.endswith(".md"))
    return {name: hashlib.sha256(_text(name).encode()).hexdigest()[:16] for name in names}
