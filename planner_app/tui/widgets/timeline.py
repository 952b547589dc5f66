"""The timeline: blocks of lines that grow at the end, fold, stream, and follow until scrolled."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from planner_app.tui.widgets.lines import LinesView
from planner_app.tui.widgets.paint import python_lines
from planner_app.view.blocks import Block, block_of
from planner_app.view.entries import Body, Entry
from planner_app.view.live import Live
from planner_app.view.wrap import Line

if TYPE_CHECKING:
    from rich.style import Style

_NO_LIVE: Mapping[str, Live] = {}


class Texts(Protocol):
    """Bodies of entries, as far as their blobs are read."""

    def text_of(self, body: Body) -> str | None:
        """The text, its head while the blob is not read, or None."""

    def has(self, sha: str) -> bool:
        """Whether the blob is read."""


class Timeline(LinesView):
    """Shows the entries of a run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "next(1)", "Next", show=False),
        Binding("up,k", "next(-1)", "Previous", show=False),
        Binding("enter", "unfold", "Unfold", key_display="Enter"),
        Binding("f", "fold_all", "Fold or unfold all", show=False),
        Binding("end,G", "follow", "Follow", show=False),
        Binding("home,g", "to_top", "Top", show=False),
    ]

    @dataclass
    class Followed(Message):
        """Whether the newest entry is kept in sight, and how many came unseen."""

        following: bool
        unseen: int

    @dataclass
    class Sighted(Message):
        """Blobs of entries that are in sight now and were not read."""

        shas: tuple[str, ...]

    def __init__(self, texts: Texts, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._texts = texts
        self._entries: list[Entry] = []
        self._blocks: list[Block] = []
        self._starts: list[int] = [0]
        self._whole: set[int] = set()
        """`seq` of entries that are shown whole."""
        self._all_whole = False
        self._live: Mapping[str, Live] = _NO_LIVE
        self._hungry: set[int] = set()
        """Places of entries that were in sight while a text of theirs was not read."""
        self._cells = 0
        self.cursor = -1
        """Place of the chosen entry; -1: none, the newest."""
        self.following = True
        self.unseen = 0
        self.spin = "●"
        self._query = ""

    # --- content ---------------------------------------------------------------------------

    @property
    def entries(self) -> list[Entry]:
        """What is shown, oldest first. Not to be changed."""
        return self._entries

    @property
    def line_count(self) -> int:
        return self._starts[-1]

    def line_at(self, y: int) -> Line:
        place = bisect_right(self._starts, y) - 1
        block, row = self._blocks[place], y - self._starts[place]
        line = block.lines[row]
        low, high = block.code
        if low <= row < high:
            return (line[0], *self._code(block)[row - low])
        if row == block.lead and block.moves:
            return tuple(
                (f"{self.spin} ", role) if text == "● " else (text, role) for text, role in line
            )
        return line

    @staticmethod
    def _code(block: Block) -> tuple[Line, ...]:
        low, high = block.code
        return python_lines(
            "\n".join("".join(t for t, _ in row[1:]) for row in block.lines[low:high])
        )

    def reset(self) -> None:
        """Forgets everything."""
        self._entries, self._blocks, self._starts = [], [], [0]
        self.cursor, self.unseen, self.following = -1, 0, True
        self._live = _NO_LIVE
        self._hungry.clear()
        self.resized()
        self.refresh()

    def update_entries(
        self, length: int, changed: Iterable[tuple[int, Entry]], live: Mapping[str, Live]
    ) -> None:
        """Takes new and changed entries (place, entry); `length` is how many there are then."""
        old = len(self._entries)
        if length < old:
            del self._entries[length:], self._blocks[length:], self._starts[length + 1 :]
            self.cursor = min(self.cursor, length - 1)
        places = set()
        for place, entry in changed:
            if place < len(self._entries):
                self._entries[place] = entry
            else:
                self._entries.append(entry)
            places.add(place)
        before, self._live = self._live, live
        if live != before:
            moves = {m for m in {*live, *before} if live.get(m) != before.get(m)}
            recent = range(max(0, length - 200), length)
            places |= {p for p in recent if self._entries[p].move_id in moves}
        self._rebuild(places)
        if not self.following and length > old:
            self.unseen += length - old
            self.post_message(self.Followed(self.following, self.unseen))

    @property
    def cells(self) -> int:
        """Cells for a line; 0 before the first layout."""
        return self._cells

    def fill(self, entries: list[Entry], blocks: list[Block], cells: int) -> None:
        """Shows a whole timeline whose blocks were built elsewhere, for so many cells."""
        self.reset()
        self._entries = entries
        if cells == self._cells:
            self._blocks = blocks
            for block in blocks:
                self._starts.append(self._starts[-1] + len(block.lines))
            self._rebuild(())
        else:
            self._rebuild(range(len(entries)))

    def _rebuild(self, places: Iterable[int]) -> None:
        """Makes blocks anew; lines below move along, the line at the top of the pane stays."""
        if self._cells <= 0:
            return
        top = self.scroll_offset.y
        anchor = bisect_right(self._starts, top) - 1
        inside = top - self._starts[anchor] if anchor < len(self._blocks) else 0
        first = len(self._blocks)
        for place in sorted(places):
            block = self._block(place)
            if place < len(self._blocks):
                self._blocks[place] = block
                first = min(first, place)
            else:
                self._blocks.append(block)
        at = self._starts[first]
        del self._starts[first + 1 :]
        for block in self._blocks[first:]:
            at += len(block.lines)
            self._starts.append(at)
        self.resized()
        if self.following:
            self._to_end()
        elif first < anchor < len(self._starts):
            self.scroll_to(y=self._starts[anchor] + inside, animate=False, immediate=True)
        self.refresh()
        self._look_for_unread()

    def _block(self, place: int) -> Block:
        entry = self._entries[place]
        whole = (entry.seq in self._whole) != self._all_whole
        live = self._live.get(entry.move_id) if entry.move_id and not entry.closed else None
        return block_of(entry, self._cells, self._texts.text_of, whole=whole, live=live)

    def texts_came(self) -> None:
        """Blobs were read: entries have more to show, those too that left the sight meanwhile."""
        waited = {place for place in self._hungry if place < len(self._entries)}
        self._hungry = {place for place in waited if self._unread(place)}
        self._rebuild(waited)

    # --- size, following ---------------------------------------------------------------------

    def on_resize(self) -> None:
        """Lines are broken anew for the new width."""
        cells = self.text_cells
        if cells != self._cells and cells > 0:
            self._cells = cells
            self._blocks, self._starts = [], [0]
            self._rebuild(range(len(self._entries)))
        elif self.following:
            self._to_end()

    def _to_end(self) -> None:
        self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling up stops following; being at the end follows again."""
        super().watch_scroll_y(old_value, new_value)
        at_end = new_value >= self.max_scroll_y - 0.5
        if at_end != self.following and (at_end or new_value < old_value):
            self._follow(at_end)
        self._look_for_unread()

    def _follow(self, following: bool) -> None:
        self.following = following
        if following:
            self.unseen = 0
        self.post_message(self.Followed(following, self.unseen))

    def _in_sight(self) -> range:
        if not self._blocks:
            return range(0)
        top = self.scroll_offset.y
        first = max(0, bisect_right(self._starts, top) - 1)
        last = bisect_right(self._starts, top + max(1, self.size.height))
        return range(first, min(last, len(self._blocks)))

    def _look_for_unread(self) -> None:
        unread = {place: self._unread(place) for place in self._in_sight()}
        hungry = {place: shas for place, shas in unread.items() if shas}
        if hungry:
            self._hungry |= hungry.keys()
            self.post_message(self.Sighted(tuple(sha for shas in hungry.values() for sha in shas)))

    def _unread(self, place: int) -> list[str]:
        """The blobs that an entry would show and that are not read."""
        entry = self._entries[place]
        folded = () if entry.seq in self._whole else ("result",)
        return [
            body.sha
            for body in entry.bodies
            if body.sha is not None
            and body.label not in ("answer", *folded)
            and not self._texts.has(body.sha)
        ]

    # --- drawing -----------------------------------------------------------------------------

    def line_style(self, place: int) -> Style:
        if self.has_focus and place in self.filled_lines():
            return self.style_of("cursor")
        return super().line_style(place)

    def filled_lines(self) -> range:
        if not 0 <= self.cursor < len(self._blocks) or not self.has_focus:
            return range(0)
        first = self._starts[self.cursor] + self._blocks[self.cursor].lead
        return range(first, first + 1)

    def turn(self, spin: str) -> None:
        """Another picture of the spinner; draws only the lines that have it."""
        self.spin = spin
        for place in self._in_sight():
            if self._blocks[place].moves:
                self.refresh_lines(self._starts[place] + self._blocks[place].lead)

    # --- keys --------------------------------------------------------------------------------

    def choose(self, place: int) -> None:
        """Puts the cursor on an entry and brings it into sight."""
        if not self._blocks:
            return
        self.cursor = max(0, min(place, len(self._blocks) - 1))
        self.bring_into_sight(self._starts[self.cursor], self._starts[self.cursor + 1])
        self.refresh()

    def action_next(self, by: int) -> None:
        """The entry after or before."""
        if self.cursor < 0:
            in_sight = self._in_sight()
            self.choose(len(self._blocks) - 1 if self.following or not in_sight else in_sight[0])
            return
        if by < 0 and self.following:
            self._follow(False)
        self.choose(self.cursor + by)

    def action_unfold(self) -> None:
        """Shows the chosen entry whole, or folds it."""
        if self.cursor < 0:
            self.action_next(-1)
        if not 0 <= self.cursor < len(self._entries):
            return
        self._whole ^= {self._entries[self.cursor].seq}
        following, self.following = self.following, False
        self._rebuild([self.cursor])
        self.following = following and self.cursor == len(self._entries) - 1
        self.choose(self.cursor)

    def action_fold_all(self) -> None:
        """Shows all entries whole, or folds them."""
        self._all_whole = not self._all_whole
        self._whole.clear()
        self._rebuild(range(len(self._entries)))

    def action_follow(self) -> None:
        """To the newest entry, and stay with it."""
        self.cursor = -1
        self._to_end()
        self._follow(True)
        self.refresh()

    def action_to_top(self) -> None:
        """To the first entry."""
        self._follow(False)
        self.choose(0)
        self.scroll_to(y=0, animate=False, immediate=True)

    def find(self, words: str, by: int = 1) -> bool:
        """Chooses the next entry that holds the words; False when none does."""
        words = words.casefold()
        count = len(self._blocks)
        for distance in range(1, count + 1):
            place = (self.cursor + by * distance) % count
            text = "\n".join("".join(t for t, _ in line) for line in self._blocks[place].lines)
            if words in text.casefold():
                self._follow(False)
                self.choose(place)
                return True
        return False

    def on_click(self, event: events.Click) -> None:
        """Chooses the entry under the mouse; a second click unfolds it."""
        y = self.scroll_offset.y + event.y
        if y < self.line_count:
            self.choose(bisect_right(self._starts, y) - 1)
            if event.chain == 2:
                self.action_unfold()
