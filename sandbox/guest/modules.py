"""Makes tool modules importable: `@host` functions become calls, the others run as they stand."""

from __future__ import annotations

import linecache
import os
import sys
from types import FunctionType, ModuleType

from .report import split_lines
from .tools import EndAction, Line, ToolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[..., object]

HERE = os.path.dirname(os.path.abspath(__file__))
IS_COROUTINE = 0x0080  # inspect.CO_COROUTINE
ANNOTATIONS = "__annotate__" if sys.version_info >= (3, 14) else "__annotations__"


def make_planner_module(line: Line) -> None:
    """Put the module `planner` into place, from which tool modules import `host`."""

    def host(function: FunctionType | None = None, /, **options: object) -> object:
        """Mark a typed stub: its calls go to the host by name, with all arguments bound."""
        if function is None:
            return lambda marked: _stub(marked, line)
        return _stub(function, line)

    planner = ModuleType("planner", "What tool modules import: the mark of a host function.")
    planner.__dict__.update(host=host, ToolError=ToolError, EndAction=EndAction)
    sys.modules["planner"] = planner


def _stub(function: FunctionType, line: Line) -> Function:
    name = function.__name__

    def bound(args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
        import inspect  # slow, and not needed before the first call

        signature = inspect.signature(function)
        try:
            call = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}{signature}: {error}") from None
        call.apply_defaults()
        return dict(call.arguments)

    if function.__code__.co_flags & IS_COROUTINE:

        async def stub_async(*args: object, **kwargs: object) -> object:
            import asyncio

            return await asyncio.to_thread(line.call, name, bound(args, kwargs))

        return _alike(stub_async, function)

    def stub(*args: object, **kwargs: object) -> object:
        return line.call(name, bound(args, kwargs))

    return _alike(stub, function)


def _alike(stub: FunctionType, function: FunctionType) -> FunctionType:
    """What functools.wraps does, whose module is slow to import."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__", ANNOTATIONS):
        setattr(stub, name, getattr(function, name))
    stub.__dict__.update(function.__dict__, __wrapped__=function)
    return stub


def install_modules(modules: object, namespace: dict[str, object]) -> None:
    """Load the modules and put their public functions into the actions' namespace."""
    for entry in modules if isinstance(modules, list) else []:
        name, source = str(entry["name"]), str(entry["source"])
        file = f"<tool {name}>"
        module = ModuleType(name)
        module.__dict__["__file__"] = file
        linecache.cache[file] = (len(source), None, split_lines(source), file)
        sys.modules[name] = module
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
        namespace.update(_public(module, name))


CHILD_MODULE = """\
import importlib.util, sys

def _load():
    spec = importlib.util.spec_from_file_location(
        "_planner_guest", {here!r} + "/__init__.py", submodule_search_locations=[{here!r}]
    )
    sys.modules["_planner_guest"] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    from _planner_guest.modules import make_planner_module
    from _planner_guest.tools import Line
    make_planner_module(Line({address!r}))

_load()
"""
"""The module `planner` as a Python program finds it that an action starts as a process."""


def publish_for_children(modules: object, address: str) -> None:
    """Lay the modules out as files, for the Python programs that an action starts."""
    folder = os.path.join(os.environ.get("HOME", "/tmp"), ".planner-tools")
    texts = {"planner": CHILD_MODULE.format(here=HERE, address=address)}
    for entry in modules if isinstance(modules, list) else []:
        texts[str(entry["name"])] = str(entry["source"])
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for name, text in texts.items():
            _lay_out(os.path.join(folder, f"{name}.py"), text)
    except OSError:
        return  # no room, or not ours any more: only processes that are forked have the tools
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{folder}:{others}" if others else folder
    if folder not in sys.path:
        sys.path.append(folder)  # what multiprocessing spawns takes over this path


def _lay_out(path: str, text: str) -> None:
    """Write a file in the place of whatever an action has put there: a pipe would never open."""
    fresh = f"{path}.{os.urandom(8).hex()}"
    with open(fresh, "x", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)


def _public(module: ModuleType, name: str) -> dict[str, object]:
    """What a module offers to the actions: its `__all__`, or else the functions written in it."""
    chosen = module.__dict__.get("__all__")
    if isinstance(chosen, list | tuple):
        return {str(public): getattr(module, public) for public in chosen}
    return {
        public: value
        for public, value in vars(module).items()
        if isinstance(value, FunctionType)
        and value.__module__ == name
        and not public.startswith("_")
    }
