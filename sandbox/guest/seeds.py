"""Makes chance repeatable: the same attempt, re-run, draws the same numbers."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def plant_seeds(seed: int) -> None:
    """Seed `random` now, and `numpy.random` when it is imported: it is too slow to import here."""
    random.seed(seed)
    loaded = sys.modules.get("numpy.random")
    if loaded is not None:
        loaded.seed(seed % 2**32)
        return
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, _NumpySeeder)]
    sys.meta_path.insert(0, _NumpySeeder(seed % 2**32))


class _NumpySeeder(MetaPathFinder):
    """Lets numpy.random be found as ever, and seeds it once it is loaded."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if name != "numpy.random":
            return None
        sys.meta_path.remove(self)
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
