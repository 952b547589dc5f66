"""A scrolling pane that draws only the lines in sight: ten thousand lines cost as much as ten.

Lines are spans with roles; text is never read as markup. Selecting with the mouse works.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from planner_app.tui.widgets.paint import style_of
from planner_app.view.wrap import Line

if TYPE_CHECKING:
    from textual.selection import Selection


class LinesView(ScrollView, can_focus=True):
    """Shows `lines`. Subclasses give lines in another way by `line_count` and `line_at`."""

    ALLOW_SELECT = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: Sequence[Line] = ()
        self._styles: dict[str, Style] = {}

    # --- content ---------------------------------------------------------------------------

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def line_at(self, y: int) -> Line:
        """The line at this place."""
        return self._lines[y]

    def show(self, lines: Sequence[Line]) -> None:
        """Replaces all lines; the place that is scrolled to stays, as far as there is one."""
        if lines == self._lines:
            return
        self._lines = lines
        self.resized()
        self.refresh()

    @property
    def text_cells(self) -> int:
        """Cells for a line: the same with and without a scrollbar. 0 before the first layout."""
        return self.scrollable_content_region.width

    def bring_into_sight(self, start: int, end: int) -> None:
        """Scrolls no further than shows the lines from `start` to `end` (not included), or the
        first of them where there are too many."""
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if start < top:
            self.scroll_to(y=start, animate=False, immediate=True)
        elif end > top + height:
            self.scroll_to(y=min(start, end - height), animate=False, immediate=True)

    def resized(self) -> None:
        """To be called when the number of lines changed."""
        size = Size(1, self.line_count)  # lines fit the pane: there is nothing to scroll sideways
        if size != self.virtual_size:
            self.virtual_size = size
            # Scrolling in the same turn as a new size would leave the bar where it was.
            self.call_after_refresh(self._place_bar)

    def watch_show_vertical_scrollbar(self) -> None:
        """A bar that has just come does not know yet how far was scrolled."""
        self.call_after_refresh(self._place_bar)

    def _place_bar(self) -> None:
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self.scroll_y

    # --- drawing ---------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """Colours changed."""
        self._styles.clear()
        super().notify_style_update()

    def style_of(self, role: str) -> Style:
        """The style of a role; an unknown one looks like text."""
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = style_of(role, self.app.theme_variables)
        return style

    def render_line(self, y: int) -> Strip:
        """One line of the pane."""
        scroll_x, scroll_y = self.scroll_offset
        place, cells = scroll_y + y, self.size.width
        if place >= self.line_count:
            return Strip.blank(cells, self.rich_style)
        line = self.line_at(place)
        strip = self._strip(line, place)
        return strip.crop_extend(scroll_x, scroll_x + cells, self.rich_style).apply_offsets(
            scroll_x, place
        )

    def _strip(self, line: Line, place: int) -> Strip:
        back = self.rich_style + self.line_style(place)
        segments = [Segment(_safe(text), back + self.style_of(role)) for text, role in line if text]
        selection = self.text_selection
        span = selection.get_span(place) if selection is not None else None
        if span is not None:
            start, end = span
            marked = self.screen.get_component_rich_style("screen--selection")
            segments = _stylized(segments, start, end, marked)
        strip = Strip(segments)
        if place in self.filled_lines():
            strip = strip.extend_cell_length(self.size.width, back)
        return strip

    def line_style(self, _place: int) -> Style:
        """What is laid under the line's own styles."""
        return Style.null()

    def filled_lines(self) -> range:
        """Lines whose background reaches the right edge."""
        return range(0)

    # --- selecting -------------------------------------------------------------------------

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text under the mouse's selection."""
        text = "\n".join(
            "".join(piece for piece, _role in self.line_at(y)) for y in range(self.line_count)
        )
        return selection.extract(text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Another part is selected."""
        del selection
        self.refresh()


def _safe(text: str) -> str:
    """The last guard: nothing that is not printable reaches the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _stylized(segments: list[Segment], start: int, end: int, style: Style) -> list[Segment]:
    """The segments with `style` over the characters from `start` to `end` (-1: to the end)."""
    out: list[Segment] = []
    at = 0
    for segment in segments:
        text, own, _ = segment
        stop = at + len(text)
        low = min(max(start, at), stop)
        high = stop if end == -1 else min(max(end, at), stop)
        for piece, chosen in (
            (text[: low - at], False),
            (text[low - at : max(high, low) - at], True),
            (text[max(high, low) - at :], False),
        ):
            if piece:
                out.append(Segment(piece, (own + style if own else style) if chosen else own))
        at = stop
    return out
