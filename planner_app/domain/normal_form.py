"""Bring a text to the form in which a quote and its page are compared, with a map back.

Quotes come back from models with other quotation marks, dashes, spaces or line breaks than the
page has, and without its Markdown and its footnotes. Letter case and numbers are never touched.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

_SPACELESS = "\u3005\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts written without spaces: one beside them is layout, as a line end is."""
_NEEDS_NO_SPACE = re.compile(rf"[ {_SPACELESS}]|\Z")
"""The end of what a space would follow."""
# Characters that a page and a faithful quote of it have alike are copied in one piece: ASCII but
# for marks, and letters of other scripts that have one form only. A place where one of the others
# stands, or a second space, is a candidate for `_SPECIAL`, which says what differs there.
_PLAIN = (
    " !\"$%&'()+,./0-9:;=?@A-Z^a-z{}"
    "\u0391-\u03a1\u03a3-\u03a9\u03b1-\u03c9\u0410-\u0418\u041a-\u0438\u043a-\u044f"
    "\u05d0-\u05ea\u0627-\u063a\u0641-\u064a\u3400-\u4dbf\u4e00-\u9fff\u3001\u3002"
)
_CANDIDATE = re.compile(f"[^{_PLAIN}]| (?:(?=[ {_SPACELESS}])|(?<=[{_SPACELESS}] ))")
_ONEREFERENCE = r"\[? \\?\[ (?:\d{1,3}|[a-z]) \\?\] (?:\]\([^\s()]{0,500}\))?"
REFERENCE = re.compile(
    rf"(?<=\S) (?: <sup> (?:{_ONEREFERENCE}){{1,9}} </sup> | {_ONEREFERENCE} )", re.VERBOSE
)
"""A footnote's mark, as a page of an encyclopedia has them; who quotes it may leave it out."""
_SPECIAL = re.compile(
    r"""
      (?P<bullet> (?: \s*[\n\f] | ^ ) [ \t]* [-*+\u2022] [ \t]+ )
    | (?P<link> \]\( [^\s()]{0,2000} (?: \([^\s()]{0,500}\) [^\s()]{0,500} ){0,8}
          (?: [ ]"[^"\n]{0,200}" )? \) )
    | (?P<bracket> [\[\]] )
    | (?P<mark> \*+ | _+ | `+ | ~~ )
    | (?P<heading> (?: (?<=[\n\f]) | ^ ) (?: \#{1,6}[ ] | > [ ]? ) )
    | (?P<cell> \s* \| (?: [\s|:-]* \| )? \s* )
    | (?P<escape> \\ (?=[^\w\s]|_) )
    | (?P<tag> </?su[pb]> )
    | (?P<dash> \s* [-\u00ad\u2010-\u2015\u2212\ufe58\ufe63\uff0d]+ \s* )
    | (?P<space> \s+ )
    | (?P<other> [^\x00-\x7f] )
    """,
    re.VERBOSE,
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_LONG_DASH = re.compile("[\u2012-\u2015]|--")
_SINGLE_QUOTES = "\u2018\u2019\u201a\u201b\u2032\u2039\u203a\u00b4\u02bc\uff07`"
_DOUBLE_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300c\u300d\u300e\u300f\uff02"
_FIXED = {ord(char): "'" for char in _SINGLE_QUOTES} | {ord(char): '"' for char in _DOUBLE_QUOTES}
_MINUS = ("-", "\u2212", "\u2013", "\u2012", "\u2010", "\u2011")
_RAISED = "<super>"
_KEPT_FORMS = ("<sub>", "<fraction>", "<circle>")
"""Compatibility forms that carry meaning: 10\u00b2 must not read as 102."""

MAX_PLACES = 100
"""Of the first of several forms, from which the others are looked for."""
MAX_GAP = 1_000
"""Characters between two of them."""


class NormalForm:
    """A text in normal form, with a map from its places to those of the original."""

    def __init__(self, original: str, *, references: bool = True) -> None:
        self.original = original
        self._references = references
        self._pieces: list[str] = []
        self._starts: list[int] = []  # place in the normal form where a piece begins
        self._origins: list[int] = []  # its place in the original
        self._ends: list[int] = []  # the place in the original just after it
        self._exact: list[bool] = []  # whether the piece is copied letter by letter
        self._length = 0
        self._seams: set[int] = set()  # places where a dash stood between two words
        self._last = ""
        self._build()
        self.text = "".join(self._pieces)

    def find(self, form: str) -> tuple[int, int] | None:
        """Start and end in the original of the first match that cuts no word or number."""
        at = self._place(form, 0)
        return None if at < 0 else (self._origin(at), self._origin_end(at + len(form)))

    def find_in_order(self, forms: list[str]) -> tuple[int, int] | None:
        """Where the first form begins and the last ends, with no more than a gap between two."""
        first = self._place(forms[0], 0)
        for _ in range(MAX_PLACES):
            if first < 0:
                return None
            end = first + len(forms[0])
            for form in forms[1:]:
                at = self._place(form, end, end + MAX_GAP + len(form))
                if at < 0:
                    break
                end = at + len(form)
            else:
                return self._origin(first), self._origin_end(end)
            first = self._place(forms[0], first + 1)
        return None

    def _place(self, form: str, start: int, stop: int | None = None) -> int:
        """Where the form stands from `start` on without cutting a word or number; -1: nowhere."""
        at = self.text.find(form, start, stop)
        while at >= 0 and self._cuts(at, at + len(form)):
            at = self.text.find(form, at + 1, stop)
        return at

    def _build(self) -> None:
        original = self.original
        done = position = 0
        while (candidate := _CANDIDATE.search(original, position)) is not None:
            start = candidate.start()
            found = None if self._references else REFERENCE.match(original, start)
            found = found or _SPECIAL.match(original, start)
            if found is None:  # a mark that means nothing here
                position = start + 1
                continue
            if start > done:
                self._copy(done, start)
            position = done = self._special(found)
        if done < len(original):
            self._copy(done, len(original))

    def _special(self, found: re.Match[str]) -> int:
        """Add the normal form of one special spot; the place in the original after it."""
        original, start, end = self.original, found.start(), found.end()
        kind = found.lastgroup
        if kind in ("space", "bullet", "cell"):
            self._space(start, end)
        elif kind == "tag":
            self._tag(found)
        elif kind == "bracket":  # only an index keeps one: 1889[2] is no 18892
            if wordy(self._last) and original[end : end + 1].isdigit():
                self._put("[", start, end)
        elif kind == "dash":
            self._dash(found)
        elif kind == "mark":
            before = original[max(0, start - 2) : start].rstrip("\\")[-1:] or " "
            after = original[end : end + 2].lstrip("\\")[:1] or " "
            inside_word = before.isalnum() and after.isalnum()
            if inside_word or (before.isspace() and after.isspace()):
                self._copy(start, end)
        elif kind == "other":
            return self._unusual(start)
        return end

    def _space(self, start: int, end: int) -> None:
        if not _NEEDS_NO_SPACE.match(self._last):
            self._put(" ", start, end)

    def _tag(self, found: re.Match[str]) -> None:
        """A sign for what is raised, or lowered behind a digit: 10<sup>2</sup> is no 102."""
        if self.original[found.end() : found.end() + 1].isalnum():
            if found.group() == "<sup>":
                self._put("^", *found.span())
            elif found.group() == "<sub>" and self._last.isdigit():
                self._put("_", *found.span())

    def _dash(self, found: re.Match[str]) -> None:
        """One dash for every kind and length; none where it splits a word.

        Spaces around a dash are dropped, and so is a dash between letters: pages break words at
        line ends, and a quote has them whole. What a dash parts may be quoted by itself.
        """
        spot, start, end = found.group(), found.start(), found.end()
        drawn = _INVISIBLE.sub("", spot)
        if not drawn.strip():  # soft hyphens only; one at a line's end has broken a word
            if drawn and (spot[0].isspace() or "\n" not in drawn):
                self._space(start, end)
            return
        parts = spot[0].isspace() or self._last == " " or _LONG_DASH.search(drawn)
        if self._last == " ":
            self._drop_space()
        if self._last.isalpha() and self.original[end : end + 1].isalpha():
            if parts:
                self._seams.add(self._length)
        else:
            inner = start + len(spot) - len(spot.lstrip())
            self._put("-", inner, start + len(spot.rstrip()))

    def _unusual(self, start: int) -> int:
        """A non-ASCII character with the accents that follow it."""
        original, end = self.original, start + 1
        while end < len(original) and end - start < 32 and unicodedata.combining(original[end]):
            end += 1
        cluster = original[start:end].translate(_FIXED)
        form = unicodedata.decomposition(cluster[:1])
        if form.startswith(_RAISED):
            raised = unicodedata.decomposition(original[start - 1 : start] or " ")
            sign = "" if raised.startswith(_RAISED) else "^"
            self._put(sign + unicodedata.normalize("NFKD", cluster), start, end)
            return end
        if form.startswith(_KEPT_FORMS) and not ("<sub>" in form and self._last.isalpha()):
            self._put(cluster, start, end)
            return end
        cluster = _INVISIBLE.sub("", cluster)
        if cluster:
            self._put(unicodedata.normalize("NFKD", cluster), start, end)
        return end

    def _copy(self, start: int, end: int) -> None:
        if self.original[start] == " " and _NEEDS_NO_SPACE.match(self._last):
            start += 1
        if start < end:
            self._put(self.original[start:end], start, end)
            self._exact[-1] = True

    def _put(self, piece: str, origin: int, end: int) -> None:
        if self._last == " " and piece != " " and _NEEDS_NO_SPACE.match(piece):
            self._drop_space()
        self._pieces.append(piece)
        self._starts.append(self._length)
        self._origins.append(origin)
        self._ends.append(end)
        self._exact.append(False)
        self._length += len(piece)
        self._last = piece[-1]

    def _drop_space(self) -> None:
        """Take back the space that was added last."""
        self._length -= 1
        self._pieces[-1] = self._pieces[-1][:-1]
        self._ends[-1] -= 1
        if not self._pieces[-1]:
            for stack in (self._pieces, self._starts, self._origins, self._ends, self._exact):
                stack.pop()
        self._last = self._pieces[-1][-1] if self._pieces else ""

    def _origin(self, at: int) -> int:
        piece = bisect_right(self._starts, at) - 1
        return self._origins[piece] + (at - self._starts[piece] if self._exact[piece] else 0)

    def _origin_end(self, at: int) -> int:
        """The place in the original just after the character before `at`."""
        piece = bisect_right(self._starts, at - 1) - 1
        if self._exact[piece]:
            return self._origins[piece] + at - self._starts[piece]
        return self._ends[piece]

    def _splits_piece(self, at: int) -> bool:
        """Whether `at` lies within the normal form of a single character, as a ligature's."""
        piece = bisect_right(self._starts, at) - 1
        return at > self._starts[piece] and at < self._length and not self._exact[piece]

    def _cuts(self, start: int, end: int) -> bool:
        text = self.text
        if self._splits_piece(start) or self._splits_piece(end):
            return True
        before, after = text[max(0, start - 2) : start], text[end : end + 2]
        if after and unicodedata.combining(after[0]):
            return True
        for left, at in ((before[-1:], start), (text[end - 1], end)):
            if at not in self._seams and _joined(left, text[at : at + 1]):
                return True
        if text[start].isdigit():
            if before[-1:] in (".", ",") and before[:-1].isdigit():
                return True
            if before[-1:] == "-" and self._is_minus(self._origin(start)):
                return True
        if text[end - 1] in (".", ","):
            return after[:1].isdigit() and text[end - 2 : end - 1].isdigit()
        return text[end - 1].isdigit() and after[:1] in (".", ",") and after[1:].isdigit()

    def _is_minus(self, origin: int) -> bool:
        """Whether the dash just before `origin` is a sign: nothing between it and the number."""
        before = self.original[max(0, origin - 2) : origin]
        return before[-1:] in _MINUS and not before[:-1].isalnum()


def _joined(left: str, right: str) -> bool:
    """Whether two neighbouring characters are parts of one word or number.

    Scripts without spaces have no such seam, so only letters that are cased, and digits, join.
    """
    return wordy(left) and wordy(right)


def wordy(char: str) -> bool:
    """Whether a character is a part of a word or number that a quote must not cut."""
    return char == "^" or char.isdigit() or (char.isalpha() and char.lower() != char.upper())
