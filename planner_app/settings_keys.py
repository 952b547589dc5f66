"""Providers' keys: from the environment under their usual names, else the system keyring.

A key is never printed, logged or put into settings; only whether it is there, and what is odd.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from planner_app.domain.errors import KeyMissing
from planner_app.domain.places import LocalServer
from planner_app.domain.teams import (
    Team,
    TeamChoice,
    choose_team,
    key_problem,
    key_variables,
    provider_of,
)

KEYRING_SERVICE = "planner"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """A provider's key, which does not show itself."""

    variable: str
    origin: Literal["environment", "keyring"]
    secret: str
    problem: str = ""
    """What is odd about it, without it; empty when nothing is."""

    def __repr__(self) -> str:
        return f"Key({self.variable} from {self.origin}, {len(self.secret)} characters)"


def keys_in_environment(env: Mapping[str, str]) -> dict[str, Key]:
    """The keys that the environment holds, by variable."""
    return {
        name: Key(name, "environment", env[name], key_problem(name, env[name]))
        for name in key_variables()
        if env.get(name)
    }


def keys_in_keyring(variables: Iterable[str]) -> dict[str, Key]:
    """The keys that the system keyring holds under the service `planner`; none without a keyring.

    Importing keyring costs 80 ms and asking may wait for the desktop, so it is asked only when the
    environment has no key.
    """
    found = {}
    try:
        import keyring

        for name in variables:
            secret = keyring.get_password(KEYRING_SERVICE, name)
            if secret:
                found[name] = Key(name, "keyring", secret, key_problem(name, secret))
    except Exception as error:  # noqa: BLE001 - none here, locked, or whatever a backend may raise
        _log.debug("the system keyring cannot be asked: %r", error)
    return found


def find_keys(env: Mapping[str, str]) -> dict[str, Key]:
    """Keys of the environment; only when there are none, those of the keyring."""
    return keys_in_environment(env) or keys_in_keyring(key_variables())


def all_keys(env: Mapping[str, str]) -> dict[str, Key]:
    """Every key that can be had: the environment's, and the keyring's for the others."""
    found = keys_in_environment(env)
    return keys_in_keyring(name for name in key_variables() if name not in found) | found


def find_team(
    choice: TeamChoice,
    env: Mapping[str, str],
    find_servers: Callable[[], Sequence[LocalServer]] = tuple,
) -> Team:
    """The team: as it was chosen, else by the keys that can be used, else by local servers.

    Keys are looked for, and servers asked, only when nobody names a planner. Raises ModelMissing
    when nothing is found.
    """
    if choice.planner:
        return choose_team(choice, ())
    found = find_keys(env).values()
    keys = [key.variable for key in found if not key.problem]
    problems = [key.problem for key in found if key.problem]
    return choose_team(choice, keys, () if keys else find_servers(), problems)


def needs_of(models: Iterable[str], env: Mapping[str, str]) -> list[tuple[str, ...]]:
    """For each key that these models take from the environment: the variables it may be in."""
    needs: dict[tuple[str, ...], None] = {}
    for model in models:
        provider = provider_of(model)
        if provider is not None:
            names = (provider.variable, *provider.other_variables)
            here = tuple(name for name in names if env.get(name))
            if here:
                needs[(*here, *(name for name in names if name not in here))] = None
    return list(needs)


def check_key_for(model: str, env: Mapping[str, str]) -> Key | None:
    """The key that a model needs; None when it needs none that we know of.

    Raises KeyMissing when it is absent or cannot be a key, without ever printing it.
    """
    provider = provider_of(model)
    if provider is None:
        return None
    names = (provider.variable, *provider.other_variables)
    in_env = keys_in_environment(env)
    found = {n: in_env[n] for n in names if n in in_env} or keys_in_keyring(names)
    if not found:
        raise KeyMissing(
            f"{model} needs a key of {provider.name}",
            f"set {provider.variable}, or put it into the keyring: "
            f"keyring set {KEYRING_SERVICE} {provider.variable}",
        )
    key = next(iter(found.values()))
    if key.problem:
        raise KeyMissing(f"the key for {model} cannot be used", key.problem)
    return key
