"""The child process that parses HTML and PDF: hostile bytes meet big parsers only here.

It has no keys in its environment, a bound on memory, may write no file, and is killed when it
takes too long. Frames: 4-byte big-endian lengths of header and body, then both.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
from typing import BinaryIO

MEMORY_BYTES = 1536 * 2**20
LENGTHS = struct.Struct(">II")


def main() -> None:
    """Serve requests from stdin until it ends."""
    for limit, amount in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(limit, (amount, amount))
        except (OSError, ValueError) as error:  # macOS has no bound on address space
            print(f"no limit {limit}: {error}", file=sys.stderr)
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing that a parser prints may mix with the frames
    while (request := _receive(incoming)) is not None:
        header, body = request
        answer = json.dumps(_answer(header, body), ensure_ascii=False)
        reply = answer.encode("utf-8", "replace")  # PDFs hold halves of characters
        outgoing.write(LENGTHS.pack(len(reply), 0) + reply)
        outgoing.flush()


def _receive(incoming: BinaryIO) -> tuple[dict[str, object], bytes] | None:
    lengths = incoming.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    header_bytes, body_bytes = LENGTHS.unpack(lengths)
    header = json.loads(incoming.read(header_bytes))
    return header, incoming.read(body_bytes)


def _answer(header: dict[str, object], body: bytes) -> dict[str, object]:
    """The text, or `error`: what kept it from being read."""
    try:
        if header["kind"] == "pdf":
            return _pdf(body, header)
        return _html(body, header)
    except MemoryError:
        return {"error": "it takes too much memory to read"}
    except RecursionError:
        return {"error": "it is nested too deep"}
    except Exception as error:  # noqa: BLE001  whatever a parser trips over is the answer
        return {"error": f"its parser failed: {type(error).__name__}: {error}"[:500]}


def _html(body: bytes, header: dict[str, object]) -> dict[str, object]:
    from planner_app.broker.html_pages import all_text, read_html

    html, url = body.decode("utf-8", "replace"), str(header["url"])
    if header["kind"] == "all":
        return {"pages": [all_text(html, url)]}
    page = read_html(html, url)
    return {"title": page.title, "date": page.date, "pages": [page.text], "missing": ""}


def _pdf(body: bytes, header: dict[str, object]) -> dict[str, object]:
    from planner_app.broker.pdf_pages import PdfUnreadableError, read_pdf

    seconds, max_chars = header["seconds"], header["max_chars"]
    if not isinstance(seconds, int | float) or not isinstance(max_chars, int):
        raise TypeError("a PDF request needs seconds and max_chars")
    try:
        document = read_pdf(body, float(seconds), max_chars)
    except PdfUnreadableError as error:
        return {"error": str(error)}
    return {
        "title": document.title,
        "date": document.date,
        "pages": list(document.pages),
        "missing": document.missing,
    }


if __name__ == "__main__":
    main()
