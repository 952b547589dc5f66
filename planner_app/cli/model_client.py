"""Opens the way to models for commands that need one outside of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planner_app.models.port import ModelClient
    from planner_app.settings import Settings
    from planner_app.settings_keys import Key


def open_models(settings: Settings, keys: Mapping[str, Key]) -> ModelClient:
    """The client by the settings and these keys. Nothing heavy is imported before a call."""
    from planner_app.domain.teams import provider_of
    from planner_app.models.client import open_client
    from planner_app.models.litellm_client import LiteLLMOptions
    from planner_app.models.prices import parse_price
    from planner_app.models.profiles import ProfileBook

    def key_for(model: str) -> str | None:
        provider = provider_of(model)
        names = () if provider is None else (provider.variable, *provider.other_variables)
        return next((keys[name].secret for name in names if name in keys), None)

    prices = settings.models.prices
    return open_client(
        LiteLLMOptions(
            profiles=ProfileBook.load(settings.paths.profiles_file),
            prices={n: parse_price(n, p.model_dump(exclude_none=True)) for n, p in prices.items()},
            api_bases=settings.models.api_bases,
            key_for=key_for,
        )
    )
