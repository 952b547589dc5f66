"""Tell what went wrong in a call: litellm's exceptions in our words, one line, without keys.

litellm hides the cause of many faults (a refused connection arrives as an internal server error),
so the chain of causes is walked, and what lies deepest decides.
"""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from planner_app.models.complaints import (
    Complaint,
    named_window,
    read_complaint,
    read_retry_after,
    read_seconds,
)
from planner_app.models.port import ModelError, ModelErrorKind
from planner_app.models.wire import StreamError

_BY_STATUS: dict[int, ModelErrorKind] = {
    **dict.fromkeys((301, 302, 303, 307, 308), "not_found"),
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
_BY_SIGN: tuple[tuple[str, int], ...] = (
    (r"rate_?limit|resource_exhausted|too_many_requests", 429),
    (r"authentication|invalid_api_key|unauthenticated|unauthorized", 401),
    (r"permission", 403),
    (r"not_?found", 404),
    (r"overloaded|\bunavailable", 529),
    (r"insufficient_|payment|billing", 402),
    (r"invalid_(?:request|argument|prompt)|bad_?request", 400),
)
"""What a provider's own code stands for where no HTTP status came with it, in a stream."""
_OVERFLOW = re.compile(
    r"context[ _](?:length|window|size|limit)|maximum (?:context|prompt)|prompt is too long"
    r"|too many (?:input )?tokens|input is too long|exceeds? the (?:available )?context"
    r"|maximum number of tokens|request (?:is )?too large|input token count.{0,40}exceeds"
    r"|reduce the length of the (?:messages|prompt|input)|max_new_tokens` must be"
    r"|prompt (?:provided )?is [\d,]+ tokens|longer than the (?:maximum )?(?:model|context)"
    r"|(?:exceeds|exceeded) (?:the )?(?:model token limit|max (?:context|length))"
    r"|range of input length|must have less than [\d,]+ tokens|prompt ?超长",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"content[ _](?:filter|policy|management)|safety (?:system|policy)|moderation|usage policy"
    r"|blocked by.{0,20}policy|blocked: \w|content_policy|responsibleai",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient[ _](?:quota|balance|credits?|funds)|exceeded your current quota|billing"
    r"|credit balance|requires more credits",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(
    r"api[ _]key (?:is )?(?:not valid|invalid|expired)|(?:invalid|incorrect)[ _](?:x-)?api[ _-]key"
    r"|api_key_invalid|missing (?:\w+ )?(?:api key|credentials)"
    r"|no key is set|_key is not set",
    re.IGNORECASE,
)
_NO_KEY = re.compile(r"missing|is not set|no key is set", re.IGNORECASE)
_OVERLOADED = re.compile(r"overloaded|capacity|temporarily unavailable", re.IGNORECASE)
_SECRETS = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|or|hf|nvapi|AIza)[-_]?[A-Za-z0-9*_-]{12,}|\bAIza[\w-]{20,}"
    r"|(?i:bearer)\s+[\w.~+/=-]{8,}|(?<=[?&]key=)[^\s&'\"]+"
    r"|\b[A-Za-z]{2,5}-[\w-]{0,40}(?:\*{2,}|\.{3}|…)[\w-]{0,12}"
    r"|[\w-]{0,12}\*{3,}[\w-]{0,12}"
)
"""What looks like a key, whole or with its middle left out."""
_SHORTEST_KEY = 8
"""A shorter one is a word such as `none`, for servers that want no key."""
_PREFIXES = re.compile(
    r"^(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)\b\s*(?::|-)?\s*"
    r"|(?:Error )?code: \d+(?: - )?\s*)+",
    re.IGNORECASE,
)
_NO_REPLY = "its reply is not one of a chat"
_UNEXPECTED = re.compile(r"Got unexpected response from Ollama: (\{.*\})", re.DOTALL)


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
    def address(self) -> str | None:
        """Where its server is; litellm takes that from the environment, too. None: it knows."""
        provider = self.model.partition("/")[0].upper()
        named = (os.environ.get(f"{provider}_{ending}") for ending in ("API_BASE", "BASE_URL"))
        return self.api_base or next(filter(None, named), None)

    @property
    def server(self) -> str:
        """Who is to blame, in words."""
        address = self.address
        return _without_secrets(address) if address else f"the provider of {self.model}"


def explain(
    error: BaseException, place: Place, *, streamed: bool, now: datetime | None = None
) -> ModelError:
    """The ModelError for whatever litellm raised. `now` is the wall clock, for Retry-After."""
    chain = list(_chain(error))
    complaint = _complaint(chain)
    status = _status(chain, complaint)
    delay = _retry_after(chain, now or datetime.now(UTC))
    delay = complaint.delay_s if delay is None else delay
    kind = _kind(chain, status, complaint, delay)
    message, hint = _words(kind, plain_text(complaint.text, place), place)
    made = ModelError(
        kind,
        message,
        hint,
        retryable=_retryable(kind, status),
        retry_after_s=delay,
        status=status,
        streamed=streamed,
    )
    if kind == "context_overflow":
        made.window = named_window(complaint.text)
    return made


def plain_text(text: str, place: Place) -> str:
    """One short line of a provider's words, without keys."""
    if place.key and len(place.key) >= _SHORTEST_KEY:
        text = text.replace(place.key, "***")
    text = _SECRETS.sub("***", text)
    text = re.sub(r"<(style|script|title)\b.*?</\1>|<[^>]{1,200}>", " ", text, flags=re.DOTALL)
    text = " ".join(text.split())
    text = _PREFIXES.sub("", text).rstrip(" .")
    return text if len(text) <= 300 else text[:299] + "…"


def _without_secrets(address: str) -> str:
    """An address without the name, password or key that may stand in it."""
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "its server"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _status(chain: list[BaseException], complaint: Complaint) -> int | None:
    """The HTTP status that the provider really sent; litellm invents one where there was none."""
    if _unreadable(chain):
        return None
    for error in reversed(chain):
        status = getattr(getattr(error, "response", None), "status_code", None)
        sent = type(error).__module__.startswith("openai") or "HTTPStatus" in type(error).__name__
        if isinstance(status, int) and sent:
            return status
    if _in_stream(chain) is not None:
        return complaint.status or next(
            (status for sign, status in _BY_SIGN if re.search(sign, complaint.signs)), None
        )
    if any(isinstance(error, (OSError, ValueError)) for error in chain) or _broken(chain):
        return None
    codes = (getattr(error, "status_code", None) for error in chain)
    return next((code for code in codes if isinstance(code, int)), None)


def _names(chain: list[BaseException]) -> set[str]:
    return {type(error).__name__ for error in chain}


def _in_stream(chain: list[BaseException]) -> StreamError | None:
    """The error that came as a piece of a stream, not as an answer of its own."""
    return next((error for error in chain if isinstance(error, StreamError)), None)


_NOT_HTTP = frozenset(
    {"BadHttpMessage", "BadStatusLine", "LineTooLong", "InvalidHeader", "ContentEncodingError",
     "ClientResponseError", "DecodingError"}
)  # fmt: skip


def _unreadable(chain: list[BaseException]) -> bool:
    """Whether what came is no HTTP, not compressed as it says, or no event."""
    streamed = _in_stream(chain)
    return bool(_names(chain) & _NOT_HTTP) or (streamed is not None and streamed.body is None)


def _broken(chain: list[BaseException]) -> bool:
    return bool(
        _names(chain)
        & {"MidStreamFallbackError", "APIConnectionError", "ConnectError", "ReadError",
           "ReadTimeout", "RemoteProtocolError", "ConnectTimeout", "ProtocolError", "KeyError"}
    )  # fmt: skip


def _complaint(chain: list[BaseException]) -> Complaint:
    """The provider's own words: those in the body, else those of the deepest error that has any."""
    if (streamed := _in_stream(chain)) is not None:
        complaint = read_complaint(streamed.body)
        return complaint if complaint.text else replace(complaint, text=_NO_REPLY)
    for error in chain:
        body = getattr(error, "body", None)
        answered = body or getattr(error, "response", None) is not None
        if type(error).__module__.startswith("openai") and answered:
            return read_complaint(body)
    text = str(getattr(chain[0], "message", None) or chain[0])
    for error in chain:
        if type(error).__module__.startswith("litellm.llms"):
            text = str(getattr(error, "message", None) or error)
            break
    for marker in ("Exception - ", "Original exception: "):
        text = text.split(marker)[1 if marker in text else 0]
    if found := _UNEXPECTED.search(text):
        text = json.dumps(_literal(found.group(1)))
    text = text.partition("Traceback (most recent call last)")[0]
    if "provider returned 'choices'" in text:
        text = _NO_REPLY
    return read_complaint(_PREFIXES.sub("", text))


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _kind(
    chain: list[BaseException], status: int | None, complaint: Complaint, delay: float | None
) -> ModelErrorKind:
    names, text = _names(chain), complaint.text
    told = f"{text} {complaint.signs}"
    if _unreadable(chain):
        return "malformed_stream"
    found = _connection_kind(chain, names)
    if found is not None:
        return found
    if "LLM Provider NOT provided" in text or "LiteLLMUnknownProvider" in names:
        return "unknown_model"
    if "ContextWindowExceededError" in names or (
        status in (None, 400, 413, 422, 429) and _OVERFLOW.search(told)
    ):
        return "context_overflow"
    if "ContentPolicyViolationError" in names or (
        status in (None, 400, 403, 422) and _POLICY.search(told)
    ):
        return "content_policy"
    if "repeating the same chunk" in text:
        return "too_long"
    if status in (None, 400, 403, 500) and _BAD_KEY.search(told):
        return "auth"
    if _never_sent(chain):
        return "bad_request"
    # Who says when to come again means a pace, whatever it calls it.
    if _QUOTA.search(told) and status in (None, 400, 402, 403, 429) and delay is None:
        return "quota"
    if status is not None and status >= 500 and _OVERLOADED.search(told):
        return "overloaded"
    if status is not None:
        return _BY_STATUS.get(status, "server" if status >= 500 else "bad_request")
    if any(isinstance(error, json.JSONDecodeError) for error in chain):
        return "malformed_stream"
    if "MidStreamFallbackError" in names or "APIError" in names:
        return "overloaded" if _OVERLOADED.search(told) else "server"
    if "AuthenticationError" in names or "api_key" in text:
        return "auth"
    return "bad_request" if "BadRequestError" in names and "KeyError" not in names else "server"


def _never_sent(chain: list[BaseException]) -> bool:
    """Whether litellm itself could not make the request: a package that is not there, a name that
    it cannot take apart. No later try will fare better."""
    if isinstance(chain[-1], ImportError):
        return True
    read = isinstance(chain[-1], (json.JSONDecodeError, UnicodeDecodeError))
    in_stream = "MidStreamFallbackError" in _names(chain)
    return isinstance(chain[-1], (ValueError, TypeError)) and not read and not in_stream


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
            if _NO_KEY.search(text):
                return f"there is no key for {model}{said}", "set it in its provider's variable"
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
            if not isinstance(headers, Mapping):
                continue
            finer = read_seconds(headers.get("retry-after-ms"))
            if finer is not None:
                return finer / 1000
            value = headers.get("retry-after")
            if isinstance(value, str) and (seconds := read_retry_after(value, now)) is not None:
                return seconds
    return None
