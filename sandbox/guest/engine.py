"""Runs one action: compiles it whole, awaits what it awaits, and says what came of it."""

from __future__ import annotations

import builtins
import linecache
import os
import sys
from types import ModuleType

from .config import Place
from .display import Gallery
from .files import Workspace
from .frames import Message
from .imports import plant_seeds, quieten_charts
from .modules import install_modules, make_planner_module, publish_for_children
from .report import class_name, clean, describe_error, describe_value, plain, split_lines
from .state import State
from .tools import EndAction, Line, ToolError

TYPE_CHECKING = False  # as in typing, which is too slow to import for it
if TYPE_CHECKING:
    import _ast
    import asyncio
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import TypeVar

    _Node = TypeVar("_Node", bound=_ast.AST)

VALUE = "__planner_value__"
PARSE_ONLY = 0x0400  # ast.PyCF_ONLY_AST
TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
IS_COROUTINE = 0x0080  # inspect.CO_COROUTINE
KEPT_SOURCES = 50
WIND_DOWN_TURNS = 100

# Bound early, so that an action which patches the builtins does not break the next one.
_compile, _eval = builtins.compile, builtins.eval


class Engine:
    """The lasting namespace and what runs in it."""

    def __init__(self, place: Place, show: Callable[[str, bytes], None]) -> None:
        self._main = ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self._main
        self.namespace = self._main.__dict__
        self._gallery = Gallery(show)
        self._workspace = Workspace(place.workspace)
        self._address = place.tool_address
        self._modules: object = None
        self._line = Line(place.tool_address)
        self.state = State(self.namespace)
        self._cap = 20_000
        self._count = 0
        self._past_value: object = None
        """What `_` meant before the latest action."""
        self._task: asyncio.Task[object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancelled = False
        os.environ.setdefault("MPLBACKEND", "agg")
        os.chdir(place.workspace)
        sys.path.append(place.workspace)
        quieten_charts()
        self._furnish()

    def _furnish(self) -> None:
        self.namespace.update(
            display=self._gallery.display, ToolError=ToolError, inputs=self.state.inputs
        )

    def warm_up(self) -> None:
        """Do, while nobody waits, what the first error or chart would have to."""
        try:
            import _ast  # noqa: F401
            import inspect  # noqa: F401
            import random  # noqa: F401
            import tokenize  # noqa: F401
            import traceback  # noqa: F401
        except BaseException as error:  # an action has patched what imports need
            print(f"the session could not get ready for errors: {error!r:.200}", file=sys.stderr)
        _lay_out_font_list()

    def configure(self, message: Message) -> Message:
        """Seed, limits and tool modules of this session; a module's error is the result."""
        cap = message.get("result_chars")
        self._cap = cap if isinstance(cap, int) else self._cap
        seed = message.get("seed")
        if isinstance(seed, int):
            plant_seeds(seed)
        make_planner_module(self._line)
        try:
            install_modules(message.get("modules"), self.namespace)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return {"status": "error", "error": describe_error(error, self._cap)}
        self._modules = message.get("modules")
        self._furnish()
        self._workspace.look()
        return {"status": "ok"}

    def get_settled(self) -> None:
        """What need not be waited for: it comes after the answer, and before the first action."""
        publish_for_children(self._modules, self._address)

    def let_go(self) -> None:
        """After the answer: the end of the value before may be of a class with ways of its own."""
        self._past_value = None

    def lasting(self) -> dict[object, tuple[str, ...]]:
        """What is never replaced, and which of its attributes."""
        return {
            self: ("namespace", "state", "_gallery", "_workspace", "_line"),
            self._gallery: ("_show",),
            self._workspace: ("_root",),
            self._line: ("_address",),
        }

    def can_add(self) -> bool:
        """Run a sum the way actions are run: some 20 us, after each of them."""
        space: dict[str, object] = {"__builtins__": builtins}
        self._remember("<probe>", "1+1")
        _eval(self._prepare("1+1", "<probe>"), space)
        return describe_value(space[VALUE], self._cap) == "2"

    def probe(self) -> bool:
        """Run an error, too, and look at the files: whether the machinery still works."""
        self._workspace.scan()
        code = "def f():\n    return 1 / 0\nf()"  # a traceback that shows its lines takes more
        self._remember("<probe>", code)
        try:
            _eval(self._prepare(code, "<probe>"), {"__builtins__": builtins})
        except ZeroDivisionError as error:
            return "(no traceback" not in str(describe_error(error, self._cap)["traceback"])
        return False

    def run_action(self, source: bytes, *, rescan: bool) -> Message:
        """Run an action and describe how it ended."""
        if rescan:
            self._workspace.look()
        result = self._run(source)
        self._leave_names_only()
        result["files"] = self._workspace.changes()
        return result

    def _leave_names_only(self) -> None:
        """Keys of other classes than str compare in ways of their own with each name looked up."""
        if set(map(type, self.namespace)) != {str}:
            kept = {name: value for name, value in self.namespace.items() if type(name) is str}
            self.namespace.clear()
            self.namespace.update(kept)

    def _run(self, source: bytes) -> Message:
        self._count += 1
        name = f"<action-{self._count}>"
        self.namespace["__builtins__"] = builtins
        self.namespace.pop(VALUE, None)
        try:
            code = source.decode("utf-8", "surrogatepass").removeprefix("\ufeff")
            self._remember(name, code)
            self._execute(self._prepare(code, name))
            value = self.namespace.pop(VALUE, None)
            result: Message = {"status": "ok"}
            if value is not None:
                self._past_value = self.namespace.get("_")
                self.namespace["_"] = value
                result["value"] = describe_value(value, self._cap)
                result["value_type"] = _type_name(value)
                self._gallery.display_value(value)
            self._gallery.take_figures()
        except EndAction:
            return {"status": "ended"}
        except KeyboardInterrupt as error:
            return {"status": "interrupted", "error": describe_error(error, self._cap)}
        except SystemExit as error:
            return {"status": "exit", "why": describe_value(error.code, 200)}
        except BaseException as error:
            result = {"status": "error", "error": describe_error(error, self._cap)}
            self._gallery.take_figures_quietly()
        return result

    def _remember(self, name: str, code: str) -> None:
        """Keep the text for tracebacks, of the latest actions only."""
        linecache.cache[name] = (len(code), None, split_lines(code), name)
        linecache.cache.pop(f"<action-{self._count - KEPT_SOURCES}>", None)

    def _prepare(self, code: str, name: str) -> CodeType:
        tree: _ast.Module = _compile(code, name, "exec", PARSE_ONLY)
        if not code.rstrip().endswith(";"):
            tree = self._keep_value(tree)
        made: CodeType = _compile(tree, name, "exec", TOP_LEVEL_AWAIT)
        return made

    @staticmethod
    def _keep_value(tree: _ast.Module) -> _ast.Module:
        """Turn a last expression into an assignment, within the same code object."""
        import _ast

        last = tree.body[-1] if tree.body else None
        if isinstance(last, _ast.Expr):
            target = _at(last, _ast.Name(id=VALUE, ctx=_ast.Store()))
            tree.body[-1] = _at(last, _ast.Assign(targets=[target], value=last.value))
        return tree

    def _execute(self, code: CodeType) -> None:
        made = _eval(code, self.namespace)
        if not code.co_flags & IS_COROUTINE:
            return
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        self._cancelled = False
        task: asyncio.Task[object] = self._loop.create_task(made)
        self._task = task
        try:
            self._loop.run_until_complete(task)
        except asyncio.CancelledError as error:
            if self._cancelled:  # told with the line that was waiting
                raise KeyboardInterrupt().with_traceback(error.__traceback__) from None
            raise
        finally:
            self._task = None
            if not task.done():
                _wind_down(self._loop, task)

    def cancel_task(self, frame: FrameType | None) -> bool:
        """On an interrupt: cancel the action's task, if the loop is idle or busy with itself."""
        task, loop = self._task, self._loop
        if task is None or loop is None or task.done() or frame is None:
            return False
        file = frame.f_code.co_filename
        if "/asyncio/" in file or file.endswith("selectors.py"):
            self._cancelled = True
            loop.call_soon_threadsafe(task.cancel)
            return True
        return False


def _wind_down(loop: asyncio.AbstractEventLoop, task: asyncio.Task[object]) -> None:
    """End the task of an action that was interrupted in the midst of another task, or of the loop.

    What it awaits ends with the interrupt, too, which would else come up in the next action.
    """
    task.cancel()
    for _ in range(WIND_DOWN_TURNS):
        loop.call_soon(loop.stop)
        try:
            loop.run_forever()
        except (KeyboardInterrupt, SystemExit):
            continue  # the stop is still to come
        if task.done():
            break
    if task.done() and not task.cancelled():
        task.exception()  # has been told


def _lay_out_font_list() -> None:
    """Give matplotlib the list of fonts that was made with the image: saves 0.2 s."""
    source, target = "/opt/matplotlib", os.environ.get("MPLCONFIGDIR", "")
    if not target.startswith("/tmp/") or not os.path.isdir(source) or os.path.lexists(target):
        return
    try:
        os.mkdir(target, 0o700)
        for name in os.listdir(source):
            os.symlink(f"{source}/{name}", f"{target}/{name}")
    except OSError:
        return  # /tmp is full or not ours: matplotlib makes its own list


def _at(place: _ast.stmt, node: _Node) -> _Node:
    """The node, standing where `place` stands, so that tracebacks point there."""
    for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
        setattr(node, name, getattr(place, name))
    return node


def _type_name(value: object) -> str:
    try:
        kind = type(value)
        module, name = plain(kind.__module__), plain(kind.__qualname__)
        return clean((name if module in ("builtins", "__main__") else f"{module}.{name}")[:200])
    except KeyboardInterrupt:
        raise
    except BaseException:  # a class that answers its own questions
        return class_name(value)
