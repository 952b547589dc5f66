"""Keeps the texts of a run's blobs that were read, up to a bound."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable

from planner_app.view.entries import Body

MAX_CHARS = 24_000_000
MAX_TEXT = 1_000_000
"""Characters of one text that a screen shows; `planner show` has the rest."""


class Bodies:
    """Texts by sha256. Used by one thread; blobs are read by others and handed to `take`."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._chars = 0
        self._asked: set[str] = set()

    def text_of(self, body: Body) -> str | None:
        """The text, its head while the blob is not read, or None."""
        if body.sha is None or body.label == "answer":
            return body.text
        text = self._texts.get(body.sha)
        return text if text is not None else body.text or None

    def has(self, sha: str) -> bool:
        """Whether the blob is read."""
        return sha in self._texts

    def get(self, sha: str | None) -> str | None:
        """The text of a blob, if it is read."""
        return self._texts.get(sha) if sha else None

    @property
    def waiting(self) -> int:
        """How many blobs were asked for and have not come."""
        return len(self._asked)

    def missing(self, shas: Iterable[str]) -> list[str]:
        """Those of the blobs that nobody has asked for yet; they count as asked from now on."""
        new = [
            sha for sha in dict.fromkeys(shas) if sha not in self._texts and sha not in self._asked
        ]
        self._asked.update(new)
        return new

    def take(self, texts: dict[str, str]) -> None:
        """Texts that were read."""
        for sha, text in texts.items():
            self._asked.discard(sha)
            if sha not in self._texts:
                self._texts[sha] = text
                self._chars += len(text)
        while self._chars > MAX_CHARS and len(self._texts) > 1:
            _sha, text = self._texts.popitem(last=False)
            self._chars -= len(text)


def text_of_blob(data: bytes) -> str:
    """A blob as text, at most `MAX_TEXT` characters."""
    return data[: 4 * MAX_TEXT].decode("utf-8", "replace")[:MAX_TEXT]


def answer_of_blob(data: bytes) -> str:
    """The text of an answer's blob, which is JSON."""
    try:
        value = json.loads(data)
    except ValueError:
        return text_of_blob(data)
    return str(value.get("text", ""))[:MAX_TEXT] if isinstance(value, dict) else ""
