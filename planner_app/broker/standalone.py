"""The web tools outside of a run, for `planner web fetch` and `planner web search`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from planner_app.broker.catalogue import load_modules
from planner_app.broker.port import NetPolicy, NewSource, StoredSource
from planner_app.broker.seen import SeenAddresses
from planner_app.broker.services import Services, open_web


@dataclass
class StandaloneContext:
    """A call's context without a run: sources are numbered in memory, files go to a folder."""

    policy: NetPolicy
    """As for a run."""
    folder: Path
    """Stands in for the workspace."""
    given: Sequence[str] = ()
    """Addresses that the person typed; they count as seen."""
    ask: Callable[[str, str], bool] | None = None
    """Asks the person; None: nobody to ask, so no."""
    sources: list[NewSource] = field(default_factory=list)
    """In order; the first is `[1]`."""

    def add_source(self, source: NewSource) -> int:
        """The number of this or an equal source."""
        for number, known in enumerate(self.sources, start=1):
            if (known.kind, known.url, known.content) == (source.kind, source.url, source.content):
                return number
        self.sources.append(source)
        return len(self.sources)

    def source_text(self, n: int) -> StoredSource | None:
        """The source `[n]`."""
        if not 1 <= n <= len(self.sources):
            return None
        source = self.sources[n - 1]
        return StoredSource(source.title, source.url, source.text)

    def seen(self, url: str) -> bool:
        """Whether the person typed it or a tool found it."""
        known = SeenAddresses()
        for given in self.given:
            known.add(given)
        for source in self.sources:
            known.add(source.url or "")
            known.add_text(source.text)
        return url in known

    async def read_file(self, path: str, max_bytes: int) -> bytes:
        """A file in the folder."""
        data = self._inside(path).read_bytes()
        if len(data) > max_bytes:
            raise OSError(f"{path} has {len(data):,} bytes")
        return data

    async def write_file(self, path: str, data: bytes) -> None:
        """A file in the folder, which stays inside of it."""
        target = self._inside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def save_artifact(self, name: str, title: str, data: bytes) -> None:
        """Outside of a run an artifact is just a file."""
        self._inside(Path(name).name).write_bytes(data)

    async def approve(self, what: str, detail: str) -> bool:
        """Asks, if there is anybody."""
        return self.ask(what, detail) if self.ask is not None else False

    def _inside(self, path: str) -> Path:
        target = (self.folder / path).resolve()
        if not target.is_relative_to(self.folder.resolve()):
            raise FileNotFoundError(path)
        return target


async def web_call(
    name: str,
    args: dict[str, JsonValue],
    ctx: StandaloneContext,
    *,
    services: Services | None = None,
    tools_dir: Path | None = None,
    **web: Any,
) -> JsonValue:
    """Call one tool as the model gets it.

    `services` are the caller's to close; without them the real web is opened with `web`, the
    keywords of `open_web`, and closed again. Raises ToolRefused, ToolFailed or BadInput.
    """
    modules = load_modules([], [], bundled=tools_dir)
    used = services or open_web(**web)
    try:
        return (await used.broker(modules).call(name, args, ctx)).value
    finally:
        if services is None:
            await used.close()


async def web_fetch(
    url: str, *, page: int = 1, policy: NetPolicy | None = None, **options: Any
) -> JsonValue:
    """`fetch(url, page)`. The address was typed by the person. Options as for `web_call`."""
    ctx = StandaloneContext(policy or NetPolicy(), Path(), given=(url,))
    return await web_call("fetch", {"url": url, "page": page}, ctx, **options)


async def web_search(
    words: str,
    *,
    max_results: int = 8,
    region: str | None = None,
    time: str | None = None,
    policy: NetPolicy | None = None,
    **options: Any,
) -> JsonValue:
    """`search(...)`. Options as for `web_call`."""
    ctx = StandaloneContext(policy or NetPolicy(), Path())
    args: dict[str, JsonValue] = {
        "query": words,
        "max_results": max_results,
        "region": region,
        "time": time,
    }
    return await web_call("search", args, ctx, **options)
