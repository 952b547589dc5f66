"""What the clients have in common that ask no provider: their replies cost nothing."""

from __future__ import annotations

from collections.abc import Sequence

from planner_app.models.port import Message, ModelSpec, Price
from planner_app.models.tokens import estimate_messages


class UnpaidClient:
    """The part of the model port in which replies from a file and from a saved run are alike."""

    def price(self, spec: ModelSpec) -> Price | None:
        """Such replies cost nothing, and that is known."""
        return Price(0.0, 0.0)

    def count_tokens(self, spec: ModelSpec, messages: Sequence[Message]) -> int:
        """An estimate."""
        return estimate_messages(messages)

    async def aclose(self) -> None:
        """Nothing is open."""
