"""Tell what went wrong in a call: litellm's exceptions in our words, one line, without keys.

litellm hides the cause of many faults (a refused connection arrives as an internal server error),
so the chain of causes is walked, and what lies deepest decides.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from planner_app.models.port import ModelError, ModelErrorKind, model_error

_BY_STATUS: dict[int, ModelErrorKind] = {
    400: "bad_request",
    401: "auth",
    402: "quota",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    409: "server",
    413: "context_overflow",
    422: "bad_request",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}
_OVERFLOW = re.compile(
    r"context[ _](?:length|window)|maximum context|prompt is too long|too many (?:input )?tokens"
    r"|context_length_exceeded|input is too long|exceeds? the (?:available )?context"
    r"|maximum number of tokens|request too large|input token count.{0,40}exceeds",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"content[ _](?:filter|policy|management)|safety (?:system|policy)|moderation"
    r"|blocked by.{0,20}policy"
    r"|responsibleai",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient[ _](?:quota|balance|credits?|funds)|exceeded your current quota|billing"
    r"|credit balance",
    re.IGNORECASE,
)
_OVERLOADED = re.compile(r"overloaded|capacity|temporarily unavailable", re.IGNORECASE)
_SECRETS = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|or|hf|nvapi|AIza)[-_]?[A-Za-z0-9*_-]{12,}|\bAIza[\w-]{20,}"
    r"|(?i:bearer)\s+[\w.~+/=-]{8,}"
)
_PREFIXES = re.compile(
    r"^(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)\b\s*(?::|-)?\s*)+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Place:
    """Whom we talked to, for messages."""

    model: str
    """The model's name."""
    api_base: str | None
    """Its server's address, when one is set."""
    key: str | None = None
    """The key that was sent: taken out of messages, never shown."""

    def __repr__(self) -> str:
        return f"Place({self.model!r}, {self.api_base!r})"

    @property
    def server(self) -> str:
        """Who is to blame, in words; litellm takes the address from the environment, too."""
        provider = self.model.partition("/")[0].upper()
        named = (os.environ.get(f"{provider}_{ending}") for ending in ("API_BASE", "BASE_URL"))
        return self.api_base or next(filter(None, named), f"the provider of {self.model}")


def explain(
    error: BaseException, place: Place, *, streamed: bool, now: datetime | None = None
) -> ModelError:
    """The ModelError for whatever litellm raised. `now` is the wall clock, for Retry-After."""
    chain = list(_chain(error))
    status = _status(chain)
    text = plain_text(_deepest_text(chain), place)
    kind = _kind(chain, status, text)
    message, hint = _words(kind, text, place)
    return model_error(
        kind,
        message,
        hint,
        retryable=_retryable(kind, status),
        retry_after_s=_retry_after(chain, now or datetime.now(UTC)),
        status=status,
        streamed=streamed,
    )


def plain_text(text: str, place: Place) -> str:
    """One short line of a provider's words, without keys."""
    if place.key:
        text = text.replace(place.key, "***")
    text = _SECRETS.sub("***", text)
    text = re.sub(r"<[^>]{1,200}>", " ", text)
    text = " ".join(text.split())
    text = _PREFIXES.sub("", text)
    return text if len(text) <= 300 else text[:299] + "…"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _status(chain: list[BaseException]) -> int | None:
    """The HTTP status that the provider really sent; litellm invents one where there was none."""
    for error in reversed(chain):
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int) and type(error).__module__.startswith("openai"):
            return status
    if any(isinstance(error, (OSError, ValueError)) for error in chain):
        return None
    for error in chain:
        code = getattr(error, "status_code", None)
        if isinstance(code, int) and not _invented(chain):
            return code
    return None


def _invented(chain: list[BaseException]) -> bool:
    names = {type(error).__name__ for error in chain}
    return bool(
        names
        & {"MidStreamFallbackError", "APIConnectionError", "ConnectError", "ReadError",
           "ReadTimeout", "RemoteProtocolError", "ConnectTimeout", "ProtocolError"}
    )  # fmt: skip


def _deepest_text(chain: list[BaseException]) -> str:
    """The provider's own words: the message in the body, else of the outermost error."""
    for error in chain:
        body = getattr(error, "body", None)
        if isinstance(body, dict):
            inner = body.get("error", body)
            message = inner.get("message") if isinstance(inner, dict) else inner
            if isinstance(message, str) and message:
                return message
    text = getattr(chain[0], "message", None) or str(chain[0])
    for marker in ("Exception - ", "Original exception: "):
        text = str(text).split(marker)[1 if marker in str(text) else 0]
    return str(text)


def _kind(chain: list[BaseException], status: int | None, text: str) -> ModelErrorKind:
    names = {type(error).__name__ for error in chain}
    found = _connection_kind(chain, names)
    if found is not None:
        return found
    if "LLM Provider NOT provided" in text or "LiteLLMUnknownProvider" in names:
        return "unknown_model"
    if "ContextWindowExceededError" in names or (
        status in (None, 400, 413, 422, 429) and _OVERFLOW.search(text)
    ):
        return "context_overflow"
    if "ContentPolicyViolationError" in names or (
        status in (None, 400, 403, 422) and _POLICY.search(text)
    ):
        return "content_policy"
    if "repeating the same chunk" in text:
        return "too_long"
    if _QUOTA.search(text) and status in (None, 400, 402, 403, 429):
        return "quota"
    if status is not None:
        return _BY_STATUS.get(status, "server" if status >= 500 else "bad_request")
    if any(isinstance(error, json.JSONDecodeError) for error in chain):
        return "malformed_stream"
    if "MidStreamFallbackError" in names or "APIError" in names:
        return "overloaded" if _OVERLOADED.search(text) else "server"
    if "AuthenticationError" in names or "api_key" in text:
        return "auth"
    return "bad_request" if "BadRequestError" in names else "server"


def _connection_kind(chain: list[BaseException], names: set[str]) -> ModelErrorKind | None:
    for error in reversed(chain):
        if isinstance(error, ssl.SSLError):
            return "tls"
        if isinstance(error, socket.gaierror):
            return "dns"
        if isinstance(error, ConnectionRefusedError):
            return "refused"
    if names & {"ClientConnectorDNSError"}:
        return "dns"
    if names & {"ReadTimeout", "ConnectTimeout", "PoolTimeout", "WriteTimeout", "TimeoutError"}:
        return "timeout"
    if "APITimeoutError" in names and "APIStatusError" not in names:
        return "timeout"
    cut = {"ReadError", "RemoteProtocolError", "ClientPayloadError", "IncompleteRead"}
    if names & cut:
        return "cut_stream" if "MidStreamFallbackError" in names else "connection"
    if names & {"ConnectError", "ClientConnectorError", "ServerDisconnectedError"}:
        return "connection"
    return None


def _retryable(kind: ModelErrorKind, status: int | None) -> bool | None:
    if kind == "bad_request":
        return False
    return True if status in (408, 409) else None


def _words(kind: ModelErrorKind, text: str, place: Place) -> tuple[str, str]:
    server, model = place.server, place.model
    said = f": {text}" if text else ""
    match kind:
        case "refused":
            return f"nothing answers at {server}", f"is the server running at {server}?"
        case "dns":
            return f"the name of {server} is not known", "check the address and the network"
        case "tls":
            return f"no secure connection to {server}", "check http:// or https:// in api_base"
        case "connection" | "cut_stream":
            return f"the connection to {server} broke off", ""
        case "timeout":
            return f"{server} did not answer in time", ""
        case "auth":
            return f"the key for {model} was refused{said}", "check the key of its provider"
        case "forbidden":
            return f"{server} does not allow {model}{said}", "check the key's rights"
        case "not_found":
            return f"{server} does not know {model}{said}", "check the model's name and api_base"
        case "unknown_model":
            hint = "write it like deepseek/deepseek-reasoner or ollama_chat/NAME"
            return f"no provider is known for {model}", hint
        case "quota":
            return f"the account for {model} has no credit left{said}", "top it up or use another"
        case "rate_limited":
            return f"{server} asks to slow down{said}", ""
        case "overloaded":
            return f"{server} is overloaded{said}", ""
        case "context_overflow":
            return f"the conversation is too long for {model}{said}", ""
        case "content_policy":
            return f"the provider's content policy refused the request to {model}{said}", ""
        case "too_long":
            return f"{model} repeats itself without end", ""
        case "malformed_stream":
            return f"{server} sent what cannot be read", ""
        case "bad_request":
            return f"{server} refused the request to {model}{said}", ""
        case _:
            return f"{server} failed{said}", ""


def _retry_after(chain: list[BaseException], now: datetime) -> float | None:
    for error in chain:
        for headers in (
            getattr(error, "litellm_response_headers", None),
            getattr(getattr(error, "response", None), "headers", None),
            getattr(error, "headers", None),
        ):
            value = headers.get("retry-after") if isinstance(headers, Mapping) else None
            if isinstance(value, str) and (seconds := read_retry_after(value, now)) is not None:
                return seconds
    return None


def read_retry_after(value: str, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header, given in seconds or as a date; None: unreadable."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
