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
    from collections.abc import Callable, Iterable, Mapping

    Seen = tuple[Callable[[str], object], tuple[str, ...], tuple[object, ...]]

LIBRARIES = (builtins, os, types)
PRISTINE = dict(vars(builtins))


def watch(engine: Engine, lasting: Mapping[object, tuple[str, ...]]) -> Callable[[bool], bool]:
    """What to ask after each action: whether the next one can be run rightly.

    No code has reason to change the guest's own modules, classes, functions and the attributes of
    the `lasting` objects, so that is damage. Libraries may be changed as far as a sum and an error
    still come out right; told that there was something suspicious, it tries that in any case.
    What it compares with, and by, it holds itself: all else may have been replaced.
    """
    package = __name__.rpartition(".")[0] + "."
    modules = [m for name, m in sys.modules.items() if name.startswith(package)]
    classes = [
        cls
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type) and cls.__module__ in (module.__name__, "planner")
    ]
    ours = [_seen(vars(module), skip_dunder=True) for module in modules]
    ours += [_seen(vars(cls)) for cls in classes]
    ours += [_seen({n: vars(o)[n] for n in names}, vars(o).get) for o, names in lasting.items()]
    functions = list(_functions(vars(place).values() for place in (*modules, *classes)))
    code_of = types.FunctionType.__dict__["__code__"].__get__  # type: ignore[attr-defined]
    codes = [code_of(function) for function in functions]
    own = [(vars(thing).keys(), vars(type(thing)).keys()) for thing in lasting]
    theirs = [_seen(vars(module), skip_dunder=True) for module in LIBRARIES]
    every, each, same, restore = all, map, is_, _restore_builtins
    probe, can_add = engine.probe, engine.can_add

    def unchanged(places: list[Seen]) -> bool:
        return every(every(each(same, each(get, names), was)) for get, names, was in places)

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


def _seen(
    now: Mapping[str, object],
    get: Callable[[str], object] | None = None,
    *,
    skip_dunder: bool = False,
) -> Seen:
    """A dictionary's values at one moment, to be compared by identity and at C speed."""
    pairs = [(k, v) for k, v in now.items() if not (skip_dunder and k.startswith("__"))]
    return get or now.get, tuple(k for k, _ in pairs), tuple(v for _, v in pairs)


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
