"""What a person may rely on when code in the sandbox calls a host tool by name and arguments."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from planner_app.broker.catalogue import module_from_source
from planner_app.broker.port import ToolRefused
from planner_app.broker.registry import Registry

SOURCE = '''
from planner import host

@host(approval="outside", timeout=5)
def send(
    to: str,
    count: int = 1,
    ratio: float = 0.5,
    tags: list[str] | None = None,
    mode: Literal["a", "b"] = "a",
    extra: "dict[str, Any]" = {},
    *,
    loud: bool = False,
) -> None:
    """Send it."""
    ...

def local(x: bytes) -> bytes:
    """In the guest."""
    return x
'''


@pytest.fixture
def registry() -> Registry:
    return Registry([module_from_source("m", SOURCE, bundled=True)], {})


def test_defaults_complete_the_arguments(registry: Registry) -> None:
    assert registry.validate("send", {"to": "x"}) == {
        "to": "x",
        "count": 1,
        "ratio": 0.5,
        "tags": None,
        "mode": "a",
        "extra": {},
        "loud": False,
    }


def test_values_of_the_declared_types_pass(registry: Registry) -> None:
    given: dict[str, JsonValue] = {
        "to": "x",
        "count": 3,
        "ratio": 2,
        "tags": ["a"],
        "mode": "b",
        "extra": {"k": [1, None]},
        "loud": True,
    }
    assert registry.validate("send", given) == given


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({}, "send needs to: str"),
        ({"to": 1}, "takes to: str, not 1"),
        ({"to": None}, "takes to: str, not None"),
        ({"to": "x", "count": "3"}, "takes count: int, not '3'"),
        ({"to": "x", "count": True}, "takes count: int, not True"),
        ({"to": "x", "count": 1.5}, "takes count: int, not 1.5"),
        ({"to": "x", "tags": [1]}, "takes tags: list[str] | None"),
        ({"to": "x", "mode": "c"}, "not 'c'"),
        ({"to": "x", "loud": 1}, "takes loud: bool, not 1"),
        ({"to": "x", "extra": []}, "takes extra"),
        ({"to": "x", "command": "rm"}, "has no parameter 'command'"),
        ({"to": ["long"] * 500}, "..."),
    ],
)
def test_wrong_arguments_are_refused_with_what_would_be_right(
    registry: Registry, args: dict[str, JsonValue], says: str
) -> None:
    with pytest.raises(ToolRefused) as caught:
        registry.validate("send", args)
    assert says in str(caught.value)
    assert "it is send(to: str, count: int=1" in caught.value.hint
    assert caught.value.kind == "arguments"
    assert len(str(caught.value)) < 500


def test_an_unknown_tool_is_refused_with_the_nearest_name(registry: Registry) -> None:
    with pytest.raises(ToolRefused, match="did you mean send"):
        registry.find("sendd")
    with pytest.raises(ToolRefused, match="there are send"):
        registry.find("x" * 10_000)
    with pytest.raises(ToolRefused, match="runs in the sandbox"):
        registry.find("local")


def test_options_of_the_stub_are_kept(registry: Registry) -> None:
    function = registry.find("send").function
    assert (function.approval, function.timeout) == ("outside", 5.0)
