"""A small server that speaks the OpenAI protocol, and misbehaves on purpose when told to.

It is the double of a model provider: litellm and HTTP stay real. Replies are found by model name
and used in order; the last one repeats. By hand:

    python -m tests.loopback.server --port 0 --script FILE

where FILE is JSON, `{"MODEL": [{"text": "...", "reasoning": "...", "form": "inline"}]}`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from tests.loopback import wires

Form = Literal["reasoning_content", "reasoning", "inline", "orphan", "unclosed", "none"]
Fault = Literal[
    "none",
    "html",
    "empty_body",
    "empty_choices",
    "no_choices",
    "never_starts",
    "stalls",
    "cut_before",
    "cut",
    "repeats",
    "broken_sse",
    "split_utf8",
    "null_deltas",
    "two_dones",
    "no_done",
    "tool_calls",
    "endless_reasoning",
    "error_in_stream",
    "hangs_up",
    "ends_early",
]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does with one request."""

    text: str = "Hello."
    """The answer."""
    reasoning: str = ""
    """What is thought first."""
    form: Form = "reasoning_content"
    """How the reasoning arrives."""
    status: int = 200
    """HTTP status; other than 200, `body` is sent as it is."""
    body: Any = None
    """The body of an error: text, or a value to be sent as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers, e.g. Retry-After."""
    chunk: int = 8
    """Characters in a delta."""
    finish_reason: str = "stop"
    """Why it ends."""
    usage: Literal["apart", "last", "none"] = "apart"
    """Whether usage comes in a chunk of its own, with the last one, or not at all."""
    reasoning_tokens: int | None = None
    """Count that usage tells; None: it does not."""
    cached_tokens: int | None = None
    """Prompt tokens that usage calls cached; None: it does not say."""
    tokens_per_s: float | None = None
    """Pace of the deltas; None: at once."""
    fault: Fault = "none"
    """How it misbehaves."""
    signature: str = "signed"
    """Of the thoughts, where the wire form has one."""
    when: str | None = None
    """Only for requests that hold this text."""


_OPENAI = "/chat/completions"
_WIRES: dict[str, Callable[[Reply], Iterable[bytes]]] = {
    _OPENAI: lambda _: (),
    "/v1/messages": lambda r: wires.anthropic(r.text, r.reasoning, r.signature, r.chunk),
    "/api/chat": lambda r: wires.ollama(r.text, r.reasoning, r.chunk),
    ":streamGenerateContent": lambda r: wires.google(r.text, r.reasoning, r.signature),
}
"""How a path is answered; all but OpenAI's form are without faults."""
_KINDS = {
    "/v1/messages": "text/event-stream",
    "/api/chat": "application/x-ndjson",
    ":streamGenerateContent": "text/event-stream",
}


class LoopbackServer:
    """Serves one script on 127.0.0.1; `requests` keeps what was asked."""

    def __init__(self, script: Mapping[str, Sequence[Reply]] | None = None) -> None:
        self.script: dict[str, list[Reply]] = {k: list(v) for k, v in (script or {}).items()}
        """Model name to its replies; `*` stands for every other model."""
        self.requests: list[dict[str, Any]] = []
        """Bodies of the chat requests, in order."""
        self.headers: list[dict[str, str]] = []
        """Their headers, lower case."""
        self.hung_up = asyncio.Event()
        """Set when a client closed a connection in the middle of a stream."""
        self.port = 0
        self._used: set[tuple[str, int]] = set()
        self._server: asyncio.Server | None = None
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def root(self) -> str:
        """The api_base for the forms of Anthropic, Ollama and Google."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        """The api_base for an OpenAI client."""
        return f"http://127.0.0.1:{self.port}/v1"

    def serve(self, model: str, *replies: Reply) -> None:
        """What a model answers from now on."""
        self.script[model] = list(replies)
        self._used = {used for used in self._used if used[0] != model}

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._stop.set()
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; False when the connection is to be closed."""
        first = await reader.read(1)
        if first == b"\x16":  # a TLS greeting; the answer is none
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return False
        line = (first + await reader.readline()).decode("latin-1").split()
        if len(line) < 2:
            return False
        headers: dict[str, str] = {}
        while (header := (await reader.readline()).decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = line[1].split("?")[0]
        if path.endswith("/models"):
            data = [{"id": name, "object": "model"} for name in self.script if name != "*"]
            await _send(writer, 200, json.dumps({"object": "list", "data": data}).encode())
            return True
        wire = next((end for end in _WIRES if path.endswith(end)), None)
        if wire is None:
            await _send(writer, 404, b'{"error": {"message": "no such path"}}')
            return True
        request = {"model": path.rpartition("/")[2].partition(":")[0], **json.loads(body)}
        self.requests.append(request)
        self.headers.append(headers)
        return await self._answer(self._reply(request), request, writer, wire)

    def _reply(self, request: dict[str, Any]) -> Reply:
        model = str(request.get("model", ""))
        name = model if model in self.script else "*"
        replies = self.script.get(name)
        if not replies:
            message = f"The model `{model}` does not exist"
            error = {"message": message, "type": "invalid_request_error", "code": "model_not_found"}
            return Reply(status=404, body={"error": error})
        held = json.dumps(request.get("messages", []), ensure_ascii=False)
        fitting = [n for n, reply in enumerate(replies) if reply.when is None or reply.when in held]
        fresh = [n for n in fitting if (name, n) not in self._used]
        if not fitting:
            return Reply(status=400, body={"error": {"message": "no reply of the script fits"}})
        number = fresh[0] if fresh else fitting[-1]
        self._used.add((name, number))
        return replies[number]

    async def _answer(
        self, reply: Reply, request: dict[str, Any], writer: asyncio.StreamWriter, wire: str
    ) -> bool:
        if reply.fault == "hangs_up":
            return False
        if reply.status != 200 or reply.fault in ("html", "empty_body"):
            body, kind = _error_body(reply)
            await _send(writer, reply.status, body, kind, reply.headers)
            return True
        if wire != _OPENAI:
            await _send(writer, 200, b"".join(_WIRES[wire](reply)), _KINDS[wire])
            return True
        if not request.get("stream"):
            await _send(writer, 200, json.dumps(_whole(reply, request)).encode())
            return True
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        writer.write((head + "Transfer-Encoding: chunked\r\n\r\n").encode("latin-1"))
        await writer.drain()
        async for piece in self._stream(reply, request):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        if reply.fault not in ("cut", "cut_before"):
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return False

    async def _stream(self, reply: Reply, request: dict[str, Any]) -> AsyncIterator[bytes]:
        if reply.fault == "cut_before":
            return
        if reply.fault == "never_starts":
            await self._stop.wait()
            return
        deltas = list(_deltas(reply))
        for number, delta in enumerate(deltas):
            if number == max(1, len(deltas) // 2):
                if reply.fault in ("cut", "ends_early"):
                    return
                if reply.fault == "stalls":
                    await self._stop.wait()
                    return
                if reply.fault == "broken_sse":
                    yield b'data: {"choices": [{"delta": {"content": "oops\n\nnonsense\n\n'
                if reply.fault == "error_in_stream":
                    error = {"message": "Overloaded", "type": "overloaded_error", "code": 529}
                    yield _event({"error": error})
                    return
            if reply.tokens_per_s:
                await asyncio.sleep(reply.chunk / 4 / reply.tokens_per_s)
            for piece in _cut(_event(_chunk(request, delta)), reply.fault):
                yield piece
        while reply.fault in ("repeats", "endless_reasoning") and not self._stop.is_set():
            yield _event(_chunk(request, deltas[-1])) * 50
            await asyncio.sleep(0)
        last = _chunk(request, {}, reply.finish_reason)
        if reply.usage == "last":
            last["usage"] = _usage(reply, request)
        yield _event(last)
        if reply.usage == "apart":
            yield _event({**_chunk(request, {}), "choices": [], "usage": _usage(reply, request)})
        if reply.fault != "no_done":
            yield b"data: [DONE]\n\n" * (2 if reply.fault == "two_dones" else 1)


def _deltas(reply: Reply) -> list[dict[str, Any]]:
    """The deltas of a whole reply, in order."""
    text, thought = reply.text, reply.reasoning
    inline = {
        "inline": "<think>{}</think>\n\n",
        "orphan": "{}</think>\n\n",
        "unclosed": "<think>{}",
    }
    if reply.form in inline:
        text = inline[reply.form].format(thought) + text
        thought = ""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if reply.form in ("reasoning", "reasoning_content"):
        deltas += [{reply.form: piece, "content": None} for piece in _pieces(thought, reply.chunk)]
    for piece in _pieces(text, reply.chunk):
        if reply.fault == "null_deltas":
            deltas.append({"content": None})
        deltas.append({"content": piece})
    if reply.fault == "tool_calls":
        call = {"index": 0, "id": "c1", "type": "function"}
        deltas.append({"tool_calls": [{**call, "function": {"name": "f", "arguments": "{}"}}]})
    if reply.fault == "empty_choices":
        return []
    return deltas


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _chunk(
    request: dict[str, Any], delta: dict[str, Any], finish_reason: str | None = None
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-loopback",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": request.get("model"),
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def _cut(data: bytes, fault: Fault) -> list[bytes]:
    """An event as it is written: whole, or a byte at a time so that characters are split."""
    return [bytes([byte]) for byte in data] if fault == "split_utf8" else [data]


def _whole(reply: Reply, request: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    for delta in _deltas(reply):
        for name in ("content", "reasoning", "reasoning_content"):
            message[name] = (message.get(name) or "") + (delta.get(name) or "")
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
    whole = {**_chunk(request, {}), "object": "chat.completion", "choices": [choice]}
    return whole if reply.usage == "none" else {**whole, "usage": _usage(reply, request)}


def _usage(reply: Reply, request: dict[str, Any]) -> dict[str, Any]:
    prompt = sum(len(str(m.get("content", ""))) // 4 + 4 for m in request.get("messages", []))
    completion = (len(reply.text) + len(reply.reasoning)) // 4 + 1
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if reply.reasoning_tokens is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reply.reasoning_tokens}
    if reply.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": reply.cached_tokens}
    return usage


def _error_body(reply: Reply) -> tuple[bytes, str]:
    if reply.fault == "html":
        return b"<html><body><h1>It works!</h1></body></html>", "text/html"
    if reply.fault == "empty_body":
        return b"", "application/json"
    if isinstance(reply.body, str):
        return reply.body.encode(), "text/plain"
    body = {"error": {"message": "it failed"}} if reply.body is None else reply.body
    return json.dumps(body).encode(), "application/json"


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> None:
    head = f"HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    writer.write((head + "\r\n").encode("latin-1") + body)
    await writer.drain()


def read_script(path: Path) -> dict[str, list[Reply]]:
    """A script from a JSON file."""
    known = {field.name for field in fields(Reply)}
    script: dict[str, list[Reply]] = {}
    for model, replies in json.loads(path.read_text(encoding="utf-8")).items():
        for reply in replies:
            if stray := set(reply) - known:
                raise SystemExit(f"{path}: a reply of {model} has unknown fields: {sorted(stray)}")
        script[model] = [Reply(**reply) for reply in replies]
    return script


async def _main(port: int, script: dict[str, list[Reply]]) -> None:
    server = LoopbackServer(script)
    await server.start(port)
    print(server.base, flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed")
    parser.add_argument("--script", type=Path, help="JSON: model name to a list of replies")
    args = parser.parse_args()
    script = read_script(args.script) if args.script else {"*": [Reply()]}
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(args.port, script))
    sys.exit(0)


if __name__ == "__main__":
    main()
