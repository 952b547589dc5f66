"""The addresses that a run has seen: in its task, in search hits, in pages that it fetched.

The `seen` policy lets requests go to these only: code that was led astray can then not write what
it read into an address of its own making.
"""

from __future__ import annotations

import re

from planner_app.broker.addresses import normal_url

_ADDRESS = re.compile(
    r"https?://[^\s<>\"'`\u00ab\u00bb\u201c\u201d\u2018\u2019]{1,2000}", re.IGNORECASE
)
_TRAILING = ".,;:!?*_~|"
_MAX_TRIMMED = 50
_PAIRS = {")": "(", "]": "[", "}": "{"}


def addresses_in(text: str) -> frozenset[str]:
    """The web addresses that stand in a text or in its Markdown links, in normal form."""
    found: set[str] = set()
    for match in _ADDRESS.finditer(text):
        for part in re.split(r"(?<=.)\]\(", match.group()):  # [https://a](https://b)
            found.add(normal_url(_trimmed(part)))
    return frozenset(url for url in found if url.startswith(("http://", "https://")))


def _trimmed(address: str) -> str:
    """Without the punctuation of the sentence around it; brackets of its own stay."""
    for _ in range(_MAX_TRIMMED):
        last = address[-1:]
        opening = _PAIRS.get(last)
        unpaired = opening is not None and address.count(last) > address.count(opening)
        if not last or (last not in _TRAILING and not unpaired):
            break
        address = address[:-1]
    return address


class SeenAddresses:
    """Grows with the run; give it every text as it comes in."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._known: set[str] = set()

    def add(self, url: str) -> None:
        """An address by itself: a hit's or a page's own."""
        self._known.add(normal_url(url))

    def add_text(self, text: str) -> None:
        """A text that holds addresses: the task, an attachment, a page."""
        self._known |= addresses_in(text)

    def __contains__(self, url: object) -> bool:
        return isinstance(url, str) and normal_url(url) in self._known
