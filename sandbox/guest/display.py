"""Shows figures, tables and images beside the text."""

from __future__ import annotations

import io
import sys
from sys import modules
from types import ModuleType

from .report import describe_value, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FIGURES = 20
MAX_BYTES = 8 << 20
RICH = (
    ("image/png", "_repr_png_"),
    ("image/jpeg", "_repr_jpeg_"),
    ("image/svg+xml", "_repr_svg_"),
    ("text/html", "_repr_html_"),
    ("text/markdown", "_repr_markdown_"),
)


class Gallery:
    """Sends what an action shows to the host as it is shown."""

    def __init__(self, show: Callable[[str, bytes], None]) -> None:
        self._show = show
        self._given_up: object = None
        """A pyplot that was patched or replaced so that it fails: it would fail each action."""

    def display(self, *values: object) -> None:
        """Show values now: as text in the output, and as image or table where they can."""
        for value in values:
            if _is_figure(value):
                self._show_figure(value)
            else:
                print(value if isinstance(value, str) else describe_value(value, 20_000))
                self.display_value(value)

    def display_value(self, value: object) -> None:
        """Send the richest form that a value offers; a value without one is left to its repr."""
        try:
            if _is_figure(value):
                pyplot = self._pyplot()
                if pyplot is None or value.number not in pyplot.get_fignums():  # type: ignore[attr-defined]
                    self._show_figure(value)
            else:
                self._show_richest(value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the value's own code; its repr has been told already
            print(f"it cannot be shown: {type(error).__name__}", file=sys.stderr)

    def _show_richest(self, value: object) -> None:
        kind = type(value)
        if issubclass(kind, type):
            return
        for mime, method in RICH:
            maker = getattr(kind, method, None)
            if maker is not None and self._send(mime, maker(value)):
                return

    def _send(self, mime: str, made: object) -> bool:
        if isinstance(made, tuple) and made:
            made = made[0]  # the data, before its metadata
        if isinstance(made, str):
            made = plain(made).encode("utf-8", "backslashreplace")
        if not isinstance(made, bytes):
            return False
        data = b"".join((made,))  # without the ways of its class
        if not 0 < len(data) <= MAX_BYTES:
            return False
        self._show(mime, data)
        return True

    def take_figures(self) -> None:
        """Send and close the open pyplot figures."""
        pyplot = self._pyplot()
        if pyplot is None:
            return
        self._given_up = pyplot  # unless it serves to the end
        numbers = pyplot.get_fignums()
        try:
            for number in numbers[:MAX_FIGURES]:
                self._show_figure(pyplot.figure(number))
            if len(numbers) > MAX_FIGURES:
                left_out = len(numbers) - MAX_FIGURES
                print(f"{left_out} further figures were not shown", file=sys.stderr)
        finally:
            pyplot.close("all")
            if not pyplot.get_fignums():
                self._given_up = None

    def _pyplot(self) -> ModuleType | None:
        try:
            pyplot = modules.get("matplotlib.pyplot")
        except KeyboardInterrupt:
            raise
        except BaseException:  # an action has put a key into the table that compares in its own way
            return None
        return None if type(pyplot) is not ModuleType or pyplot is self._given_up else pyplot

    def take_figures_quietly(self) -> None:
        """After an error: a half-drawn figure that cannot be saved must not hide the error."""
        try:
            self.take_figures()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            print(f"a figure could not be drawn: {type(error).__name__}", file=sys.stderr)

    def _show_figure(self, figure: object) -> None:
        out = io.BytesIO()
        figure.savefig(out, format="png", bbox_inches="tight")  # type: ignore[attr-defined]
        if not self._send("image/png", out.getvalue()):
            print("a figure is too large to be shown", file=sys.stderr)


def _is_figure(value: object) -> bool:
    module = modules.get("matplotlib.figure")
    figure = vars(module).get("Figure") if type(module) is ModuleType else None
    return type(figure) is type and issubclass(type(value), figure)
