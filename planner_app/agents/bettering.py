"""The two further calls that may better a reply: commit to one approach, or translate its prose."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from planner_app.agents.prompts import prompt
from planner_app.agents.turn import Surroundings, Turn
from planner_app.domain.fences import fence_untrusted
from planner_app.domain.plan import Answer, Plan, Report
from planner_app.models.language import keeps_facts
from planner_app.models.port import Message
from planner_app.models.structured import StructuredError, parse

TASK_CHARS = 1_000
"""Of the task, to show its language."""

Written = Plan | Report | Answer

_PROSE: dict[type[BaseModel], tuple[str, ...]] = {
    Plan: (
        "facts.given.*", "facts.verified.*.fact", "facts.to_find.*", "facts.to_derive.*",
        "facts.guesses.*", "steps.*.objective", "steps.*.expected", "answer_format", "done_when.*",
        "questions.*.text", "questions.*.default", "answer",
    ),
    Report: ("result", "tried.*", "next_hint"),
    Answer: ("text", "claims.*.text", "open_points.*"),
}  # fmt: skip
"""Where an object holds words for people. Ids, names, quotes and data are not among them."""


class _Translated(BaseModel):
    texts: list[str]


def commit_turn(conversation: str) -> Turn:
    """The message that asks for the same turn by one approach."""
    return Turn(conversation, (Message(role="user", content=prompt("commit")),), restart=False)


def translate_turn(conversation: str, written: Written, around: Surroundings) -> Turn:
    """A new short chat with the prose of an object and the task whose language it is to have."""
    texts = prose(written)
    text = prompt(
        "translate",
        count=len(texts),
        task=fence_untrusted(around.task[:TASK_CHARS], "the task"),
        texts=fence_untrusted(json.dumps(texts, ensure_ascii=False, indent=1), "the texts"),
    )
    return Turn(conversation, (Message(role="user", content=text),), restart=True)


def prose(written: Written) -> list[str]:
    """What an object says to people, text by text."""
    texts: list[str] = []

    def note(text: str) -> str:
        texts.append(text)
        return text

    _each_text(written, note)
    return texts


def translated(written: Written, reply: str) -> tuple[Written | None, str]:
    """The object in the words of a translation, or None and why the original stands."""
    before = prose(written)
    try:
        parsed = parse(reply, _Translated)
    except StructuredError as error:
        return None, f"the translation could not be read: {error.message}"
    after = parsed.value.texts
    if "truncated" in parsed.flags or len(after) != len(before):
        return None, f"{len(after)} of {len(before)} texts came back"
    if not all(map(keeps_facts, before, after)):
        return None, "the translation changed a number, an address or a source"
    rest = iter(after)
    return _each_text(written, lambda _: next(rest)), ""


def _each_text(written: Written, change: Callable[[str], str]) -> Written:
    """The object with each of its texts for people changed; empty ones are passed over."""
    data = written.model_dump()
    kind = type(written)
    for path in _PROSE[kind]:
        _at(data, path.split("."), change)
    return kind.model_validate(data)


def _at(place: Any, path: list[str], change: Callable[[str], str]) -> None:
    key, rest = path[0], path[1:]
    keys = range(len(place)) if key == "*" else [key]
    for one in keys:
        if rest:
            _at(place[one], rest, change)
        elif isinstance(place[one], str) and place[one].strip():
            place[one] = change(place[one])
