"""Call real models through litellm: streamed, timed, counted, priced, without retries."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import ValidationError

from planner_app.domain.errors import BadInput, KeyMissing
from planner_app.domain.places import HOMELESS, server_key, usual_address
from planner_app.models.call import Bounds, Call
from planner_app.models.faults import Place
from planner_app.models.lite import litellm_if_loaded
from planner_app.models.memory import Memory
from planner_app.models.port import (
    Message,
    ModelError,
    ModelReply,
    ModelRequest,
    ModelSpec,
    OnDelta,
    Price,
    Profile,
)
from planner_app.models.price_table import context_window, output_limit, table_price
from planner_app.models.profiles import ProfileBook
from planner_app.models.shaping import STREAMED, Params, shape_params
from planner_app.models.tokens import estimate_messages


def _no_key(_model: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class LiteLLMOptions:
    """What the settings say about real models."""

    profiles: ProfileBook
    """Habits of models."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """A person's own prices by model name, or by provider with its slash; they win over the
    table."""
    api_bases: Mapping[str, str] = field(default_factory=dict)
    """Address by model name, or by provider with its slash (`ollama_chat/`)."""
    key_for: Callable[[str], str | None] = _no_key
    """The key for a model; None: litellm finds it in the environment. Raises KeyMissing where it
    is known that there is none."""
    bounds: Bounds = field(default_factory=Bounds)
    """How long and how much a call waits for."""
    memory: Memory = field(default_factory=Memory)
    """What models were found to refuse and to do."""

    def api_base(self, spec: ModelSpec) -> str | None:
        """The address of a model's server; None: the provider's own."""
        provider = spec.name.partition("/")[0] + "/"
        said = spec.api_base or self.api_bases.get(spec.name) or self.api_bases.get(provider)
        return said or usual_address(spec.name, os.environ)


class LiteLLMClient:
    """The model port over litellm."""

    def __init__(self, options: LiteLLMOptions) -> None:
        self._options = options
        self._memory = options.memory

    async def complete(self, request: ModelRequest, on_delta: OnDelta) -> ModelReply:
        """One call, streamed where it can be. Raises ModelError; cancelling it closes the
        connection."""
        spec = request.spec
        place = Place(spec.name, self._options.api_base(spec), self._key(spec))
        _check_address(place)
        profile = self.profile(spec)
        call = Call(request, place, profile, self.price(spec), self._options.bounds, on_delta)
        refused = set(self._memory.recall(spec.name, place.api_base).refuses)
        learned: list[str] = []
        while True:
            params = shape_params(request, profile)
            params.sent.update(STREAMED)
            for name in refused & set(params.sent):
                params.drop(name)
            try:
                reply = await call.run(params)
            except ModelError as error:
                culprit = refused_parameter(error, params)
                if culprit is None or culprit in refused:
                    raise
                refused.add(culprit)
                learned.append(culprit)
                continue
            # It works without what the model said it does not take: that is left out from now on.
            for name in learned:
                await asyncio.to_thread(self._memory.refused, spec.name, place.api_base, name)
            return reply

    def price(self, spec: ModelSpec) -> Price | None:
        """A person's own price, else the table's. A server of one's own has no listed price."""
        prices = self._options.prices
        own = prices.get(spec.name) or prices.get(spec.name.partition("/")[0] + "/")
        if own is not None:
            return own
        return None if self._options.api_base(spec) else table_price(spec.name)

    def profile(self, spec: ModelSpec) -> Profile:
        """The profile that the name gets, by what a probe found, with the person's own `json` and
        `think_mode`, and the table's sizes of window and reply where it says nothing of them."""
        known = self._memory.recall(spec.name, self._options.api_base(spec))
        profile = known.fitted(self._options.profiles.find(spec.name))
        changes: dict[str, object] = {}
        for name in ("think_mode", "json"):
            if name in spec.options:
                changes[name] = spec.options[name]
        listed = spec.name if self._options.api_base(spec) is None else ""
        num_ctx = spec.options.get("num_ctx", profile.extra.get("num_ctx"))
        if profile.context_window is None:
            changes["context_window"] = num_ctx or context_window(listed)
        if profile.max_output is None:
            changes["max_output"] = output_limit(listed)
        if not spec.options:
            return profile.model_copy(update=changes)
        try:
            return Profile.model_validate({**profile.model_dump(by_alias=True), **changes})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise BadInput(
                f"an option of {spec.name} is not valid: {first['loc'][0]}: {first['msg']}"
            ) from error

    def count_tokens(
        self,
        spec: ModelSpec,
        messages: Sequence[Message],
    ) -> int:
        """An estimate, on the high side: no tokenizer is loaded."""
        return estimate_messages(messages)

    async def aclose(self) -> None:
        """Close litellm's connections, if it was ever needed."""
        module = litellm_if_loaded()
        if module is not None:
            await module.close_litellm_async_clients()

    def _key(self, spec: ModelSpec) -> str | None:
        own_server = self._options.api_base(spec) is not None
        try:
            key = self._options.key_for(spec.name) or server_key(spec.name, os.environ)
        except KeyMissing as error:
            # A server of one's own seldom wants a key, but the protocol's client insists on one.
            if own_server:
                return "none"
            raise ModelError("auth", error.message, error.hint) from error
        return key or ("none" if own_server else None)


def _check_address(place: Place) -> None:
    base = place.address
    if place.api_base is None and place.model.partition("/")[0] in HOMELESS:
        # litellm would ask OpenAI, to whom nobody wanted to say anything.
        raise ModelError(
            "bad_request", f"nobody said where {place.model} is served", "set its api_base"
        )
    if base is None:
        return
    parts = urlsplit(base)
    if parts.username is not None:
        raise ModelError(
            "bad_request",
            f"the address {place.server} of {place.model} comes with a name and a password",
            "leave them out: the key goes into its provider's variable",
        )
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ModelError(
            "bad_request",
            f"the address {base!r} of {place.model} has no scheme",
            f"write it like http://{base.removeprefix('//')}",
        )


_REFUSING = re.compile(
    r"unsupported|not supported|does ?n[o']t support|unknown|unrecognized|not permitted|not allowed"
    r"|extra inputs|deprecated|unexpected|invalid|only the default|cannot be used",
    re.IGNORECASE,
)
_NEEDED = frozenset({"max_tokens", "allowed_openai_params"})


def refused_parameter(error: ModelError, params: Params) -> str | None:
    """Which parameter of ours a provider's refusal names, if any."""
    if error.kind != "bad_request" or not _REFUSING.search(error.message):
        return None
    for name in sorted(set(params.sent) - _NEEDED, key=len, reverse=True):
        spoken = name.replace("_", "[_ .]")
        if name in ("think", "stream"):
            spoken += "(?:ing)?"
        if re.search(rf"(?<![\w]){spoken}(?![\w])", error.message, re.IGNORECASE):
            return name
    return None
