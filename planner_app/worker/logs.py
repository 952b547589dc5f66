"""The worker's log: small, rotating, private, and without secrets."""

from __future__ import annotations

import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from planner_app.domain.errors import HistoryError
from planner_app.history.scrub import Scrubber

_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_MAX_BYTES = 1024 * 1024
_BACKUPS = 3


class _Scrubbed(logging.Formatter):
    """Lines and tracebacks without the environment's keys."""

    def __init__(self) -> None:
        super().__init__(_FORM)
        self._scrubber = Scrubber.from_env(os.environ)

    def format(self, record: logging.LogRecord) -> str:
        return self._scrubber.text(super().format(record))


class _PrivateFile(RotatingFileHandler):
    """Every file of the rotation is readable by its owner only."""

    def _open(self) -> TextIOWrapper:
        stream = super()._open()
        os.fchmod(stream.fileno(), 0o600)
        return stream


def to_file(path: Path) -> logging.Handler:
    """Logs to a file of at most 1 MB, with three older ones kept."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _PrivateFile(path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise HistoryError(
            f"the log {path} cannot be written: {why}", "check its folder"
        ) from error
    return _installed(handler)


def to_stderr() -> logging.Handler:
    """Logs to stderr."""
    return _installed(logging.StreamHandler())


def removed(handler: logging.Handler) -> None:
    """Logs there no more; what was logged is written."""
    logging.getLogger("planner_app").removeHandler(handler)
    handler.close()


def _installed(handler: logging.Handler) -> logging.Handler:
    handler.setFormatter(_Scrubbed())
    logger = logging.getLogger("planner_app")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler
