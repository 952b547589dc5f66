"""Short ways to say a call in tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from planner_app.models.call import Bounds
from planner_app.models.litellm_client import LiteLLMClient, LiteLLMOptions
from planner_app.models.port import (
    Delta,
    Message,
    ModelReply,
    ModelRequest,
    ModelSpec,
    ReplyKey,
)
from planner_app.models.profiles import ProfileBook
from planner_app.models.retry import Retry

PLANNING = ReplyKey(role="planner", purpose="plan", turn=1)


def ask(name: str, text: str = "Say hello.", **changes: Any) -> ModelRequest:
    """A request of one user message."""
    base = changes.pop("api_base", None)
    options = changes.pop("options", {})
    values: dict[str, Any] = {
        "spec": ModelSpec(name=name, api_base=base, options=options),
        "messages": (Message(role="user", content=text),),
        "max_tokens": 500,
        "deadline_s": 20.0,
        "key": PLANNING,
    }
    return ModelRequest(**(values | changes))


def real_client(**changes: Any) -> LiteLLMClient:
    """litellm with the bundled profiles."""
    bounds = changes.pop("bounds", Bounds())
    profiles = changes.pop("profiles", None) or ProfileBook.load()
    return LiteLLMClient(LiteLLMOptions(profiles, bounds=bounds, **changes))


@dataclass
class Heard:
    """What a caller of a model hears."""

    deltas: list[Delta] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    reply: ModelReply | None = None

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas if delta.kind == "text")

    @property
    def reasoning(self) -> str:
        return "".join(delta.text for delta in self.deltas if delta.kind == "reasoning")

    async def sleep(self, seconds: float) -> None:
        """A sleep that only takes note."""
        self.waits.append(seconds)
