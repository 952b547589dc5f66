"""From the name and arguments of a call to the host function that does it, checked."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError

from planner_app.broker.catalogue import ToolModule
from planner_app.broker.port import ToolRefused, ToolValue
from planner_app.broker.signatures import REQUIRED, Parameter, ToolFunction, annotation_type

HostFunction = Callable[..., Awaitable[ToolValue]]
"""Called with the call's context first, then the arguments by name."""

_SHOWN_VALUE_CHARS = 80


@dataclass(frozen=True, slots=True)
class Registered:
    """A tool of the host, ready to be called."""

    function: ToolFunction
    """Its signature, as the model reads it."""
    perform: HostFunction | None
    """None: the engine does it by itself (asking the person)."""
    checks: Mapping[str, TypeAdapter[Any]]
    """What each argument must be."""


class Registry:
    """The host functions of a run by name."""

    def __init__(
        self, modules: Iterable[ToolModule], implementations: Mapping[str, HostFunction]
    ) -> None:
        """Reads the signatures of the modules' @host functions."""
        self._guest_names: set[str] = set()
        self._tools: dict[str, Registered] = {}
        for module in modules:
            for function in module.functions:
                if function.host:
                    perform = implementations.get(function.name)
                    self._tools[function.name] = Registered(function, perform, _checks(function))
                else:
                    self._guest_names.add(function.name)

    @property
    def names(self) -> tuple[str, ...]:
        """The host functions' names."""
        return tuple(self._tools)

    def find(self, name: str) -> Registered:
        """The tool of that name. ToolRefused, with the nearest name, if there is none."""
        if name in self._tools:
            return self._tools[name]
        if name in self._guest_names:
            raise ToolRefused("unknown", f"{name} runs in the sandbox, not on the host")
        near = difflib.get_close_matches(name[:100], self._tools, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self._tools)}"
        raise ToolRefused("unknown", f"there is no tool {name[:100]!r}", hint)

    def validate(self, name: str, args: Mapping[str, JsonValue]) -> dict[str, Any]:
        """The arguments, checked and completed by the defaults. Raises ToolRefused."""
        tool = self.find(name)
        parameters = {parameter.name: parameter for parameter in tool.function.parameters}
        for given in args:
            if given not in parameters:
                raise _wrong(tool.function, f"has no parameter {given[:100]!r}")
        return {
            parameter.name: _argument(tool, parameter, args) for parameter in parameters.values()
        }


def _checks(function: ToolFunction) -> dict[str, TypeAdapter[Any]]:
    return {
        parameter.name: TypeAdapter(
            annotation_type(parameter.annotation, function.name), config=ConfigDict(strict=True)
        )
        for parameter in function.parameters
    }


def _argument(tool: Registered, parameter: Parameter, args: Mapping[str, JsonValue]) -> Any:
    if parameter.name not in args:
        if parameter.default is REQUIRED:
            raise _wrong(tool.function, f"needs {parameter.name}: {parameter.annotation}")
        return parameter.default
    value = args[parameter.name]
    try:
        return tool.checks[parameter.name].validate_python(value)
    except ValidationError:
        shown = repr(value)
        if len(shown) > _SHOWN_VALUE_CHARS:
            shown = shown[:_SHOWN_VALUE_CHARS] + "..."
        raise _wrong(
            tool.function, f"takes {parameter.name}: {parameter.annotation}, not {shown}"
        ) from None


def _wrong(function: ToolFunction, what: str) -> ToolRefused:
    call = function.signature.removeprefix("def ")
    return ToolRefused("arguments", f"{function.name} {what}", f"it is {call}")
