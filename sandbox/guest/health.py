"""Finds out whether an action has damaged the machinery that runs the next one."""

from __future__ import annotations

import builtins
import os
import sys
import types
from _operator import is_

from .engine import Engine
from .frames import decode, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

WATCHED = (builtins, os, types)
PRISTINE = dict(vars(builtins))


class _Seen:
    """A dictionary's values at one moment, compared by identity and at C speed."""

    def __init__(self, now: Mapping[str, object], *, skip_dunder: bool) -> None:
        self._get = now.get
        pairs = [(k, v) for k, v in now.items() if not (skip_dunder and k.startswith("__"))]
        self._names = tuple(name for name, _ in pairs)
        self._values = tuple(value for _, value in pairs)

    def unchanged(self) -> bool:
        return all(map(is_, map(self._get, self._names), self._values))


class Health:
    """Remembers what the watched modules held, and probes when that has changed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        package = __name__.rpartition(".")[0] + "."
        guest = tuple(m for name, m in sys.modules.items() if name.startswith(package))
        self._seen = [_Seen(vars(module), skip_dunder=True) for module in (*WATCHED, *guest)]
        self._seen += [
            _Seen(vars(cls), skip_dunder=False)
            for module in guest
            for cls in vars(module).values()
            if isinstance(cls, type) and cls.__module__ == module.__name__
        ]

    def holds(self, *, suspicious: bool) -> bool:
        """False when the next action could not be run rightly."""
        try:
            if not suspicious and all(seen.unchanged() for seen in self._seen):
                return True
            for name, value in PRISTINE.items():
                vars(builtins).setdefault(name, value)  # a name that is gone breaks every library
            return self._engine.probe() and decode(pack({"probe": 2})[8:]) == {"probe": 2}
        except BaseException:
            return False
