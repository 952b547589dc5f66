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
    from planner_app.engine.model_access import model_options
    from planner_app.models.client import open_client

    secrets = {variable: key.secret for variable, key in keys.items()}
    return open_client(model_options(settings, secrets))
