"""Makes chance repeatable: the same attempt, re-run, draws the same numbers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

LARGEST = {"random": 2**64, "numpy.random": 2**32}
"""The modules that draw, and the end of the range of their seeds."""


def plant_seeds(seed: int) -> None:
    """Seed what is loaded now, and what is not when it is imported: imports take their time."""
    finders: list[object] = [f for f in sys.meta_path if not isinstance(f, _Seeder)]
    for name, largest in LARGEST.items():
        loaded = sys.modules.get(name)
        if loaded is not None:
            loaded.seed(seed % largest)
        else:
            finders.insert(0, _Seeder(name, seed % largest))
    sys.meta_path[:] = finders  # type: ignore[assignment]


class _Seeder:
    """Lets a module be found as ever, and seeds it once it is loaded."""

    def __init__(self, name: str, seed: int) -> None:
        self._name = name
        self._seed = seed

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if name != self._name:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return None
        load, seed = spec.loader.exec_module, self._seed

        def load_and_seed(module: ModuleType) -> None:
            load(module)
            module.__dict__["seed"](seed)

        spec.loader.exec_module = load_and_seed  # type: ignore[method-assign]
        return spec
