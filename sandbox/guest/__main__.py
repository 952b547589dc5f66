"""Starts the supervisor, with the guest's modules out of the reach of the code it will run.

The guest's modules are loaded under a private package name and with builtins of their own, so
that an action which patches `builtins.len` or writes a file `frames.py` harms only itself.
"""

from __future__ import annotations

import builtins
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import SourceFileLoader
from os.path import abspath, dirname, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

PACKAGE = "_planner_guest"
HERE = dirname(abspath(__file__))
PRIVATE_BUILTINS = dict(vars(builtins))


class PrivateLoader(SourceFileLoader):
    """Runs a module's text with the private copy of the builtins."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = PRIVATE_BUILTINS
        super().exec_module(module)


class GuestFinder:
    """Finds the package's modules beside this file, whatever sys.path says."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name == PACKAGE:
            file, folders = join(HERE, "__init__.py"), [HERE]
        elif name.startswith(PACKAGE + "."):
            file, folders = join(HERE, name.removeprefix(PACKAGE + ".") + ".py"), None
        else:
            return None
        spec = ModuleSpec(name, PrivateLoader(name, file), origin=file)
        spec.has_location = True
        spec.submodule_search_locations = folders
        return spec


def main() -> None:
    sys.meta_path.insert(0, GuestFinder)
    __import__(PACKAGE + ".boot")
    sys.meta_path.remove(GuestFinder)
    boot = sys.modules[PACKAGE + ".boot"]
    boot.main()


if __name__ == "__main__":
    main()
