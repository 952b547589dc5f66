"""The task's files as numbered sources, with the text in which quotes of them are looked up."""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

from planner_app.broker.port import Fetched, NewSource, ToolFailed
from planner_app.broker.reader import Reader
from planner_app.domain.citations import PAGE_BREAK
from planner_app.domain.events import EventDraft
from planner_app.engine.run_log import RunLog
from planner_app.engine.tool_calls import source_draft


async def attachment_sources(log: RunLog, reader: Reader) -> list[EventDraft]:
    """The facts that the files can be cited; a PDF by its pages."""
    drafts = []
    for attached in log.state.attachments:
        data = (await log.history.load_blobs([attached.sha256]))[attached.sha256]
        mime = mimetypes.guess_type(attached.name)[0] or "application/octet-stream"
        source = NewSource(
            kind="attachment",
            title=attached.name,
            url=None,
            content=data,
            text=await _text_of(data, attached.name, mime, reader),
            mime=mime,
            at=log.state.created_at,
            weak=False,
        )
        n, new = log.number("attachment", None, attached.sha256)
        if new:
            drafts.append(await source_draft(log, n, source))
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
