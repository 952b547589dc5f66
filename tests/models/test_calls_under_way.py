"""A call that is under way: what ends it, what it waits for, and what it holds up meanwhile."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from planner_app.models.call import Bounds
from planner_app.models.litellm_client import LiteLLMClient
from planner_app.models.port import ModelError
from planner_app.models.repeats import LONGEST, WINDOW, Repeats
from tests.loopback.server import LoopbackServer, Reply
from tests.models.calls import Heard, ask, real_client

PLAIN = "openai/plain-model"
Say = Callable[[dict[str, object]], Awaitable[None]]


@asynccontextmanager
async def serving(
    speak: Callable[[Say], Awaitable[None]],
) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server whose one stream is what `speak` says; its address, and when its client left."""
    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(delta: dict[str, object]) -> None:
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            choice = {"index": 0, "delta": delta, "finish_reason": delta.pop("finish", None)}
            data = b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"
            writer.write(data)
            await writer.drain()

        async def watch() -> None:
            while await reader.read(65536):
                pass
            left.set()

        await reader.readuntil(b"\r\n\r\n")
        watcher = asyncio.create_task(watch())
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        try:
            writer.write(head)
            await speak(say)
        except ConnectionError:
            left.set()
        finally:
            watcher.cancel()
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", left
    finally:
        server.close()


async def test_a_call_cancelled_before_its_first_piece_closes_its_connection(
    client: LiteLLMClient,
) -> None:
    reached, forever = asyncio.Event(), asyncio.Event()

    async def silent(_: Say) -> None:
        reached.set()
        await forever.wait()

    async with serving(silent) as (base, left):
        call = asyncio.create_task(client.complete(ask(PLAIN, api_base=base), print))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(left.wait(), 5)
        forever.set()


async def test_silence_after_an_empty_beginning_is_thinking_and_not_a_stalled_stream(
    heard: Heard,
) -> None:
    async def ponders(say: Say) -> None:
        await say({"role": "assistant", "content": ""})
        await asyncio.sleep(1.0)
        await say({"content": "Done."})
        await say({"finish": "stop"})

    client = real_client(bounds=Bounds(first_piece_s=10.0, idle_s=0.5))
    async with serving(ponders) as (base, _):
        reply = await client.complete(ask(PLAIN, api_base=base), heard.deltas.append)
    await client.aclose()
    assert reply.text == "Done."


async def test_a_model_with_hidden_thoughts_may_be_silent_up_to_the_deadline(heard: Heard) -> None:
    async def ponders(say: Say) -> None:
        await asyncio.sleep(1.0)
        await say({"content": "Done."})
        await say({"finish": "stop"})

    client = real_client(bounds=Bounds(first_piece_s=0.5))
    async with serving(ponders) as (base, _):
        reply = await client.complete(ask("openai/o3", api_base=base), heard.deltas.append)
        assert reply.text == "Done."
        with pytest.raises(ModelError) as caught:
            await client.complete(ask(PLAIN, api_base=base), heard.deltas.append)
    await client.aclose()
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize(("name", "ends"), [(PLAIN, False), ("openai/claude-opus-4-8", True)])
async def test_a_model_that_summarises_its_thoughts_may_fall_silent_between_two_pieces(
    heard: Heard, name: str, ends: bool
) -> None:
    async def ponders(say: Say) -> None:
        await say({"reasoning_content": "First I looked."})
        await asyncio.sleep(1.0)
        await say({"content": "Done."})
        await say({"finish": "stop"})

    client = real_client(bounds=Bounds(first_piece_s=10.0, idle_s=0.5))
    async with serving(ponders) as (base, _):
        call = client.complete(ask(name, api_base=base), heard.deltas.append)
        if ends:
            assert (await call).text == "Done."
        else:
            with pytest.raises(ModelError, match=r"sent nothing for 0\.5 s"):
                await call
    await client.aclose()


@pytest.mark.parametrize("field", ["content", "reasoning_content"])
async def test_text_that_repeats_a_phrase_without_end_is_ended(
    client: LiteLLMClient, heard: Heard, field: str
) -> None:
    async def loops(say: Say) -> None:
        await say({field: "Let me see. "})
        while True:
            for word in ("But ", "wait, ", "is ", "it ", "so? "):
                await say({field: word})

    request_size = 1_000_000
    async with serving(loops) as (base, left):
        request = ask(PLAIN, api_base=base, max_tokens=request_size)
        with pytest.raises(ModelError, match="repeats itself without end") as caught:
            await client.complete(request, heard.deltas.append)
        await asyncio.wait_for(left.wait(), 5)
    assert caught.value.kind == "too_long"
    assert not caught.value.retryable
    assert caught.value.usage is not None
    assert len(heard.text) + len(heard.reasoning) < WINDOW + 5_000


def watched(*pieces: str) -> bool:
    repeats = Repeats()
    return any(map(repeats.add, pieces))


@pytest.mark.parametrize("period", [1, 2, 7, 399, 400, 401, LONGEST])
def test_a_piece_of_any_length_is_noticed_however_it_is_cut(period: int) -> None:
    piece = "".join(chr(97 + n * n % 26) for n in range(period - 1)) + "."
    text = "A beginning. " + piece * (2 * WINDOW // period + 1)
    for size in (3, 1000, len(text)):
        assert watched(*(text[at : at + size] for at in range(0, len(text), size)))


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"{n}. again and again\n" for n in range(3000)),
        "x" * (WINDOW - 1),
        "x" * (WINDOW - 100) + " and then it goes on" + "x" * (WINDOW - 100),
        ("word " * 400 + "end. ") * 20,
    ],
)
def test_text_that_goes_on_or_ends_is_left_alone(text: str) -> None:
    assert not watched(*(text[at : at + 50] for at in range(0, len(text), 50)))


async def test_a_long_reply_holds_up_nothing_and_is_not_kept_piece_by_piece(
    loopback: LoopbackServer, client: LiteLLMClient, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from planner_app.models import call

    kept: list[call._Chunks] = []

    class Noted(call._Chunks):
        def __init__(self) -> None:
            super().__init__()
            kept.append(self)

    monkeypatch.setattr(call, "_Chunks", Noted)
    loopback.serve("*", Reply("".join(f"{n:07} " for n in range(3000))))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    request = ask(PLAIN, api_base=loopback.base, max_tokens=100_000)
    reply = await client.complete(request, heard.deltas.append)
    other.cancel()
    assert len(reply.text) == 24_000
    assert reply.usage.source == "provider"
    assert reply.model == "plain-model"
    assert len(kept[0]) <= 32
    # Read in one go, the whole stream would have given the others but a few turns.
    assert turns > 20


def test_litellm_is_imported_once_and_off_the_event_loop() -> None:
    """In a process of its own: here it has been imported already."""
    script = textwrap.dedent(
        """
        import asyncio, sys, threading
        from planner_app.models import lite

        loads = []

        class Noting:
            def find_spec(self, name, *rest):
                if name == "litellm":
                    loads.append(threading.current_thread() is threading.main_thread())

        sys.meta_path.insert(0, Noting())

        async def main():
            assert "litellm" not in sys.modules
            turns = 0

            async def others():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0.001)

            other = asyncio.create_task(others())
            modules = await asyncio.gather(*(lite.load_litellm() for _ in range(5)))
            other.cancel()
            assert loads == [False], loads
            assert len({id(module) for module in modules}) == 1
            assert turns > 10, turns
            assert modules[0].disable_hf_tokenizer_download is True

        asyncio.run(main())
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
