"""Finds out whether an action has damaged the machinery that runs the next one."""

from __future__ import annotations

import builtins
import sys
import types
from _operator import call, is_

from .engine import Engine
from .frames import decode, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Seen = tuple[tuple[Callable[[str], object], ...], tuple[str, ...], tuple[object, ...]]

USED = ("worker", "engine", "frames", "state", "streams", "files", "display", "report", "tools")
"""The modules that serve an action; the others have done their part before the first one."""
PRISTINE = dict(vars(builtins))
MAGIC = ("__init__", "__import__", "__build_class__")
"""Of the names with underscores, those that count; others change by themselves."""


def watch(engine: Engine, lasting: Mapping[object, tuple[str, ...]]) -> Callable[[bool], bool]:
    """What to ask after each action: whether the next one can be run rightly.

    No code has reason to change the guest's own modules, classes, functions and the attributes of
    the `lasting` objects, so that is damage. What else is changed is not, as long as a sum still
    comes out right; if builtins were changed, or there was something `suspicious`, an error, too.
    What it compares with, and by, it holds itself: all else may have been replaced. It takes about
    70 us, and is asked after each action.
    """
    package = __name__.rpartition(".")[0] + "."
    modules = [sys.modules[package + name] for name in USED]
    classes = [
        cls
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type) and cls.__module__ in (module.__name__, "planner")
    ]
    attributes = [
        ({name: vars(o)[name] for name in names}, vars(o)) for o, names in lasting.items()
    ]
    ours = _seen([*((vars(place), vars(place)) for place in (*modules, *classes)), *attributes])
    functions = list(_functions(vars(place).values() for place in (*modules, *classes)))
    code_of = types.FunctionType.__dict__["__code__"].__get__  # type: ignore[attr-defined]
    codes = [code_of(function) for function in functions]
    own = [(vars(thing).keys(), vars(type(thing)).keys()) for thing in lasting]
    theirs = _seen([(PRISTINE, vars(builtins))])
    every, each, same, ask, restore = all, map, is_, call, _restore_builtins
    probe, can_add = engine.probe, engine.can_add

    def unchanged(seen: Seen) -> bool:
        gets, names, was = seen
        return every(each(same, each(ask, gets, names), was))

    def holds(suspicious: bool) -> bool:
        try:
            whole = (
                unchanged(ours)
                and every(each(same, each(code_of, functions), codes))
                and every(mine.isdisjoint(of_class) for mine, of_class in own)
            )
            if not whole:
                return False
            if suspicious or not unchanged(theirs):
                restore()
                if not probe() or decode(pack({"probe": 2})[8:]) != {"probe": 2}:
                    return False
            return can_add()
        except BaseException:
            return False

    return holds


def _seen(places: Iterable[tuple[Mapping[str, object], Mapping[str, object]]]) -> Seen:
    """What dictionaries hold at one moment, to be compared by identity and at C speed.

    Each is given twice: the part that counts, and where it is looked up again.
    """
    found = [
        (whole.get, name, value)
        for part, whole in places
        for name, value in part.items()
        if not name.startswith("__") or name in MAGIC
    ]
    return tuple(g for g, _, _ in found), tuple(n for _, n, _ in found), tuple(v for *_, v in found)


def _functions(places: Iterable[Iterable[object]]) -> Iterable[types.FunctionType]:
    for values in places:
        for value in values:
            for function in (value, getattr(value, "__func__", None), getattr(value, "fget", None)):
                if isinstance(function, types.FunctionType):
                    yield function


def _restore_builtins() -> None:
    """A name that is gone breaks every library; one that means something else may be meant so."""
    for name, value in PRISTINE.items():
        vars(builtins).setdefault(name, value)
