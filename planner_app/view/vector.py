"""A list that keeps its old versions: append and replace cost O(log n), nothing is copied whole.

A 32-way tree with a tail, after Bagwell and L'orange's persistent vectors. Old versions of a run's
view stay valid at no cost, which is what makes stepping back in a replay cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar, cast, overload

T = TypeVar("T")
_BITS = 5
_WIDTH = 1 << _BITS
_MASK = _WIDTH - 1
_Node = tuple[object, ...]


class Vector(Generic[T]):
    """An immutable sequence with cheap `append` and `replace`."""

    __slots__ = ("_length", "_root", "_shift", "_tail")

    def __init__(self) -> None:
        self._length = 0
        self._shift = _BITS
        self._root: _Node = ()
        self._tail: _Node = ()

    def _with(self, length: int, shift: int, root: _Node, tail: _Node) -> Vector[T]:
        new: Vector[T] = Vector()
        new._length, new._shift, new._root, new._tail = length, shift, root, tail
        return new

    def __len__(self) -> int:
        return self._length

    def _tail_start(self) -> int:
        return self._length - len(self._tail)

    def append(self, item: T) -> Vector[T]:
        """A new vector with one more item."""
        if len(self._tail) < _WIDTH:
            return self._with(self._length + 1, self._shift, self._root, (*self._tail, item))
        full, start = self._tail, self._tail_start()
        if start >> _BITS >= 1 << self._shift:
            root: _Node = (self._root, _path(self._shift, full))
            return self._with(self._length + 1, self._shift + _BITS, root, (item,))
        root = _push(self._root, self._shift, start, full)
        return self._with(self._length + 1, self._shift, root, (item,))

    def replace(self, index: int, item: T) -> Vector[T]:
        """A new vector with another item at `index`. Raises IndexError outside 0..len-1."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        start = self._tail_start()
        if index >= start:
            at = index - start
            rest = (*self._tail[:at], item, *self._tail[at + 1 :])
            return self._with(self._length, self._shift, self._root, rest)
        root = _set(self._root, self._shift, index, item)
        return self._with(self._length, self._shift, root, self._tail)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._length))]
        if index < 0:
            index += self._length
        if not 0 <= index < self._length:
            raise IndexError(index)
        start = self._tail_start()
        if index >= start:
            return cast("T", self._tail[index - start])
        node, shift = self._root, self._shift
        while shift > 0:
            node = cast("_Node", node[(index >> shift) & _MASK])
            shift -= _BITS
        return cast("T", node[index & _MASK])

    def __iter__(self) -> Iterator[T]:
        for leaf in _leaves(self._root, self._shift):
            yield from cast("tuple[T, ...]", leaf)
        yield from cast("tuple[T, ...]", self._tail)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vector):
            return NotImplemented
        return self is other or (len(self) == len(other) and list(self) == list(other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Vector({list(self)!r})"


def _path(shift: int, leaf: _Node) -> _Node:
    return leaf if shift == 0 else (_path(shift - _BITS, leaf),)


def _push(node: _Node, shift: int, start: int, leaf: _Node) -> _Node:
    at = (start >> shift) & _MASK
    if shift == _BITS:
        return (*node, leaf)
    if at < len(node):
        child = _push(cast("_Node", node[at]), shift - _BITS, start, leaf)
        return (*node[:at], child, *node[at + 1 :])
    return (*node, _path(shift - _BITS, leaf))


def _set(node: _Node, shift: int, index: int, item: object) -> _Node:
    at = (index >> shift) & _MASK
    new = item if shift == 0 else _set(cast("_Node", node[at]), shift - _BITS, index, item)
    return (*node[:at], new, *node[at + 1 :])


def _leaves(node: _Node, shift: int) -> Iterator[_Node]:
    for child in node:
        if shift == _BITS:
            yield cast("_Node", child)
        else:
            yield from _leaves(cast("_Node", child), shift - _BITS)
