"""Makes fetched bytes readable, with the parsers in a child process that may be killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

import planner_app
from planner_app.broker.charsets import decode
from planner_app.broker.port import Fetched, ToolFailed
from planner_app.broker.readable import (
    MAX_TEXT_CHARS,
    Readable,
    binary_refused,
    clean,
    in_pages,
    kind_of,
    read_plain,
)
from planner_app.broker.reader_child import LENGTHS

READ_S = 15.0
"""Seconds that reading one document may take; the child is killed then."""
IDLE_S = 60.0
"""Seconds after which an unused child is ended: it holds about 75 MB."""
_GOODBYE_S = 0.2
_MAX_REPLY = 64 * 2**20


class Reader(Protocol):
    """Makes a body readable."""

    async def read(self, fetched: Fetched) -> Readable:
        """The document. ToolFailed for what does not read as text."""
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...


class _TooSlowError(ToolFailed):
    """The child was killed for its time."""


class _Reply(BaseModel):
    """What the child says; it parsed hostile input, so it is checked."""

    model_config = ConfigDict(strict=True, frozen=True)

    title: str = ""
    date: str | None = None
    pages: list[str] = []
    missing: str = ""
    error: str = ""


class ChildReader:
    """Reads JSON and text here, HTML and PDF in its child, one at a time."""

    def __init__(self, read_s: float = READ_S, idle_s: float = IDLE_S) -> None:
        self._read_s = read_s
        self._idle_s = idle_s
        self._turn = asyncio.Lock()
        self._child: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def read(self, fetched: Fetched) -> Readable:
        """The document."""
        kind, mime = kind_of(fetched)
        if kind == "binary":
            raise binary_refused(fetched, mime)
        if kind in ("json", "text"):
            return read_plain(fetched, "json" if kind == "json" else "text", mime)
        if kind == "pdf":
            return await self._pdf(fetched)
        return await self._html(fetched)

    async def close(self) -> None:
        """End the child."""
        async with self._turn:
            await self._end_child()

    @property
    def busy(self) -> bool:
        """Whether the child is reading something."""
        return self._turn.locked()

    @property
    def pid(self) -> int | None:
        """The child's process id; None when none is running."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    async def _html(self, fetched: Fetched) -> Readable:
        text = decode(fetched.content, fetched.content_type)
        header: dict[str, object] = {"kind": "html", "url": fetched.url}
        try:
            reply = await self._ask(header, text.encode(), fetched.url)
        except _TooSlowError:  # finding the article can take for ever; all of its text does not
            reply = await self._ask({**header, "kind": "all"}, text.encode(), fetched.url)
        missing = "the end: the page is longer than one may fetch" if fetched.truncated else ""
        body = reply.pages[0] if reply.pages else ""
        if not body.strip():
            missing = "everything: the page shows no text without running its scripts"
        return in_pages(
            "html", "text/html", body, title=reply.title, date=reply.date, missing=missing
        )

    async def _pdf(self, fetched: Fetched) -> Readable:
        if fetched.truncated:
            raise ToolFailed(
                "too_big",
                f"the PDF at {fetched.url} is over {len(fetched.content):,} bytes",
                hint="use download(url) and read it in the sandbox",
            )
        header = {"kind": "pdf", "seconds": self._read_s * 0.7, "max_chars": MAX_TEXT_CHARS}
        reply = await self._ask(header, fetched.content, fetched.url)
        pages = tuple(clean(page) for page in reply.pages) or ("",)
        return Readable(
            "pdf", "application/pdf", clean(reply.title), reply.date, pages, missing=reply.missing
        )

    async def _ask(self, header: dict[str, object], body: bytes, url: str) -> _Reply:
        async with self._turn:
            self._stop_timer()
            try:
                async with asyncio.timeout(self._read_s):
                    reply = await self._exchange(json.dumps(header).encode(), body)
            except TimeoutError:
                await self._end_child()
                raise _TooSlowError("unreadable", f"{url} takes too long to read") from None
            except (OSError, asyncio.IncompleteReadError, ValidationError, ValueError) as error:
                await self._end_child()
                raise ToolFailed("unreadable", f"{url} broke its reader: {error}"[:300]) from error
            except BaseException:
                await self._end_child()  # cancelled in the middle of a frame
                raise
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_s, self._kill_idle)
        if reply.error:
            raise ToolFailed("unreadable", f"cannot read {url}: {reply.error}"[:500])
        return reply

    async def _exchange(self, header: bytes, body: bytes) -> _Reply:
        child = self._child
        if child is None or child.returncode is not None:
            child = self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # whatever lies in the working folder is not imported
                "-m",
                "planner_app.broker.reader_child",
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=_bare_environment(),
                start_new_session=True,  # a Ctrl-C in the terminal is the program's to handle
            )
        if child.stdin is None or child.stdout is None:
            raise OSError("the reader has no pipes")
        child.stdin.write(LENGTHS.pack(len(header), len(body)) + header + body)
        await child.stdin.drain()
        length, _ = LENGTHS.unpack(await child.stdout.readexactly(LENGTHS.size))
        if length > _MAX_REPLY:
            raise ValueError(f"a reply of {length:,} bytes")
        return _Reply.model_validate_json(await child.stdout.readexactly(length))

    def _stop_timer(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _kill_idle(self) -> None:
        """Its exit is noticed, and waited for, at the next use or close."""
        if not self._turn.locked() and self._child is not None and self._child.returncode is None:
            self._child.kill()

    async def _end_child(self) -> None:
        self._stop_timer()
        child, self._child = self._child, None
        if child is None:
            return
        try:
            async with asyncio.timeout(_GOODBYE_S):  # it may be ending by itself
                if child.stdin is not None:
                    child.stdin.close()
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


def _bare_environment() -> dict[str, str]:
    """What the child needs to import the parsers, and no key."""
    program = str(Path(planner_app.__file__).parents[1])
    return {"PYTHONPATH": os.pathsep.join([program, *filter(None, sys.path)]), "LC_ALL": "C.UTF-8"}
