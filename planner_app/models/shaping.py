"""Shape one request as a model wants it: its messages, and the parameters that it takes.

What a model refuses is left out, and the caller is told which. Examples and wordings are the
agents' business; here the profile decides about roles, history, sampling, effort and JSON modes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from planner_app.models.port import Message, ModelRequest, Profile

Wire = dict[str, object]

_SAMPLING = ("temperature", "top_p", "top_k", "seed")
_BUDGET_SHARE = {"low": 0.2, "medium": 0.4, "high": 0.7}


def shape_messages(
    messages: Sequence[Message], profile: Profile, provider: str, model: str = ""
) -> list[Wire]:
    """The conversation in OpenAI's form. Neighbours of one role are joined.

    `provider` and `model` are those that it goes to: thoughts are for their own maker only.
    """
    system = [message.content for message in messages if message.role == "system"]
    turns = [message for message in messages if message.role != "system"]
    shaped: list[Wire] = []
    opening = "\n\n".join(part for part in system if part.strip())
    if opening and profile.system_role in ("system", "developer"):
        shaped.append({"role": profile.system_role, "content": opening})
        opening = ""
    last_reply = max(
        (number for number, turn in enumerate(turns) if turn.role == "assistant"), default=-1
    )
    for number, turn in enumerate(turns):
        content = turn.content
        if opening and turn.role == "user":
            content, opening = f"{opening}\n\n{content}", ""
        if turn.role == "assistant":
            wire: Wire = {"role": "assistant", "content": turn.content}
            keeps = profile.history_reasoning == "keep"
            in_cycle = profile.history_reasoning == "tool_cycle" and number == last_reply
            own = _thoughts(turn, provider, model) if keeps or in_cycle else None
            if own is not None:
                wire |= own
            if own is not None and keeps and turn.reasoning:
                wire["reasoning_content"] = turn.reasoning
            shaped.append(wire)
        elif shaped and shaped[-1]["role"] == "user":
            shaped[-1]["content"] = f"{shaped[-1]['content']}\n\n{content}"
        else:
            shaped.append({"role": "user", "content": content})
    if opening:
        shaped.append({"role": "user", "content": opening})
    return shaped


def _thoughts(turn: Message, provider: str, model: str) -> Wire | None:
    """What goes back with a reply to whoever made it; None: somebody else did.

    A fallback is another model, often of another provider, and thoughts are not its business.
    """
    state = turn.provider_state
    if state is None or state.get("provider") != provider:
        return None
    if model and state.get("model", model) != model:
        return None
    signed = ("thinking_blocks", "provider_specific_fields")
    return {name: state[name] for name in signed if state.get(name)}


STREAMED: Wire = {"stream": True, "stream_options": {"include_usage": True}}
"""Asked of every model, until one refuses it."""


@dataclass(slots=True)
class Params:
    """Parameters of one call."""

    sent: dict[str, object] = field(default_factory=dict)
    """What is sent, in litellm's names."""
    dropped: list[str] = field(default_factory=list)
    """What was asked for and left out."""

    def drop(self, name: str) -> None:
        """Leave a parameter out, and remember that."""
        self.sent.pop(name, None)
        if name not in self.dropped:
            self.dropped.append(name)


def shape_params(request: ModelRequest, profile: Profile) -> Params:
    """The parameters for a request."""
    params = Params()
    limit = profile.max_output
    params.sent["max_tokens"] = min(request.max_tokens, limit) if limit else request.max_tokens
    _sampling(params, request, profile)
    _effort(params, request, profile)
    _json_mode(params, request, profile)
    params.sent.update(profile.extra)
    num_ctx = request.spec.options.get("num_ctx")
    if num_ctx is not None:
        params.sent["num_ctx"] = num_ctx
    for name in profile.refuses:
        if name in params.sent:
            params.drop(name)
    return params


def _sampling(params: Params, request: ModelRequest, profile: Profile) -> None:
    asked: dict[str, JsonValue] = {
        name: request.spec.options[name] for name in _SAMPLING if name in request.spec.options
    }
    if request.temperature is not None:
        asked.setdefault("temperature", request.temperature)
    params.sent.update(profile.sampling)
    for name, value in asked.items():
        fixed = profile.fixed_sampling and name != "seed"
        if fixed and profile.sampling.get(name) != value:
            if name not in profile.sampling:
                params.drop(name)
            elif name not in params.dropped:
                params.dropped.append(name)
        else:
            params.sent[name] = value


def _effort(params: Params, request: ModelRequest, profile: Profile) -> None:
    named = request.spec.options.get("effort")
    default = profile.effort_planner if request.key.role == "planner" else profile.effort_executor
    effort = default if named is None else named
    if effort is None:
        return
    if profile.effort_param is None or effort not in profile.effort_values:
        params.dropped.append("effort")
        return
    if profile.thinking_budget_min is None:
        params.sent[profile.effort_param] = effort
        return
    room = request.max_tokens - 1
    if room < 2 * profile.thinking_budget_min:
        params.dropped.append("effort")
        return
    share = int(room * _BUDGET_SHARE.get(str(effort), 0.4))
    budget = max(profile.thinking_budget_min, share)
    params.sent[profile.effort_param] = {"type": "enabled", "budget_tokens": budget}
    # While it thinks it takes no other temperature than 1.
    for name in ("temperature", "top_p", "top_k"):
        if name in params.sent:
            params.drop(name)


def _json_mode(params: Params, request: ModelRequest, profile: Profile) -> None:
    schema = request.json_schema
    if schema is None or profile.json_mode == "prompt":
        return
    if profile.json_mode == "json_object":
        params.sent["response_format"] = {"type": "json_object"}
        return
    params.sent["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": schema, "strict": is_strict(schema)},
    }


def is_strict(schema: JsonValue) -> bool:
    """Whether all objects of a schema are closed and require all keys, as strict modes want."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        required = schema.get("required")
        named = set(required) if isinstance(required, list) else set()
        if schema.get("additionalProperties") is not False or set(properties) != named:
            return False
    return all(is_strict(value) for value in schema.values())
