"""The task's files as numbered sources, with the text in which quotes of them are looked up."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator, Iterable, Iterator
from urllib.parse import quote

from planner_app.broker.port import Fetched, ToolFailed
from planner_app.broker.reader import Reader
from planner_app.domain.catalogue import Attachment, SourceAdded
from planner_app.domain.citations import PAGE_BREAK
from planner_app.domain.events import EventDraft
from planner_app.engine.run_log import RunLog

GROUP_BYTES = 2 * 1024 * 1024
"""Of files that are recorded together: each group makes others who write the history wait."""


def in_groups(files: Iterable[Attachment], most: int) -> Iterator[list[Attachment]]:
    """The files in their order, as many at a time as `most` bytes hold, but at least one."""
    group: list[Attachment] = []
    size = 0
    for file in files:
        size += file.bytes
        if group and size > most:
            yield group
            group, size = [], file.bytes
        group.append(file)
    if group:
        yield group


async def attachment_sources(log: RunLog, reader: Reader) -> AsyncIterator[list[EventDraft]]:
    """The facts that the files can be cited, a PDF by its pages; a group of files at a time.

    Those that are recorded already, by an earlier driver perhaps, are left out.
    """
    for group in in_groups(log.state.attachments, GROUP_BYTES):
        new = {}
        for file in group:
            n, is_new = log.number("attachment", None, file.sha256)
            if is_new:
                new[n] = file
        if new:
            yield await _sources(log, reader, new)


async def _sources(log: RunLog, reader: Reader, files: dict[int, Attachment]) -> list[EventDraft]:
    loaded = await log.history.load_blobs([file.sha256 for file in files.values()])
    mimes, texts = {}, {}
    for n, file in files.items():
        data = loaded[file.sha256]
        mimes[n] = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        text = (await _text_of(data, file.name, mimes[n], reader)).encode("utf-8", "replace")
        if text != data:  # most files are text that stands for itself, and is stored already
            texts[n] = text
    shas = dict(zip(texts, await log.put(*texts.values()), strict=True))
    return [
        SourceAdded(
            n=n, kind="attachment", title=file.name[:500], sha256=file.sha256, mime=mimes[n]
        ).draft(actor="tool", blobs={"content": file.sha256, "text": shas.get(n, file.sha256)})
        for n, file in files.items()
    ]


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
