"""What the settings and a person's keys say about real models, as their client wants it."""

from __future__ import annotations

from collections.abc import Mapping

from planner_app.domain.errors import KeyMissing
from planner_app.domain.teams import provider_of
from planner_app.models.litellm_client import LiteLLMOptions
from planner_app.models.memory import Memory
from planner_app.models.prices import Price
from planner_app.models.profiles import ProfileBook
from planner_app.settings import Settings


def model_options(settings: Settings, keys: Mapping[str, str]) -> LiteLLMOptions:
    """Profiles, own prices, addresses and keys (by variable). Raises SettingsError."""

    def key_for(model: str) -> str | None:
        provider = provider_of(model)
        if provider is None:
            return None
        names = (provider.variable, *provider.other_variables)
        if not (found := [keys[name] for name in names if name in keys]):
            raise KeyMissing(
                f"{model} needs {provider.variable}, and this process was started without it",
                "set it, end the worker (planner worker stop), and do the run again: planner retry",
            )
        return found[0]

    return LiteLLMOptions(
        profiles=ProfileBook.load(settings.paths.profiles_file),
        prices={
            name: Price(own.input, own.output, own.cached, own.reasoning)
            for name, own in settings.models.prices.items()
        },
        api_bases=settings.models.api_bases,
        key_for=key_for,
        memory=Memory(settings.paths.models_file),
    )
