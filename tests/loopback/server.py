"""A small server that speaks providers' protocols, and misbehaves on purpose when told to.

It is the double of a model provider: litellm and HTTP stay real. Replies are found by model name
and used in order; the last one repeats. By hand:

    python -m tests.loopback.server --port 0 --script FILE

where FILE is JSON, `{"MODEL": [{"text": "...", "reasoning": "...", "form": "inline"}]}`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.loopback.replies import Fault, Form, Framing, Reply, read_script
from tests.loopback.wires import OPENAI, WIRES, Wire, openai_whole

__all__ = ["Fault", "Form", "LoopbackServer", "Reply"]

_OVERLOADED = {"message": "Overloaded", "type": "overloaded_error", "code": 529}


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
        self.most_at_once = 0
        """Most requests that were being answered at the same time."""
        self.port = 0
        self._busy = 0
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
        wire = next((wire for wire in WIRES if path.endswith(wire.path)), None)
        if wire is None:
            await _send(writer, 404, b'{"error": {"message": "no such path"}}')
            return True
        request = {"model": path.rpartition("/")[2].partition(":")[0], **json.loads(body)}
        self.requests.append(request)
        self.headers.append(headers)
        reply = _with_key(self._reply(request), headers)
        self._busy += 1
        self.most_at_once = max(self.most_at_once, self._busy)
        try:
            return await self._answer(reply, request, writer, wire)
        finally:
            self._busy -= 1

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
        self, reply: Reply, request: dict[str, Any], writer: asyncio.StreamWriter, wire: Wire
    ) -> bool:
        if reply.fault == "hangs_up":
            return False
        if reply.status != 200 or reply.fault in ("html", "empty_body", "other_json", "cut_body"):
            body, kind = _error_body(reply)
            missing = 100 if reply.fault == "cut_body" else 0
            await _send(writer, reply.status, body, kind, reply.headers, missing)
            return not missing
        if wire is OPENAI and (not request.get("stream") or reply.fault == "ignores_stream"):
            whole = json.dumps(openai_whole(reply, request)).encode()
            await _send(writer, 200, whole, headers=reply.headers)
            return True
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {wire.kind}\r\nConnection: close\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        writer.write((head + "Transfer-Encoding: chunked\r\n\r\n").encode("latin-1"))
        await writer.drain()
        async for piece in self._stream(reply, request, wire):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        if reply.fault not in ("cut", "cut_before"):
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return False

    async def _stream(
        self, reply: Reply, request: dict[str, Any], wire: Wire
    ) -> AsyncIterator[bytes]:
        """The stream as it is written, up to where it misbehaves."""
        if reply.fault == "cut_before":
            return
        if reply.fault == "never_starts":
            await self._stop.wait()
            return
        pieces = list(wire.pieces(reply, request))
        fault = wire.fault(reply.body or _OVERLOADED)
        if reply.fault == "error_first":
            yield fault
            return
        if reply.framing == "at_once":
            yield b"".join(pieces)
            return
        half = max(1, (len(pieces) - 1) // 2)
        for number, piece in enumerate(pieces):
            if number == half:
                if reply.fault in ("cut", "ends_early"):
                    return
                if reply.fault == "stalls":
                    await self._stop.wait()
                    return
                if reply.fault == "broken_event":
                    yield piece[: len(piece) // 2] + piece[len(piece.rstrip()) :]
                    continue
                if reply.fault == "broken_sse":
                    yield b'data: {"choices": [{"delta": {"content": "oops\n\nnonsense\n\n'
                if reply.fault == "error_in_stream":
                    yield fault
                    return
                while reply.fault in ("repeats", "endless_reasoning") and not self._stop.is_set():
                    yield pieces[number - 1] * 50
                    await asyncio.sleep(0)
            if reply.tokens_per_s:
                await asyncio.sleep(reply.chunk / 4 / reply.tokens_per_s)
            for part in _cut(_framed(piece, reply.framing, number), reply.fault):
                yield part


def _with_key(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """The reply with the key that the client sent, where a body names it."""
    if "{key}" not in json.dumps(reply.body):
        return reply
    sent = headers.get("authorization", "").removeprefix("Bearer ")
    key = sent or headers.get("x-api-key") or headers.get("x-goog-api-key") or ""
    return dataclasses.replace(reply, body=json.loads(json.dumps(reply.body).replace("{key}", key)))


def _framed(event: bytes, framing: Framing, number: int) -> bytes:
    """An event in another of the ways in which servers write them; `number` is its place."""
    match framing:
        case "bom":
            return event if number else b"\xef\xbb\xbf" + event
        case "no_blank_lines":
            return event.rstrip() + b"\n"
        case "many_blank_lines":
            return b"\n\n" + event + b"\n"
        case "no_space":
            return event.replace(b"data: ", b"data:")
        case "crlf":
            return event.replace(b"\n", b"\r\n")
        case "cr":
            return event.replace(b"\n", b"\r")
        case "comments":
            return b": keep-alive\n\n" + event
        case "named":
            return b"event: chunk\nid: 7\nretry: 100\n" + event
        case "multiline" if event.startswith(b"data: {"):
            lines = json.dumps(json.loads(event[6:]), indent=1).encode().split(b"\n")
            return b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"
    return event


def _cut(data: bytes, fault: Fault) -> list[bytes]:
    """An event as it is written: whole, or a byte at a time so that characters are split."""
    return [bytes([byte]) for byte in data] if fault == "split_utf8" else [data]


def _error_body(reply: Reply) -> tuple[bytes, str]:
    if reply.fault == "html":
        return b"<html><body><h1>It works!</h1></body></html>", "text/html"
    if reply.fault == "empty_body":
        return b"", "application/json"
    if reply.fault == "other_json":
        other = reply.body or {"object": "list", "data": []}
        return json.dumps(other).encode(), "application/json"
    if isinstance(reply.body, str):
        return reply.body.encode(), "text/html" if "<html" in reply.body else "text/plain"
    body = {"error": {"message": "it failed"}} if reply.body is None else reply.body
    return json.dumps(body).encode(), "application/json"


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
    missing: int = 0,
) -> None:
    """`missing`: bytes that are announced and never sent."""
    size = len(body) + missing
    head = f"HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    writer.write((head + "\r\n").encode("latin-1") + body)
    await writer.drain()


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
