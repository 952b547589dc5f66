"""The task's files as numbered sources, with the text in which quotes of them are looked up."""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

from planner_app.broker.port import Fetched, ToolFailed
from planner_app.broker.reader import Reader
from planner_app.domain.catalogue import SourceAdded
from planner_app.domain.citations import PAGE_BREAK
from planner_app.domain.events import EventDraft
from planner_app.engine.run_log import RunLog


async def attachment_sources(log: RunLog, reader: Reader) -> list[EventDraft]:
    """The facts that the files can be cited; a PDF by its pages."""
    drafts = []
    for attached in log.state.attachments:
        n, new = log.number("attachment", None, attached.sha256)
        if not new:
            continue
        data = (await log.history.load_blobs([attached.sha256]))[attached.sha256]
        mime = mimetypes.guess_type(attached.name)[0] or "application/octet-stream"
        text = (await _text_of(data, attached.name, mime, reader)).encode("utf-8", "replace")
        # The bytes are stored already, and most files are text that stands for itself.
        sha = attached.sha256 if text == data else (await log.put(text))[0]
        source = SourceAdded(
            n=n, kind="attachment", title=attached.name[:500], sha256=attached.sha256, mime=mime
        )
        blobs = {"content": attached.sha256, "text": sha}
        drafts.append(source.draft(actor="tool", blobs=blobs))
    return drafts


async def _text_of(data: bytes, name: str, mime: str, reader: Reader) -> str:
    """A text as it stands, anything else as its reader gives it; empty where it gives nothing."""
    if mime not in {"application/pdf", "text/html"} and not data.startswith(b"%PDF-"):
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass  # another charset, or no text at all: the reader finds out
    fetched = Fetched(url=f"file:///{quote(name)}", content_type=mime, content=data)
    try:
        return PAGE_BREAK.join((await reader.read(fetched)).pages)
    except ToolFailed:  # a picture or an archive has no text
        return ""
