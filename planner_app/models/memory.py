"""What models were found to take and to do, remembered between processes, with its date.

One small file in the data folder, an entry per model and server. It is replaced whole under a lock,
so several processes may learn at once; whoever reads sees what the others learned. What is older
than `EXPIRES` is forgotten: servers are updated.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from planner_app.models.profiles import JsonMode, Profile

EXPIRES = timedelta(days=30)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_log = logging.getLogger(__name__)


class Probe(BaseModel):
    """How a model answered one small call."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    reasons: bool
    """Whether it showed or counted thoughts."""
    streams: bool
    """Whether the reply came in pieces."""
    json_mode: JsonMode | None = None
    """The strongest way to ask for JSON that it really kept to; None: it kept to none."""
    orphan_tags: bool = False
    """Whether its thoughts ended with a tag that nothing opened."""


class Known(BaseModel):
    """What is known of one model at one server."""

    model_config = ConfigDict(frozen=True)

    refuses: dict[str, AwareDatetime] = Field(default_factory=dict)
    """Parameter that it refused, and when."""
    probe: Probe | None = None
    """None: it was not asked."""

    def since(self, oldest: datetime) -> Known:
        """Only what was learned after a moment."""
        probe = self.probe if self.probe is not None and self.probe.at >= oldest else None
        refuses = {name: at for name, at in self.refuses.items() if at >= oldest}
        return Known(refuses=refuses, probe=probe)

    def fitted(self, profile: Profile) -> Profile:
        """The profile by what was found: what an unknown model can, and a known one cannot."""
        if self.probe is None:
            return profile
        changes: dict[str, object] = {}
        found = self.probe.json_mode or "prompt"
        if profile.family == "unknown" or _STRENGTH[found] < _STRENGTH[profile.json_mode]:
            changes["json_mode"] = found
        if profile.family == "unknown" and self.probe.orphan_tags:
            changes["think_mode"] = "assume_think"
        return profile.model_copy(update=changes)


_STRENGTH: dict[JsonMode, Literal[0, 1, 2]] = {"prompt": 0, "json_object": 1, "native_schema": 2}


class _File(BaseModel):
    models: dict[str, Known] = Field(default_factory=dict)


class Memory:
    """Remembers in a file, or, with no path, for this process only."""

    def __init__(
        self, path: Path | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = path
        self._now = now
        self._state: tuple[int, int, int] | None = None
        self._models: dict[str, Known] = {}

    def recall(self, model: str, api_base: str | None) -> Known:
        """What is known; a look at the file's date unless another process wrote to it."""
        self._refresh()
        return self._models.get(_place(model, api_base), Known()).since(self._now() - EXPIRES)

    def refused(self, model: str, api_base: str | None, parameter: str) -> None:
        """A model refused a parameter."""

        def learn(known: Known) -> Known:
            refuses = {**known.refuses, parameter: self._now()}
            return known.model_copy(update={"refuses": refuses})

        self._learn(_place(model, api_base), learn)

    def forget(self, model: str, api_base: str | None) -> None:
        """A model is about to be asked anew what it takes."""
        if self.recall(model, api_base) != Known():
            self._learn(_place(model, api_base), lambda _: Known())

    def probed(self, model: str, api_base: str | None, probe: Probe) -> None:
        """A model was asked, and answered so."""
        self._learn(
            _place(model, api_base), lambda known: known.model_copy(update={"probe": probe})
        )

    def _learn(self, place: str, learn: Callable[[Known], Known]) -> None:
        self._models = {**self._models, place: learn(self._models.get(place, Known()))}
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._state = None
                self._refresh()
                oldest = self._now() - EXPIRES
                models = {**self._models, place: learn(self._models.get(place, Known()))}
                kept = {name: known.since(oldest) for name, known in models.items()}
                kept = {name: known for name, known in kept.items() if known != Known()}
                self._replace(self._path, _File(models=kept))
                self._models = kept
        except OSError as error:  # it is remembered here at least
            _log.warning("%s cannot be written: %s", self._path, error)

    def _refresh(self) -> None:
        """Read the file if it is another one than was read last."""
        if self._path is None:
            return
        try:
            stat = self._path.stat()
            state = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if state == self._state:
                return
            self._models = _File.model_validate_json(self._path.read_bytes()).models
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("%s cannot be read: %s", self._path, error.strerror)
            return
        except ValidationError:
            _log.warning("%s is not what was written there; it is begun anew", self._path)
            self._models = {}
        self._state = state

    @staticmethod
    def _replace(path: Path, file: _File) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".models-")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(file.model_dump_json(indent=1, exclude_defaults=True).encode())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _place(model: str, api_base: str | None) -> str:
    """Model and server; a password in the address is nobody's business."""
    return model if api_base is None else f"{model} at {_USERINFO.sub('', api_base)}"
