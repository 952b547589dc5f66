"""Reads a tool module's functions from its syntax tree; the module is never run on the host."""

from __future__ import annotations

import ast
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Optional, Union

from pydantic import JsonValue

from planner_app.domain.errors import BadInput

Approval = Literal["never", "outside"]
DEFAULT_TIMEOUT_S = 30.0
MAX_TIMEOUT_S = 600.0
REQUIRED: Final = object()
"""Marks a parameter that has no default."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a tool function."""

    name: str
    """As written."""
    annotation: str
    """As written."""
    default: object
    """A literal, or REQUIRED. For functions that run in the guest always REQUIRED: unused."""


@dataclass(frozen=True, slots=True)
class ToolFunction:
    """One function that the model can call."""

    name: str
    """As written."""
    signature: str
    """The whole first line, `def name(...) -> X` or `async def ...`."""
    docstring: str
    """Cleaned of indentation."""
    line: int
    """1-based line of its `def` in the module."""
    host: bool
    """Whether the host does it; otherwise it runs in the guest as it stands."""
    approval: Approval
    """`outside`: a person is asked by the approval mode, since it has effects outside."""
    timeout: float
    """Seconds that the host may take, time waiting for a person not counted."""
    parameters: tuple[Parameter, ...]
    """In order."""


def read_functions(source: str, where: str) -> tuple[str, tuple[ToolFunction, ...]]:
    """The module's docstring (may be empty) and its public functions.

    `where` names the file in errors. Raises BadInput with file and line for a syntax error, and
    for a public function without a docstring, annotations or a readable signature.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise BadInput(f"{where}:{error.lineno or 1}: not valid Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadInput(f"{where}:1: not valid Python: {error}") from None
    functions = tuple(
        _read_function(node, where)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _private(node.name)
    )
    return ast.get_docstring(tree) or "", functions


def _private(name: str) -> bool:
    return name.startswith("_")


def _read_function(node: ast.FunctionDef | ast.AsyncFunctionDef, where: str) -> ToolFunction:
    at = f"{where}:{node.lineno}: {node.name}"
    docstring = ast.get_docstring(node)
    if not docstring:
        raise BadInput(f"{at} has no docstring", "say what it does: the model reads it")
    if node.returns is None:
        raise BadInput(f"{at} has no return annotation", "write -> and the type; None if nothing")
    decorator = next((d for d in node.decorator_list if _is_host(d)), None)
    approval, timeout = _host_options(decorator, at)
    if decorator is not None:
        _check_stub(node, at)
    return ToolFunction(
        name=node.name,
        signature=_signature(node),
        docstring=docstring,
        line=node.lineno,
        host=decorator is not None,
        approval=approval,
        timeout=timeout,
        parameters=_parameters(node, at, literal_defaults=decorator is not None),
    )


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = ast.unparse(node.returns) if node.returns is not None else "None"
    return f"{keyword} {node.name}({ast.unparse(node.args)}) -> {returns}"


def _is_host(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(target, ast.Name) and target.id == "host"


def _host_options(decorator: ast.expr | None, at: str) -> tuple[Approval, float]:
    approval: Approval = "never"
    timeout = DEFAULT_TIMEOUT_S
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
    if isinstance(decorator, ast.Call) and decorator.args:
        raise BadInput(f"{at}: @host takes approval= and timeout= by name only")
    for keyword in keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg == "approval" and (value == "never" or value == "outside"):
            approval = "never" if value == "never" else "outside"
        elif (
            keyword.arg == "timeout"
            and isinstance(value, int | float)
            and 0 < value <= MAX_TIMEOUT_S
        ):
            timeout = float(value)
        else:
            raise BadInput(
                f"{at}: @host({ast.unparse(keyword)}) is not understood",
                f'use approval="never" or "outside", timeout= seconds up to {MAX_TIMEOUT_S:.0f}',
            )
    return approval, timeout


def _check_stub(node: ast.FunctionDef | ast.AsyncFunctionDef, at: str) -> None:
    rest = node.body[1:]
    if isinstance(node, ast.AsyncFunctionDef):
        raise BadInput(f"{at}: a @host function is a plain def")
    is_stub = all(
        isinstance(part, ast.Expr)
        and isinstance(part.value, ast.Constant)
        and part.value.value is Ellipsis
        for part in rest
    )
    if not is_stub:
        raise BadInput(f"{at}: a @host function has only a docstring and ... as its body")


def _parameters(
    node: ast.FunctionDef | ast.AsyncFunctionDef, at: str, *, literal_defaults: bool
) -> tuple[Parameter, ...]:
    args = node.args
    if literal_defaults and (args.vararg or args.kwarg or args.posonlyargs):
        raise BadInput(f"{at}: a @host function takes plain named parameters only")
    positional = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    defaults += args.defaults
    rows = [*zip(positional, defaults, strict=True)]
    rows += zip(args.kwonlyargs, args.kw_defaults, strict=True)
    return tuple(_parameter(*row, at=at, literal_default=literal_defaults) for row in rows)


def _parameter(
    arg: ast.arg, default: ast.expr | None, *, at: str, literal_default: bool
) -> Parameter:
    if arg.annotation is None:
        raise BadInput(f"{at}: parameter {arg.arg} has no annotation", "write its type")
    value: object = REQUIRED
    if default is not None and literal_default:
        try:
            value = ast.literal_eval(default)
        except (ValueError, TypeError):
            raise BadInput(f"{at}: the default of {arg.arg} is not a literal") from None
    if literal_default:
        annotation_type(arg.annotation, at)
    return Parameter(arg.arg, ast.unparse(arg.annotation), value)


_PLAIN: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "None": None,
    "Any": JsonValue,
    "list": list[JsonValue],
    "dict": dict[str, JsonValue],
}


def annotation_type(node: ast.expr | str, at: str) -> Any:
    """The type that an annotation stands for, from the forms that travel as JSON.

    str, int, float, bool, None, Any, list[X], dict[str, X], Literal[...], Optional[X],
    Union[...] and X | Y. Raises BadInput, which begins with `at`, for any other.
    """
    if isinstance(node, str):
        node = _parsed(node, at)
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return annotation_type(node.value, at)
    if isinstance(node, ast.Name) and node.id in _PLAIN:
        return _PLAIN[node.id]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[annotation_type(node.left, at), annotation_type(node.right, at)]  # noqa: UP007
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        made = _subscripted(node.value.id, node.slice, at)
        if made is not None:
            return made
    raise BadInput(
        f"{at}: the type {ast.unparse(node)} cannot travel to the host",
        "use str, int, float, bool, list[...], dict[str, ...], Literal[...] or X | None",
    )


def _parsed(annotation: str, at: str) -> ast.expr:
    try:
        return ast.parse(annotation, mode="eval").body
    except (SyntaxError, ValueError):
        raise BadInput(f"{at}: the type {annotation!r} is not readable") from None


def _subscripted(name: str, inner: ast.expr, at: str) -> Any:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name == "Literal":
        values = [part.value for part in parts if isinstance(part, ast.Constant)]
        return Literal[tuple(values)] if values and len(values) == len(parts) else None
    if name == "list" and len(parts) == 1:
        return types.GenericAlias(list, (annotation_type(parts[0], at),))
    if name == "dict" and len(parts) == 2 and ast.unparse(parts[0]) == "str":
        return types.GenericAlias(dict, (str, annotation_type(parts[1], at)))
    if name == "Optional" and len(parts) == 1:
        return Optional[annotation_type(parts[0], at)]  # noqa: UP045
    if name == "Union":
        return Union[tuple(annotation_type(part, at) for part in parts)]  # noqa: UP007
    return None
