"""The model port: what the engine asks of a model, and what it gets back.

Everything that calls a model goes through `ModelClient`: the litellm adapter, scripted replies and
recorded replies. This module imports nothing heavy, so that agents, tests and the command line can
use its types at no cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from planner_app.domain.errors import UNAVAILABLE, Missing, PlannerError
from planner_app.models.prices import Price
from planner_app.models.profiles import Profile

__all__ = [
    "AgentRole",
    "Cost",
    "Delta",
    "Message",
    "ModelClient",
    "ModelError",
    "ModelErrorKind",
    "ModelReply",
    "ModelRequest",
    "ModelSpec",
    "OnDelta",
    "Price",
    "Profile",
    "ReplyKey",
    "Role",
    "Usage",
]

Role = Literal["system", "user", "assistant"]
AgentRole = Literal["planner", "executor", "checker"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(_Frozen):
    """One turn of a conversation, in a form that belongs to no provider."""

    role: Role
    """Who speaks."""
    content: str
    """The text without its reasoning."""
    reasoning: str | None = None
    """What the model thought before an assistant message; None when it did not show any."""
    provider_state: dict[str, JsonValue] | None = None
    """Signed thinking and the like, with the `provider` that made it: goes back to that provider
    only, unchanged. None when there is none."""


class ReplyKey(_Frozen):
    """Which call this is: scripted and recorded replies are found by it, never by order."""

    role: AgentRole
    """The agent that asks. Plans, reviews and answers are the planner's; a check the checker's."""
    purpose: str
    """plan, replan, review, answer, act, check, correct, ...: for people; a script may name it."""
    step: str | None = None
    """Id of the executor's step; None for planner and checker."""
    attempt: int | None = None
    """The executor's attempt at the step, from 1; None for planner and checker."""
    turn: int
    """Counts the calls with the same role, step and attempt in the run, from 1."""

    def __str__(self) -> str:
        where = f" step={self.step} attempt={self.attempt}" if self.step is not None else ""
        return f"role={self.role}{where} turn={self.turn} purpose={self.purpose}"


class ModelSpec(_Frozen):
    """Which model, and how a person wants it used."""

    name: str
    """litellm's name (`deepseek/deepseek-reasoner`), `scripted:PATH` or `recorded:RUN`."""
    api_base: str | None = None
    """Address of a server of one's own; None: the provider's."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """`effort` (one of the profile's values), `temperature`, `top_p`, `top_k`, `seed`, `num_ctx`,
    `think_mode`, `json`: they win over the profile."""


class ModelRequest(_Frozen):
    """One call to one model."""

    spec: ModelSpec
    """Which model."""
    messages: tuple[Message, ...]
    """The conversation; a system message, if any, comes first."""
    max_tokens: int = Field(gt=0)
    """Most tokens of the reply, reasoning included; always sent."""
    temperature: float | None = None
    """None: what the profile says. Dropped, and recorded, where the model refuses it."""
    json_schema: dict[str, JsonValue] | None = None
    """JSON Schema of the reply, sent only where the profile has a native mode."""
    deadline_s: float = Field(gt=0)
    """Seconds for the whole call, from sending to the last token."""
    key: ReplyKey
    """Which call this is in its run."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply as it arrives."""

    kind: Literal["text", "reasoning"]
    """Whether it is answer or thought."""
    text: str
    """Never empty."""


OnDelta = Callable[[Delta], None]


class Usage(_Frozen):
    """Tokens of one call."""

    prompt_tokens: int
    """Tokens sent."""
    completion_tokens: int
    """Tokens received, reasoning included."""
    reasoning_tokens: int | None = None
    """Of these, tokens of reasoning; None when nobody counted them."""
    cached_tokens: int | None = None
    """Of the prompt, tokens that the provider had cached; None when it does not say."""
    source: Literal["provider", "estimated", "none"]
    """Who counted: the provider, we from the text, or nobody (a call that sent nothing)."""
    reasoning_source: Literal["provider", "estimated", "none"] = "none"
    """Who counted the reasoning tokens."""


class Cost(_Frozen):
    """What one call cost."""

    usd: float | None
    """US dollars; None when the price is unknown, which is never the same as 0."""
    source: Literal["provider", "table", "settings", "unknown", "scripted"]
    """Who said so."""


class ModelReply(_Frozen):
    """A whole reply."""

    text: str
    """The answer without its reasoning."""
    reasoning: str
    """What was thought aloud; empty when nothing was shown."""
    finish_reason: str
    """`stop`, `length`, `content_filter`, or the provider's own word for anything else."""
    usage: Usage
    """Tokens, with who counted them."""
    cost: Cost
    """Price, with who said so."""
    model: str
    """The name that the provider gave in its reply, else the one asked for."""
    provider_state: dict[str, JsonValue] | None = None
    """To be kept on the assistant message made of this reply; None when there is none."""
    dropped_params: tuple[str, ...] = ()
    """Parameters that were asked for and not sent, because the model refuses them."""
    first_token_ms: float | None = None
    """Milliseconds to the first piece; None when nothing came."""
    ms: float
    """Milliseconds of the whole call."""
    unclosed_reasoning: bool = False
    """The reply ended inside its reasoning, so `text` is not an answer."""
    warnings: tuple[str, ...] = ()
    """Lines for people: a parameter dropped, a model soon withdrawn, an unasked-for tool call."""


ModelErrorKind = Literal[
    "refused",
    "dns",
    "tls",
    "connection",
    "timeout",
    "deadline",
    "auth",
    "forbidden",
    "not_found",
    "unknown_model",
    "bad_request",
    "rate_limited",
    "overloaded",
    "server",
    "context_overflow",
    "content_policy",
    "empty",
    "malformed_stream",
    "cut_stream",
    "too_long",
    "quota",
    "unscripted",
    "unrecorded",
]

RETRYABLE: frozenset[ModelErrorKind] = frozenset(
    {
        "refused",
        "dns",
        "connection",
        "timeout",
        "rate_limited",
        "overloaded",
        "server",
        "empty",
        "malformed_stream",
        "cut_stream",
    }
)
"""Kinds that may go away by themselves. A `deadline` is the caller's own and is not among them."""


class ModelError(PlannerError):
    """A call to a model failed; messages never hold a key."""

    def __init__(
        self,
        kind: ModelErrorKind,
        message: str,
        hint: str = "",
        *,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
        streamed: bool = False,
        usage: Usage | None = None,
        cost: Cost | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.kind: ModelErrorKind = kind
        """What went wrong, in one word."""
        if kind in UNAVAILABLE:
            self.exit_code = Missing.exit_code
        self.retryable = kind in RETRYABLE if retryable is None else retryable
        """Whether the same call may succeed later."""
        self.retry_after_s = retry_after_s
        """Seconds that the provider asked us to wait; None when it did not say."""
        self.status = status
        """HTTP status; None when there was no answer."""
        self.streamed = streamed
        """Whether deltas were given out before it failed: a retry supersedes them."""
        self.usage = usage
        """Tokens that the failed call is billed for all the same; None when nothing came."""
        self.cost = cost
        """What that costs; None when nothing came."""
        self.window: int | None = None
        """Tokens that the model can hold, where a context overflow names them."""


class ModelClient(Protocol):
    """A way to call models. One per process; safe for concurrent calls from one event loop."""

    async def complete(self, request: ModelRequest, on_delta: OnDelta) -> ModelReply:
        """Make one call, without retries; `on_delta` gets each piece as it arrives.

        Raises ModelError. Cancelling it closes the connection.
        """
        ...

    def price(self, spec: ModelSpec) -> Price | None:
        """The price of a model, or None when nobody knows it."""
        ...

    def profile(self, spec: ModelSpec) -> Profile:
        """How this model is spoken to."""
        ...

    def count_tokens(self, spec: ModelSpec, messages: Sequence[Message]) -> int:
        """About how many tokens these messages have; errs on the high side."""
        ...

    async def aclose(self) -> None:
        """Close connections. No call may follow."""
        ...
