"""What a run has used, in all and on the account of each role, model and step."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Spent(BaseModel):
    """What the run has used."""

    model_config = ConfigDict(frozen=True)

    usd: float = 0.0
    unpriced_calls: int = 0
    tokens: int = 0
    calls: int = 0
    actions: int = 0
    by_role: dict[str, float] = Field(default_factory=dict)
    """Role to USD."""
    by_model: dict[str, float] = Field(default_factory=dict)
    """Model to USD."""
    by_step: dict[str, float] = Field(default_factory=dict)
    """Step to USD."""
    tokens_by_role: dict[str, int] = Field(default_factory=dict)
    tokens_by_model: dict[str, int] = Field(default_factory=dict)
    tokens_by_step: dict[str, int] = Field(default_factory=dict)
    unpriced_by_role: dict[str, int] = Field(default_factory=dict)
    """Role to calls whose price is unknown: its USD are then the least that it cost."""
    unpriced_by_model: dict[str, int] = Field(default_factory=dict)
    unpriced_by_step: dict[str, int] = Field(default_factory=dict)

    def charged(
        self, usd: float | None, tokens: int, role: str, model: str, step: str | None, calls: int
    ) -> Spent:
        """With so much more, on the account of a role, a model and, if any, a step."""
        whose = {"role": role, "model": model, "step": step}
        changes: dict[str, Any] = {
            "usd": self.usd + (usd or 0.0),
            "unpriced_calls": self.unpriced_calls + (usd is None),
            "tokens": self.tokens + tokens,
            "calls": self.calls + calls,
        }
        for by, name in whose.items():
            if name is not None:
                for field, more in (
                    (f"by_{by}", usd or 0.0),
                    (f"tokens_by_{by}", tokens),
                    (f"unpriced_by_{by}", int(usd is None)),
                ):
                    account = getattr(self, field)
                    changes[field] = {**account, name: account.get(name, 0) + more}
        return self.model_copy(update=changes)
