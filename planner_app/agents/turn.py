"""What an agent needs to know to write its next message, and the message it wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from planner_app.domain.fences import fence_untrusted
from planner_app.domain.state import Note, RunState
from planner_app.models.port import Message


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the state of a run does not hold itself."""

    task: str
    """The whole text of the task."""
    today: str
    """ISO date."""
    tools: Callable[[tuple[str, ...]], str]
    """The prompt text of the named tools; of all for an empty tuple."""
    read: Callable[[str], str]
    """A blob's text by its sha256."""
    source_text: Callable[[int], str]
    """A source's readable text by its number; empty when it has none."""
    schema: str = ""
    """The answer's JSON Schema as text; empty: none was given."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The messages that an agent's next request adds."""

    conversation: str
    messages: tuple[Message, ...]
    restart: bool
    """Whether they are the whole conversation and not an addition to it."""
    examples: bool = False
    """Whether the first message already holds examples."""


def note_text(note: Note, read: Callable[[str], str]) -> str:
    """What a model is told, whole."""
    text = read(note.sha) if note.sha is not None else note.text
    if note.kind == "steer":
        return f"The person adds: {text}"
    if note.kind == "answer":
        return f"The person's answer: {text}"
    if note.kind == "defaults":  # the question may be an action's own, and hold anything
        data = fence_untrusted(text, "defaults")
        return f"Nobody answered in words. What stands instead:\n{data}"
    return text


def source_list(state: RunState) -> str:
    """The numbered sources, one line each; their titles are web text."""
    lines = []
    for n, source in sorted(state.sources.items()):
        where = f" <{source.url}>" if source.url else ""
        weak = " (a search hit only: weak)" if source.weak else ""
        title = " ".join(source.title.split())[:150]
        lines.append(f"[{n}] {source.kind}: {title}{where}{weak}")
    return fence_untrusted("\n".join(lines), "the list of sources") if lines else "(none)"


def section(title: str, body: str) -> str:
    """A part of a prompt that is left out when it is empty."""
    return f"\n# {title}\n{body.strip()}\n" if body.strip() else ""


def bullets(lines: list[str], nothing: str = "(none)") -> str:
    """Lines as a Markdown list."""
    return "\n".join(f"- {line}" for line in lines) or nothing
