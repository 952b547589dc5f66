"""Does something to a module as soon as an action has imported it: imports take their time."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Change = Callable[[ModuleType], object]

LARGEST_SEED = {"random": 2**64, "numpy.random": 2**32}
"""The modules that draw, and the end of the range of their seeds."""


def plant_seeds(seed: int) -> None:
    """Make chance repeatable: the same attempt, re-run, draws the same numbers."""
    for name, largest in LARGEST_SEED.items():
        when_loaded(name, lambda module, n=seed % largest: module.__dict__["seed"](n))


def quieten_charts() -> None:
    """`plt.show()` shows by other means here, so its warning that it cannot is wrong."""

    def ignore_it(module: ModuleType) -> None:
        from warnings import filterwarnings

        filterwarnings("ignore", message=".*non-interactive, and thus cannot be shown")

    when_loaded("matplotlib", ignore_it)


def when_loaded(name: str, change: Change) -> None:
    """Change a module now if it is loaded, else when it is; a later change replaces this one."""
    finders: list[object] = [
        finder
        for finder in sys.meta_path
        if not (isinstance(finder, _Watcher) and finder.name == name)
    ]
    loaded = sys.modules.get(name)
    if loaded is not None:
        change(loaded)
    else:
        finders.insert(0, _Watcher(name, change))
    sys.meta_path[:] = finders  # type: ignore[assignment]


class _Watcher:
    """Lets a module be found as ever, and changes it once it is loaded."""

    def __init__(self, name: str, change: Change) -> None:
        self.name = name
        self._change = change

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return None
        load, change = spec.loader.exec_module, self._change

        def load_and_change(module: ModuleType) -> None:
            load(module)
            change(module)

        spec.loader.exec_module = load_and_change  # type: ignore[method-assign]
        return spec
