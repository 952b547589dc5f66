"""Make a folder of packages ready for a read-only container, once, while the image is built.

Run inside the image as `python3 -I build_site.py /opt/site`. Bytecode is compiled because nothing
can be written later (importing numpy, pandas and pyplot takes 0.6 s with it, 2 s without).
"""

from __future__ import annotations

import compileall
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from py_compile import PycInvalidationMode

FONT_FAMILIES = (
    "DejaVu Sans",
    "FreeSans",
    "FreeSerif",
    "WenQuanYi Micro Hei",
    "Lohit Telugu",
    "Khmer OS",
    "Padauk",
    "Tibetan Machine Uni",
    "Symbola",
)
"""matplotlib asks each in turn for a glyph; the image's base holds them all."""
MATPLOTLIB_CACHE = Path("/opt/matplotlib")
FALLBACKS = {
    "font_manager.py": """

# Added by the sandbox image: whatever fonts the code names, present or not, the image's own stand
# in for the glyphs that those lack. That most of them have one weight only is no news to anybody,
# and that a named one is missing is news once.
_find_named = FontManager._find_fonts_by_props


def _find_with_fallbacks(self, prop, fontext="ttf", *args, **kwargs):
    found = _find_named(self, prop, fontext, *args, **kwargs)
    if fontext == "ttf":
        alike = FontProperties._from_any(prop)
        for like in (alike, FontProperties(size=alike.get_size())):
            for family in {families!r}:
                other = like.copy()  # what was asked for once is a key of a cache
                other.set_family(family)
                path = self.findfont(other, fontext, fallback_to_default=False)
                if path not in found:
                    found.append(path)
    return found


_told = set()


def _is_news(record):
    text = record.getMessage()
    known = text in _told or "find font weight" in text
    _told.add(text)
    return not known


FontManager._find_fonts_by_props = _find_with_fallbacks
_log.addFilter(_is_news)
""",
    "_mathtext.py": """

# Added by the sandbox image: words beside a formula may be of any script.
_get_own_glyph = UnicodeFonts._get_glyph


def _get_glyph_with_fallbacks(self, fontname, font_class, sym):
    if len(sym) == 1 and not self._fonts["default"].get_char_index(ord(sym)):
        for family in {families!r}:
            font = get_font(findfont(family))
            if font.get_char_index(ord(sym)):
                return font, ord(sym), False
    return _get_own_glyph(self, fontname, font_class, sym)


UnicodeFonts._get_glyph = _get_glyph_with_fallbacks
""",
}
"""Module of matplotlib to what is written at its end."""


def put_on_path(site: Path) -> None:
    """Let the image's Python find the packages, also in isolated mode."""
    purelib = Path(sysconfig.get_path("purelib"))
    purelib.mkdir(parents=True, exist_ok=True)
    with (purelib / "planner.pth").open("a", encoding="utf-8") as handle:
        handle.write(f"{site}\n")


def prepare_matplotlib(site: Path) -> None:
    """Write the fallback fonts into matplotlib's defaults, and the list of fonts beside them.

    The defaults, not a user's matplotlibrc: so `rcdefaults()` and styles keep them.
    """
    defaults = site / "matplotlib" / "mpl-data" / "matplotlibrc"
    if not defaults.is_file():
        return
    text = defaults.read_text(encoding="utf-8")
    changed, count = re.subn(
        r"^#font\.family:.*$", f"#font.family: {', '.join(FONT_FAMILIES)}", text, flags=re.MULTILINE
    )
    if count != 1:
        raise SystemExit("matplotlib's defaults have no font.family line any more")
    defaults.write_text(changed, encoding="utf-8")
    for name, text in FALLBACKS.items():
        with (site / "matplotlib" / name).open("a", encoding="utf-8") as module:
            module.write(text.format(families=FONT_FAMILIES))
    MATPLOTLIB_CACHE.mkdir()
    find_fonts = "from matplotlib.font_manager import fontManager"
    environment = {**os.environ, "MPLCONFIGDIR": str(MATPLOTLIB_CACHE)}
    subprocess.run([sys.executable, "-I", "-c", find_fonts], check=True, env=environment)
    for file in MATPLOTLIB_CACHE.iterdir():
        file.chmod(0o644)


def prepare_system() -> None:
    """Name the sandbox's user, make its workspace, take set-uid rights from every program."""
    workspace = Path("/workspace")
    workspace.mkdir(exist_ok=True)
    workspace.chmod(0o1777)
    users = Path("/etc/passwd")
    if ":1000:" not in users.read_text(encoding="utf-8"):
        with users.open("a", encoding="utf-8") as handle:
            handle.write("sandbox:x:1000:1000::/workspace:/usr/sbin/nologin\n")
    find = [
        "find",
        "/",
        "-xdev",
        "-type",
        "f",
        "-perm",
        "/6000",
        "-exec",
        "chmod",
        "a-s",
        "{}",
        "+",
    ]
    subprocess.run(find, check=True)


def main() -> None:
    """Prepare the folder that the first argument names."""
    site = Path(sys.argv[1])
    put_on_path(site)
    prepare_system()
    prepare_matplotlib(site)
    compileall.compile_dir(
        site,
        quiet=2,  # some packages carry templates that are not Python
        workers=0,
        force=True,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    main()
