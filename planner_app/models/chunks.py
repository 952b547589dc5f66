"""Look into one piece of a streamed reply, and give it what litellm's parsers take for granted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_CHUNK = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
"""Of every chunk in OpenAI's form."""
_COUNTS = ("tokens", "TokenCount", "eval_count")
_TABLES = ("usage", "usageMetadata", "completion_tokens_details", "prompt_tokens_details")
_USAGE = frozenset({"usage", "usageMetadata", "prompt_eval_count", "eval_count"})
"""Where the counts of tokens stand."""
REFUSED = "refusal"
"""The reason of a reply in which the model says that it will not answer."""


def reason_of(value: dict[str, Any]) -> str:
    """Why the reply ends, in whichever of the forms it is told; empty: it is not."""
    for choice in _rows(value.get("choices")):
        delta = choice.get("delta")
        if isinstance(delta, dict) and delta.get("refusal"):
            return REFUSED
        reason = str(choice.get("finish_reason") or "")
        if reason not in ("", "null"):  # some have a word for none
            return reason
    for candidate in _rows(value.get("candidates")):
        if candidate.get("finishReason"):
            return str(candidate["finishReason"])
    delta = value.get("delta")
    if isinstance(delta, dict) and delta.get("stop_reason"):
        return str(delta["stop_reason"])
    return str(value.get("done_reason") or "")


def is_known(value: dict[str, Any]) -> bool:
    """Whether it is of a form in which `reason_of` and `is_last` know the end."""
    kind = str(value.get("type") or "")
    return bool({"choices", "candidates", "done"} & value.keys()) or kind.startswith("message_")


def is_last(value: dict[str, Any]) -> bool:
    """Whether nothing of the reply follows: usage by itself is the last that a provider sends."""
    if value.get("done") is True or value.get("type") == "message_stop":
        return True
    return bool(value.get("usage")) and value.get("choices") == []


def put_in_order(value: dict[str, Any]) -> bool:
    """Take out what litellm fails on, and put in what it needs; whether that changed anything."""
    odd = _counted(value)
    if "error" in value:  # it says that there is none
        odd = not value.pop("error")
    return ("choices" in value and _in_order(value)) or odd


def _counted(value: dict[str, Any]) -> bool:
    """Take out counts that are none; whether there were any."""
    message = value.get("message")
    places = [value, message] if isinstance(message, dict) else [value]
    odd = [
        (place, name)
        for place in places
        for name in _USAGE & place.keys()
        if _is_odd(name, place[name])
    ]
    for place, name in odd:
        del place[name]
    return bool(odd)


def _is_odd(name: str, count: object) -> bool:
    """Whether what stands for a count, or in a table of counts, cannot be one."""
    if name.endswith(_COUNTS):
        return isinstance(count, bool) or not isinstance(count, int)
    if name in _TABLES and count is not None:
        return not isinstance(count, dict) or any(
            _is_odd(inner, part)
            for inner, part in count.items()
            if part is not None or inner.endswith("TokenCount")
        )
    return False


def _in_order(chunk: dict[str, Any]) -> bool:
    """A chunk in OpenAI's form."""
    choices = chunk["choices"]
    kept = [choice for choice in _rows(choices) if choice.get("index") in (0, "0", None)]
    changed = not isinstance(choices, list) or len(kept) < len(choices)
    if changed:
        chunk["choices"] = kept
    for name, value in _CHUNK.items():
        if not isinstance(chunk.get(name), type(value)):
            chunk[name], changed = value, True
    for choice in kept:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            # Some servers send a whole message, or plain text, under a stream's name.
            message = choice.pop("message", None)
            text = {"content": choice["text"]} if isinstance(choice.get("text"), str) else {}
            delta = choice["delta"] = message if isinstance(message, dict) else text
            changed = True
        changed = _spelt_out(delta) or changed
    return changed


def _spelt_out(delta: dict[str, Any]) -> bool:
    """Text as one text and thoughts as another, where all parsers look for them; whether they
    stood anywhere else."""
    text, thought = delta.get("content"), delta.get("reasoning")
    found = ""
    if text is not None and not isinstance(text, str):
        delta["content"], found = _texts(text)
    elif text is None and isinstance(delta.get("refusal"), str):
        delta["content"] = delta["refusal"]
    for name in ("reasoning_content", "thinking"):
        if not thought and isinstance(told := delta.pop(name, None), str):
            found = found or told
    if not thought and not found and delta.get("reasoning_details"):
        details = _rows(delta["reasoning_details"])
        found = "".join(str(row.get("text") or row.get("summary") or "") for row in details)
    if found:
        delta["reasoning"] = found
    return bool(found) or text is not delta.get("content")


def _texts(parts: object) -> tuple[str, str]:
    """The text and the thoughts in a list of parts."""
    text, thought = "", ""
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, dict) and "thinking" in part:
            inner = part["thinking"]
            thought += inner if isinstance(inner, str) else "".join(_texts(inner))
        elif isinstance(part, dict):
            text += str(part.get("text") or "")
        elif part is not None:
            text += str(part)
    return text, thought


def _rows(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (row for row in value if isinstance(row, dict))
