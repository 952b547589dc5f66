"""Full-text search over everything that was said, written and read in all runs.

The index holds no text: what a hit shows is taken from its event and blobs. Han, Kana and Hangul
are indexed character by character, so that words of them are found without a dictionary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, insert, select, text

from planner_app.domain.events import Event
from planner_app.history.columns import EVENT, RUN, SEARCH_ENTRY
from planner_app.history.times import from_us

Kind = Literal["task", "plan", "code", "observation", "answer", "page"]
ReadBlob = Callable[[str], bytes]

MAX_INDEXED = 200_000
"""Characters of one text that are indexed."""
MAX_TERMS = 24
_SNIPPET = 160
_WIDE = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_TERM = re.compile(r'"([^"]*)"|(\S+)')
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One text of an event that can be found."""

    kind: Kind
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where the words stand."""

    run_id: str
    task_id: str
    seq: int
    """The event that holds the text."""
    kind: str
    title: str
    """Of the page, step or task."""
    run_title: str
    snippet: str
    """The text around the first match, in one line; may be empty when only the title matches."""
    marks: tuple[tuple[int, int], ...]
    """Where in the snippet the words stand: start and end, in characters."""
    at: datetime


def entry_of(event: Event, read_blob: ReadBlob) -> Entry | None:
    """What of an event can be found; None: nothing."""
    data, blobs = event.data, event.blobs

    def blob(name: str) -> str | None:
        sha = blobs.get(name)
        return None if sha is None else read_blob(sha).decode("utf-8", "replace")

    match event.type:
        case "run.created":
            return Entry("task", _first_line(data["text"]), blob("text") or data["text"])
        case "plan.accepted":
            steps = data["plan"]["steps"]
            lines = [f"{step['objective']}\n{step['expected']}" for step in steps]
            return Entry("plan", f"Plan {data['revision']}", "\n".join(lines))
        case "action.started":
            return Entry("code", event.step_id or "", blob("code") or data["code_head"])
        case "action.finished":
            return Entry("observation", event.step_id or "", blob("observation") or data["head"])
        case "answer.drafted":
            return Entry("answer", "Answer", _answer_text(blob("answer")) or data["answer"]["text"])
        case "source.added":
            return Entry("page", data["title"], blob("text") or "")
        case _:
            return None


def _first_line(value: str) -> str:
    return next((line.strip()[:120] for line in value.splitlines() if line.strip()), "")


def _answer_text(blob: str | None) -> str | None:
    if blob is None:
        return None
    try:
        value = json.loads(blob)
    except ValueError:
        return blob
    return str(value.get("text", "")) if isinstance(value, dict) else blob


_INSERT = insert(SEARCH_ENTRY).returning(SEARCH_ENTRY.c.id)


def index(connection: Connection, event: Event, read_blob: ReadBlob) -> None:
    """Makes what the event says findable, within the append's transaction."""
    entry = entry_of(event, read_blob)
    if entry is None or not (entry.title.strip() or entry.body.strip()):
        return
    title = _storable(entry.title)
    new = {"run_id": event.run_id, "seq": event.seq, "kind": entry.kind, "title": title[:300]}
    entry_id = connection.execute(_INSERT, new).scalar_one()
    connection.exec_driver_sql(
        "INSERT INTO search_index(rowid, title, body) VALUES (?, ?, ?)",
        (entry_id, _spaced(title), _spaced(_storable(entry.body[:MAX_INDEXED]))),
    )


def _storable(value: str) -> str:
    return value.replace("\x00", " ").encode("utf-8", "replace").decode("utf-8")


def _spaced(value: str) -> str:
    return _WIDE.sub(lambda match: f" {match[0]} ", value)


def terms_of(words: str) -> list[str]:
    """What is looked for: single words, and phrases in quotes. Everything else is ignored."""
    terms: list[str] = []
    for match in _TERM.finditer(_storable(words[:2_000])):
        found = " ".join(_WORD.findall(match[1] if match[1] is not None else match[2]))
        if found and found not in terms:
            terms.append(found)
    return terms[:MAX_TERMS]


def _match_text(terms: Sequence[str]) -> str:
    """FTS5's own syntax never reaches it: each term is a quoted string; the last may be begun."""
    quoted = [f'"{" ".join(_spaced(term).split())}"' for term in terms]
    if not _WIDE.search(terms[-1][-1]):
        quoted[-1] += "*"
    return " AND ".join(quoted)


def search(
    connection: Connection,
    words: str,
    read_blob: ReadBlob,
    *,
    kinds: Sequence[Kind] = (),
    run_id: str | None = None,
    limit: int = 20,
) -> list[Hit]:
    """The best matches first; all words must occur. No text that a person types is an error."""
    from planner_app.history.log import events

    terms = terms_of(words)
    if not terms:
        return []
    entry = SEARCH_ENTRY.c
    query = (
        select(entry.run_id, entry.seq, entry.kind, entry.title, RUN.c.task_id, RUN.c.title)
        .add_columns(EVENT.c.at_us)
        .join(RUN, RUN.c.id == entry.run_id)
        .join(EVENT, (EVENT.c.run_id == entry.run_id) & (EVENT.c.seq == entry.seq))
        .join(text("search_index"), text("search_index.rowid = search_entry.id"))
        .where(text("search_index MATCH :match").bindparams(match=_match_text(terms)))
        .order_by(text("bm25(search_index, 4.0, 1.0)"), EVENT.c.at_us.desc())
        .limit(limit)
    )
    if kinds:
        query = query.where(entry.kind.in_(kinds))
    if run_id is not None:
        query = query.where(entry.run_id == run_id)
    hits = []
    for run, seq, kind, title, task, run_title, at_us in connection.execute(query).all():
        event = events(connection, run, seq - 1, 1)[0]
        found = entry_of(event, read_blob)
        snippet, marks = snippet_of(found.body if found else "", terms)
        hits.append(Hit(run, task, seq, kind, title, run_title, snippet, marks, from_us(at_us)))
    return hits


def snippet_of(body: str, terms: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A line of the text around the first place where a term stands, and where the terms are."""
    pattern = re.compile(
        "|".join(
            r"\W+".join(map(re.escape, term.split())) for term in sorted(terms, key=len)[::-1]
        ),
        re.IGNORECASE,
    )
    first = pattern.search(body[:MAX_INDEXED])
    start = max(0, first.start() - _SNIPPET // 3) if first else 0
    if start:
        cut = body.find(" ", start, first.start() if first else start)
        start = cut + 1 if cut >= 0 else start
    piece = " ".join(body[start : start + _SNIPPET].split())
    line = f"{'…' if start else ''}{piece}{'…' if start + _SNIPPET < len(body) else ''}"
    return line, tuple(match.span() for match in pattern.finditer(line))
