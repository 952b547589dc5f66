"""What providers say when they refuse: told in their own words, and rightly named.

Every body is in the style of a real provider (synthetic, after their public docs), and goes through
real litellm and real HTTP.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.models.call import Bounds
from planner_app.models.complaints import named_window, read_complaint, spoken_delay
from planner_app.models.faults import Place, plain_text
from planner_app.models.litellm_client import LiteLLMClient
from planner_app.models.port import ModelError
from tests.loopback.server import Fault, LoopbackServer, Reply
from tests.models.calls import Heard, ask, real_client

BOUNDS = {
    "never_starts": Bounds(first_piece_s=0.5),
    "stalls": Bounds(first_piece_s=2.0, idle_s=0.5),
}
KEY = "sk-proj-canary0123456789canary0123-wxyz"


def err(message: Any, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def google(code: int, message: str, status: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": [*details]}}


def ollama(message: str) -> dict[str, str]:
    return {"error": message}


def openrouter(code: int, raw: str) -> dict[str, Any]:
    metadata = {"raw": raw, "provider_name": "DeepInfra"}
    return err("Provider returned error", code=code, metadata=metadata)


def mistral(*problems: tuple[str, str]) -> dict[str, Any]:
    return {"detail": [{"loc": ["body", field], "msg": said} for field, said in problems]}


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
LENGTH = "This model's maximum context length is 8192 tokens, you sent 9000."

# Name: status, body, kind, what a person reads of it.
BODIES: dict[str, tuple[int, Any, str, str]] = {
    "OpenAI": (400, err("Invalid value for 'messages'", param="messages"), "bad_request",
               "refused the request to openai/some-model: Invalid value for 'messages'"),
    "Anthropic": (400, anthropic("invalid_request_error", "messages: too few"), "bad_request",
                  "refused the request to openai/some-model: messages: too few"),
    "Google": (400, google(400, "Invalid JSON payload", "INVALID_ARGUMENT"), "bad_request",
               ": Invalid JSON payload"),
    "Google in a list": (400, [google(400, "Bad value", "INVALID_ARGUMENT")], "bad_request",
                         ": Bad value"),
    "DeepSeek": (400, err("Failed to deserialize the JSON body"), "bad_request", "deserialize"),
    "OpenRouter": (400, openrouter(400, '{"error": {"message": "no such tool"}}'), "bad_request",
                   ": no such tool"),
    "Ollama": (400, ollama('"qwq" does not support thinking'), "bad_request",
               ': "qwq" does not support thinking'),
    "vLLM": (400, {"object": "error", "message": "bad top_k", "code": 400}, "bad_request",
             ": bad top_k"),
    "Mistral": (422, mistral(("temperature", "too high"), ("top_p", "too low")), "bad_request",
                ": temperature: too high; top_p: too low"),
    "Mistral within": (422, {"object": "error", "message": mistral(("n", "missing"))},
                       "bad_request", ": n: missing"),
    "plain text": (400, "no", "bad_request", ": no"),
    "nothing": (400, "", "bad_request", "refused the request to openai/some-model"),
    "null": (400, {"error": None}, "bad_request", "refused the request to openai/some-model"),
    "a list of numbers": (400, [1, 2], "bad_request", "refused the request to openai/some-model"),
    "OpenAI's key": (401, err("Incorrect API key provided", code="invalid_api_key"), "auth",
                     "the key for openai/some-model was refused"),
    "Google's key": (400, google(400, "API key not valid", "INVALID_ARGUMENT"), "auth",
                     "API key not valid; check the key"),
    "DeepSeek's balance": (402, err("Insufficient Balance"), "quota", "Insufficient Balance; top"),
    "Anthropic's balance": (400, anthropic("invalid_request_error", "Your credit balance is low."),
                            "quota", "Your credit balance is low; top it up"),
    "OpenRouter's balance": (402, err("This request requires more credits", code=402), "quota",
                             "no credit left"),
    "OpenAI's quota": (429, err("You exceeded your current quota", type="insufficient_quota"),
                       "quota", "no credit left"),
    "Google's pace": (429, google(429, "You exceeded your current quota.", "RESOURCE_EXHAUSTED",
                                  RETRY_INFO), "rate_limited", "asks to slow down"),
    "OpenAI's pace": (429, err("Rate limit reached. Please try again in 6.2s.", type="tokens"),
                      "rate_limited", "asks to slow down"),
    "OpenRouter's pace": (429, openrouter(429, "x is temporarily rate-limited upstream"),
                          "rate_limited", "temporarily rate-limited upstream"),
    "OpenAI's country": (403, err("Country not supported"), "forbidden", "Country not supported"),
    "a guard's page": (403, "<html><h1>403</h1>guard</html>", "forbidden", "403 guard; check"),
    "vLLM's model": (404, err("The model `x` does not exist."), "not_found", "not exist; check"),
    "Ollama's model": (404, ollama("model 'x' not found, try pulling it first"), "not_found",
                       "try pulling it first"),
    "a wrong path": (404, "<html><title>404</title><h1>Not Found</h1></html>", "not_found",
                     "Not Found; check the model's name and api_base"),
    "nginx": (502, "<html><title>502</title><h1>502 Bad Gateway</h1></html>", "server",
              "failed: 502 Bad Gateway"),
    "llama.cpp loads": (503, err("Loading model", code=503), "overloaded", ": Loading model"),
    "Ollama's memory": (500, ollama("model requires more system memory"), "server", "more system"),
    "Azure's filter": (400, err("The prompt triggered it.", code="content_filter",
                                innererror={"code": "ResponsibleAIPolicyViolation"}),
                       "content_policy", "content policy refused"),
    "OpenAI's policy": (400, err("flagged as violating our usage policy", code="invalid_prompt"),
                        "content_policy", "usage policy"),
    "OpenRouter's policy": (403, err("x requires moderation"), "content_policy", "moderation"),
    "Google's policy": (400, {"promptFeedback": {"blockReason": "SAFETY"}}, "content_policy",
                        "blocked: SAFETY"),
}  # fmt: skip

OVERFLOWS: dict[str, tuple[int, Any, int | None]] = {
    "OpenAI": (400, err(LENGTH, code="context_length_exceeded"), 8192),
    "OpenAI by its code": (400, err("Too long.", code="context_length_exceeded"), None),
    "Anthropic": (400, anthropic("x", "prompt is too long: 21000 tokens > 20000 maximum"), 20000),
    "Anthropic with the reply": (400, anthropic("x", "input length and `max_tokens` exceed context "
                                 "limit: 190000 + 20000 > 200000, decrease"), 200000),
    "Anthropic's size": (413, anthropic("request_too_large", "Request exceeds the size"), None),
    "Google": (400, google(400, "The input token count (1200000) exceeds the maximum number of "
                           "tokens allowed (1048576).", "INVALID_ARGUMENT"), 1048576),
    "DeepSeek": (400, err("This model's maximum context length is 65536 tokens. However"), 65536),
    "OpenRouter": (400, openrouter(400, '{"error": {"message": "maximum context length is 8192"}}'),
                   8192),
    "Groq": (400, err("Please reduce the length of the messages or completion."), None),
    "xAI": (400, {"code": "x", "error": "The model's maximum prompt length is 13107 but"}, 13107),
    "Mistral": (400, {"object": "error", "message": "Prompt contains 40000 tokens, too large for "
                      "model with 32768 maximum context length"}, 32768),
    "vLLM": (400, err("'max_tokens' is too large: 32000. This model's maximum context length is "
                      "32768 tokens"), 32768),
    "llama.cpp": (400, err("the request exceeds the available context size", n_ctx=2048), None),
    "LM Studio": (400, ollama("the model is loaded with context length of only 4096 tokens"), 4096),
    "Ollama": (400, ollama("the input length exceeds the context length"), None),
    "Cohere": (400, {"message": "too many tokens: the prompt cannot exceed 4081"}, 4081),
    "Together": (422, err("`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5"), 4097),
    "Bedrock": (400, {"message": "Input is too long for requested model."}, None),
    "vLLM 2": (400, err("(length 9000) is longer than the maximum model length of 8192"), 8192),
    "DashScope": (400, err("Range of input length should be [1, 30720]"), 30720),
    "Moonshot": (400, err("Your request exceeded model token limit: 8192"), 8192),
    "Zhipu": (400, err("Prompt 超长"), None),
    "Zhipu, abroad": (400, err("Prompt exceeds max length"), None),
    "TGI": (422, ollama("`inputs` must have less than 4095 tokens. Given: 5000"), 4095),
    "in a stream": (200, err("maximum context length is 4096", code=400), 4096),
}  # fmt: skip


async def refusal(
    loopback: LoopbackServer, reply: Reply, name: str = "openai/some-model", root: bool = False
) -> ModelError:
    """What a call to a server that does this raises."""
    loopback.serve("*", reply)
    client = real_client(bounds=BOUNDS.get(reply.fault, Bounds()), key_for=lambda _: KEY)
    base = loopback.root if root else loopback.base
    with pytest.raises(ModelError) as caught:
        await client.complete(ask(name, api_base=base, max_tokens=3000), Heard().deltas.append)
    await client.aclose()
    assert "\n" not in str(caught.value)
    assert "{" not in str(caught.value), "a raw body"
    return caught.value


@pytest.mark.parametrize("name", BODIES)
async def test_a_complaint_is_told_in_its_provider_s_words(
    loopback: LoopbackServer, name: str
) -> None:
    status, body, kind, says = BODIES[name]
    error = await refusal(loopback, Reply(status=status, body=body))
    assert (error.kind, error.status) == (kind, status)
    assert says in str(error)


@pytest.mark.parametrize("name", OVERFLOWS)
async def test_a_conversation_that_is_too_long_is_known_by_every_provider_s_words(
    loopback: LoopbackServer, name: str
) -> None:
    status, body, window = OVERFLOWS[name]
    reply = Reply(status=status, body=body)
    if status == 200:
        reply = Reply(fault="error_first", body=body["error"])
    error = await refusal(loopback, reply)
    assert (error.kind, error.retryable, error.window) == ("context_overflow", False, window)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "2"}, err("slow"), 1.5),
        ({}, google(429, "slow", "RESOURCE_EXHAUSTED", RETRY_INFO), 34.0),
        ({}, err("Rate limit reached. Please try again in 1m30.5s."), 90.5),
        ({"retry-after": "9"}, err("try again in 3s"), 9.0),
        ({"retry-after": "inf"}, err("slow"), None),
    ],
)
async def test_how_long_to_wait_is_read_wherever_it_stands(
    loopback: LoopbackServer, headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    error = await refusal(loopback, Reply(status=429, body=body, headers=headers))
    assert (error.kind, error.retry_after_s) == ("rate_limited", seconds)


# --- other wire forms ----------------------------------------------------------------------------

CLAUDE, GEMINI, QWEN = "anthropic/claude-opus-4-8", "gemini/gemini-3-pro", "ollama_chat/qwen2.5"

ANSWERED: list[tuple[str, int, Any, str, str]] = [
    (CLAUDE, 400, anthropic("invalid_request_error", "max_tokens: wrong"), "bad_request", "wrong"),
    (CLAUDE, 401, anthropic("authentication_error", "invalid x-api-key {key}"), "auth", "x-api"),
    (CLAUDE, 404, anthropic("not_found_error", "model: claude-x"), "not_found", "model: claude-x"),
    (CLAUDE, 429, anthropic("rate_limit_error", "too fast"), "rate_limited", "too fast"),
    (CLAUDE, 529, anthropic("overloaded_error", "Overloaded"), "overloaded", "Overloaded"),
    (CLAUDE, 400, anthropic("x", "prompt is too long: 3 > 2 maximum"), "context_overflow", ""),
    (GEMINI, 400, google(400, "API key not valid. {key}", "INVALID_ARGUMENT"), "auth", "not valid"),
    (GEMINI, 403, google(403, "Denied: {key}", "PERMISSION_DENIED"), "forbidden", "Denied"),
    (GEMINI, 404, google(404, "no models/x", "NOT_FOUND"), "not_found", "no models/x"),
    (GEMINI, 429, google(429, "quota", "RESOURCE_EXHAUSTED", RETRY_INFO), "rate_limited", "quota"),
    (GEMINI, 503, google(503, "The model is overloaded.", "UNAVAILABLE"), "overloaded", "overload"),
    (GEMINI, 502, "<html>bad</html>", "server", "bad"),
    (QWEN, 404, ollama('model "q" not found, try pulling it'), "not_found", "try pulling it"),
    (QWEN, 503, ollama("server busy, please try again"), "overloaded", "server busy"),
    (QWEN, 500, ollama("model requires more system memory"), "server", "more system memory"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "body", "kind", "says"), ANSWERED)
async def test_every_provider_s_own_protocol_tells_what_is_wrong(
    loopback: LoopbackServer, name: str, status: int, body: Any, kind: str, says: str
) -> None:
    error = await refusal(loopback, Reply(status=status, body=body), name, root=True)
    assert (error.kind, error.status) == (kind, status)
    assert says in str(error)
    assert KEY not in str(error)


WORDS = "word one two three four five six seven eight nine ten "
OVERLOADED = {"type": "overloaded_error", "code": 503, "status": "UNAVAILABLE",
              "message": "The model is overloaded"}  # fmt: skip


@pytest.mark.parametrize("name", [CLAUDE, GEMINI, QWEN])
@pytest.mark.parametrize(
    ("fault", "kinds", "streamed"),
    [
        ("error_first", {"overloaded", "server"}, False),
        ("error_in_stream", {"overloaded", "server"}, True),
        ("cut_before", {"cut_stream"}, False),
        ("cut", {"cut_stream"}, True),
        ("ends_early", {"cut_stream"}, True),
        ("never_starts", {"timeout"}, False),
        ("stalls", {"timeout"}, True),
        ("empty_body", {"empty"}, False),
    ],
)
async def test_every_protocol_s_streams_may_break_and_are_tried_again(
    loopback: LoopbackServer, name: str, fault: Fault, kinds: set[str], streamed: bool
) -> None:
    reply = Reply(WORDS, fault=fault, body=OVERLOADED)
    error = await refusal(loopback, reply, name, root=True)
    assert error.kind in kinds, str(error)
    assert (error.retryable, error.streamed) == (True, streamed)
    assert (error.usage is not None) is streamed


@pytest.mark.parametrize("name", [CLAUDE, GEMINI, QWEN])
@pytest.mark.parametrize(
    ("reason", "told"), [("length", "length"), ("weird", "weird"), ("content_filter", None)]
)
async def test_why_a_reply_ended_is_told_alike(
    loopback: LoopbackServer, client: LiteLLMClient, name: str, reason: str, told: str | None
) -> None:
    loopback.serve("*", Reply(WORDS, finish_reason=reason))
    request = ask(name, api_base=loopback.root, max_tokens=3000)
    if told is None:
        with pytest.raises(ModelError) as caught:
            await client.complete(request, Heard().deltas.append)
        assert caught.value.kind == "content_policy"
        return
    reply = await client.complete(request, Heard().deltas.append)
    assert (reply.text, reply.finish_reason) == (WORDS, told)


async def test_a_server_that_cannot_stream_is_asked_without_from_then_on(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard
) -> None:
    loopback.serve("*", Reply(WORDS, "I think.", fault="ignores_stream"))
    request = ask("openai/some-model", api_base=loopback.base)
    for _ in range(2):
        reply = await client.complete(request, heard.deltas.append)
        assert (reply.text, reply.reasoning, reply.finish_reason) == (WORDS, "I think.", "stop")
        assert (reply.usage.source, reply.dropped_params) == ("provider", ("stream",))
    assert ["stream" in sent for sent in loopback.requests] == [True, False, False]


@pytest.mark.parametrize(
    ("said", "left_out"),
    [
        ("Unsupported value: 'stream' does not support true with this model.", "stream"),
        ("Unrecognized request argument supplied: stream_options", "stream_options"),
    ],
)
async def test_a_server_that_refuses_to_stream_or_to_count_gets_its_way(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, said: str, left_out: str
) -> None:
    loopback.serve("*", Reply(status=400, body=err(said)), Reply(WORDS))
    request = ask("openai/some-model", api_base=loopback.base)
    reply = await client.complete(request, heard.deltas.append)
    assert (reply.text, reply.dropped_params) == (WORDS, (left_out,))
    assert left_out not in loopback.requests[1]


# --- reading -------------------------------------------------------------------------------------

JSONS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "msg", "loc", "code", "metadata", "raw",
                             "retryDelay", "blockReason", "status"]) | st.text(max_size=5),
            inner, max_size=4,
        )
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSONS | st.text() | st.binary())
def test_no_body_is_too_odd_to_be_read(body: Any) -> None:
    complaint = read_complaint(body)
    assert len(complaint.text) <= 10_000
    assert complaint.delay_s is None or complaint.delay_s >= 0


@pytest.mark.parametrize(
    "text", ["9" * 50_000, "[" * 50_000, "*" * 50_000, "try again in " * 9_000]
)
def test_no_body_takes_long_to_be_read(text: str) -> None:
    place = Place("m", None)
    assert len(plain_text(read_complaint(text).text, place)) <= 300
    assert named_window(text[:10_000]) is None
    assert spoken_delay(text[:10_000]) is None


@pytest.mark.parametrize(
    "text",
    [f"bad key {KEY}", f"bad key {KEY[:8]}****{KEY[-4:]}", f"bad key {KEY[:3]}...{KEY[-4:]}",
     f"bad key {KEY[:7]}…{KEY[-4:]}", "Your api key: ****wxyz is invalid", f"at /v1?key={KEY}&x=1"],
)  # fmt: skip
def test_neither_a_key_nor_its_ends_are_ever_told(text: str) -> None:
    for known in (KEY, None):
        told = plain_text(text, Place("m", None, known))
        assert "***" in told
        assert "wxyz" not in told


def test_an_address_is_told_without_the_password_in_it() -> None:
    place = Place("openai/m", "https://me:secret-word@host:8443/v1?key=secret-word")
    assert place.server == "https://host:8443/v1"


async def test_what_litellm_says_of_a_missing_key_is_no_failure_of_a_server() -> None:
    for name in ("openai/gpt-4o", "gemini/gemini-2.5-pro", "anthropic/claude-sonnet-4-5"):
        client = real_client()
        with pytest.raises(ModelError) as caught:
            await client.complete(ask(name), Heard().deltas.append)
        await client.aclose()
        assert (caught.value.kind, caught.value.retryable) == ("auth", False)
        assert "Traceback" not in str(caught.value)
