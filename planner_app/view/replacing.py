"""A frozen dataclass with some fields changed, without running its `__init__` again.

A view has over thirty fields and changes some times per event; `dataclasses.replace` makes opening
a long run several times slower. Type checkers see `dataclasses.replace` and check the fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dataclasses import replace as replace
else:
    T = TypeVar("T")

    def replace(value: T, /, **changes: Any) -> T:
        """A copy of `value`, which is a frozen dataclass without slots, with `changes`."""
        new = object.__new__(type(value))
        own = new.__dict__
        own.update(value.__dict__)
        own.update(changes)
        return new
