"""Leaves out errors that are expected, as contextlib does, whose import takes 2.5 ms."""

from __future__ import annotations


class suppress:  # noqa: N801 - the name by which it is known
    """Goes on after the block when one of the errors ended it."""

    __slots__ = ("_errors",)

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> bool:
        return kind is not None and issubclass(kind, self._errors)
