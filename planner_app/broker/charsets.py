"""From bytes and what is said about them to text: header, then the page's own word, then UTF-8."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

# fmt: off
SAFE_CHARSETS = frozenset((
    "utf-8", "ascii", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256",
    "cp1257", "cp1258", "cp874", "iso8859-1", "iso8859-2", "iso8859-3", "iso8859-4",
    "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9", "iso8859-10", "iso8859-13",
    "iso8859-14", "iso8859-15", "iso8859-16", "koi8-r", "koi8-u", "mac-roman", "gb2312", "gbk",
    "gb18030", "big5", "big5hkscs", "shift_jis", "cp932", "euc_jp", "iso2022_jp", "euc_kr",
    "cp949", "utf-16", "utf-16-le", "utf-16-be",
))
# fmt: on
"""What the web uses. Python knows others that are traps (`utf-7`, `rot13`, `zlib`, `idna`)."""

_MISREAD = 0.02
"""A share of replacement characters above this says that the charset was not the right one."""
_SNIFFED_BYTES = 4096
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(content: bytes, content_type: str) -> str:
    """The text. Bytes that make no sense become U+FFFD; nothing raises."""
    for bom, name in _BOMS:
        if content.startswith(bom):
            return content.decode(name, "replace")
    for claimed in _claims(content, content_type):
        safe_name = _safe(claimed)
        if safe_name is None:
            continue
        text = content.decode(safe_name, "replace")
        if text.count("\ufffd") <= len(text) * _MISREAD:
            return text
    return content.decode("utf-8", "replace")


def _claims(content: bytes, content_type: str) -> Iterator[str]:
    header = re.search(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", content_type, re.IGNORECASE)
    if header:
        yield header.group(1)
    head = content[:_SNIFFED_BYTES]
    for pattern in (
        rb"<meta[^>]{0,300}charset\s*=\s*[\"']?([\w.:-]{1,40})",
        rb"<\?xml[^>]{0,200}encoding\s*=\s*[\"']([\w.:-]{1,40})",
    ):
        found = re.search(pattern, head, re.IGNORECASE)
        if found:
            yield found.group(1).decode("ascii", "replace")
    yield "utf-8"


def _safe(name: str) -> str | None:
    """Python's name of a charset of the web; browsers read latin-1 and ASCII as cp1252."""
    try:
        known = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    if known not in SAFE_CHARSETS:
        return None
    return "cp1252" if known in ("iso8859-1", "ascii") else known
