"""The host against a guest that is an enemy: every lie ends as "died", none as a wrong answer,
an unknown exception, a hang, or memory without bound."""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from planner_app.domain.errors import SandboxError
from planner_app.sandbox import guest_session, transfers
from planner_app.sandbox.guest_session import GuestSession
from planner_app.sandbox.session import (
    JSON,
    BindFailed,
    FileTooLarge,
    GuestCall,
    GuestReply,
    SessionClosed,
    SessionSpec,
    TransferFailed,
)
from planner_app.sandbox.wire import Frame
from tests.sandbox.lying_guest import (
    HELLO,
    READY,
    LyingGuest,
    answer_true,
    end_nothing,
    session_with,
)


def header(json_size: int, blob_size: int) -> bytes:
    return struct.pack(">II", json_size, blob_size)


def nested(depth: int) -> JSON:
    value: JSON = 1
    for _ in range(depth):
        value = [value]
    return value


def lies() -> dict[str, list[bytes | Frame | tuple[Frame, bytes]]]:
    """What a guest may say instead of the result of action 2."""
    big = b"9" * 5000
    return {
        "a header of 4 GB": [header(2**32 - 1, 2**32 - 1)],
        "a header without JSON": [header(0, 100)],
        "a JSON bomb": [header(900_000, 0) + b"[" * 900_000],
        "a number bomb": [header(len(big) + 6, 0) + b'{"t":' + big + b"}"],
        "not an object": [header(2, 0) + b"[]"],
        "bytes that are no text": [header(4, 0) + b"\xff\xfe\xfd\xfc"],
        "no type": [{"id": 2}],
        "a type that is a list": [{"t": ["result"], "id": 2}],
        "an unknown type": [{"t": "please", "id": 2}],
        "a result of the future": [{"t": "result", "id": 99, "status": "ok"}],
        "a result with a text for its number": [{"t": "result", "id": "2", "status": "ok"}],
        "a result with true for its number": [{"t": "result", "id": True, "status": "ok"}],
        "a result without a number": [{"t": "result", "status": "ok"}],
        "hello again": [HELLO],
        "an old generation": [READY],
        "a generation that is a text": [{"t": "ready", "generation": "2"}],
        "output of no stream": [({"t": "out", "id": 2, "s": "stdlog"}, b"x")],
        "output of a stream that is a list": [({"t": "out", "id": 2, "s": ["stdout"]}, b"x")],
        "output without end": [({"t": "out", "id": 2, "s": "stdout"}, bytes(1 << 20))] * 4,
        "a variable nobody asked for": [{"t": "exported", "id": 2, "name": "x", "kind": "json"}],
        "a piece of no variable": [({"t": "part", "id": 2}, b"x")],
        "a file nobody asked for": [({"t": "chunk", "id": 1}, b"x")],
        "a file with a text for its number": [({"t": "chunk", "id": "1"}, b"x")],
        "a call without a name": [{"t": "call", "id": 1, "op": 2, "args": {}}],
        "a call with a list for its arguments": [
            {"t": "call", "id": 1, "op": 2, "name": "f", "args": []}
        ],
        "a call out of order": [{"t": "call", "id": -1, "op": 2, "name": "f", "args": {}}],
        "a call with a broken number": [
            {"t": "call", "id": 2**60, "op": 2, "name": "f", "args": {}}
        ],
        "the same call twice": [{"t": "call", "id": 1, "op": 2, "name": "f", "args": {}}] * 2,
        "a call with a name beyond measure": [
            {"t": "call", "id": 1, "op": 2, "name": "f" * 5000, "args": {}}
        ],
        "a call with true for its number": [
            {"t": "call", "id": True, "op": 2, "name": "f", "args": {}}
        ],
        "output that is none": [{"t": "out", "id": 2, "s": "stdout"}],
        "output that is cut twice": [{"t": "out", "id": 2, "s": "stderr", "missing": 5}] * 2,
        "output of which less than nothing is missing": [
            ({"t": "out", "id": 2, "s": "stdout", "missing": -5}, b"x")
        ],
        "a result nested beyond measure": [
            {"t": "result", "id": 2, "status": "ok", "value": nested(150)}
        ],
        "a result with a number beyond numbers": [
            header(46, 0) + b'{"t":"result","id":2,"status":"ok","ms":1e999}'
        ],
        "a pong that nobody asked for": [{"t": "pong", "n": 1}],
        "words without end about an action that is over": [
            {"t": "out", "id": 1, "s": "stdout", "missing": 1}
        ]
        * (guest_session.MAX_UNASKED + 1),
        "deaths without end": [{"t": "died", "why": "x"}] * (guest_session.MAX_UNASKED + 1),
        "it gives up": [{"t": "fatal", "why": "no reason"}],
        "it gives up with a list": [{"t": "fatal", "why": ["x"]}],
        "its end": [b""],
        "half a frame and its end": [header(100, 0) + b"{", b""],
    }


@pytest.mark.parametrize("name", lies())
async def test_a_lie_in_the_middle_of_an_action_is_told_as_died(name: str) -> None:
    def answer(guest: LyingGuest, message: Frame) -> None:
        for word in lies()[name]:
            match word:
                case bytes():
                    guest.raw(word)
                case (message, blob):
                    guest.say(message, blob)
                case dict():
                    guest.say(word)

    guest = LyingGuest(answer)
    session = await session_with(guest)
    async with asyncio.timeout(10):
        result = await session.run("1+1")
        assert (result.status, result.state_lost, result.value) == ("died", True, None)
        assert result.why
        assert not session.alive
        assert guest.closed
        with pytest.raises(SessionClosed):
            await session.run("1+1")
        with pytest.raises(SessionClosed):
            await session.list_files()
        await session.close()


PICKLES: dict[str, tuple[Frame, list[bytes]]] = {
    "more than agreed": ({"bytes": 2**40}, [b"x"]),
    "less than nothing": ({"bytes": -1}, [b"x"]),
    "no number": ({"bytes": "100"}, [b"x"]),
    "empty pieces": ({"bytes": 100}, [b""]),
    "a piece that is too long": ({"bytes": 100}, [bytes(101)]),
    "a piece beyond all measure": ({"bytes": 5 << 20}, [bytes(2 << 20)]),
    "two pieces for one": ({"bytes": 100}, [b"x", b"y"]),
}


@pytest.mark.parametrize("name", PICKLES)
async def test_a_pickle_that_is_not_what_was_said_is_refused(name: str) -> None:
    said, pieces = PICKLES[name]

    def answer(guest: LyingGuest, message: Frame) -> None:
        done: Frame = {"t": "result", "id": message["id"], "status": "ok"}
        if message["t"] == "pickle":
            guest.say(done | said)
        else:
            for piece in pieces:
                guest.say({"t": "part", "id": message["id"]}, piece)
            guest.say(done)

    session = await session_with(LyingGuest(answer))
    async with asyncio.timeout(10):
        got = b""
        try:
            async for piece in session.export_pickle("x", 10 << 20):
                got += piece
        except (BindFailed, SessionClosed):
            pass
        assert got == b""
        await session.close()


WRONG_TYPES: list[Frame] = [
    {"status": ["ok"]},
    {"status": None},
    {"status": "ok", "value": {"a": 1}, "value_type": 7, "ms": "soon", "dropped": "many"},
    {"status": "ok", "value": "x" * 900_000, "ms": -1e300, "dropped": -5},
    {"status": "ok", "value": "x", "ms": 1e300, "dropped": 2**60, "files": {"a": 1}},
    {"status": "ok", "files": [None, 1, "../x", "/etc/passwd", "a\nb", "a\u202eb", "ok.txt"]},
    {"status": "ok", "files": [f"{n}.txt" for n in range(5000)]},
    {"status": "error", "error": "no"},
    {"status": "error", "error": {"name": 1, "message": [], "traceback": {}}},
    {"status": "error", "error": {"name": "E" * 9000, "message": "m" * 90000}},
    {"status": "exit", "why": {"deep": [[[[]]]]}},
    {"status": "ok", "cause": ["timeout"], "oom": "yes", "state_lost": 1},
    {"status": "interrupted"},
    {},
]


@pytest.mark.parametrize("fields", WRONG_TYPES, ids=lambda fields: str(fields)[:40])
async def test_wrong_types_in_a_result_become_a_result_of_the_right_types(fields: Frame) -> None:
    def answer(guest: LyingGuest, message: Frame) -> None:
        guest.say({"t": "result", "id": message["id"], **fields})

    session = await session_with(LyingGuest(answer))
    result = await session.run("1+1")
    assert result.status in ("ok", "error", "interrupted", "timeout", "exit", "ended", "died")
    assert result.value is None or isinstance(result.value, str)
    assert len(result.value or "") <= 40_000
    assert result.value_type is None or isinstance(result.value_type, str)
    assert 0 <= result.ms < 60_000
    assert result.dropped_bytes >= 0
    assert isinstance(result.oom, bool)
    assert isinstance(result.state_lost, bool)
    assert isinstance(result.why, str)
    assert set(result.files) <= {"ok.txt", *(f"{n}.txt" for n in range(200))}
    if result.error is not None:
        assert len(result.error.name) <= 200
        assert len(result.error.message) <= 4000
    await session.close()


async def test_displays_of_strange_kinds_and_endless_number_are_left_out() -> None:
    def answer(guest: LyingGuest, message: Frame) -> None:
        number = message["id"]
        guest.say({"t": "display", "id": number, "mime": "application/x-evil"}, b"x")
        guest.say({"t": "display", "id": number, "mime": ["image/png"]}, b"x")
        guest.say({"t": "display", "id": number})
        for _ in range(200):
            guest.say({"t": "display", "id": number, "mime": "image/png"}, bytes(1 << 20))
        guest.say({"t": "result", "id": number, "status": "ok"})

    session = await session_with(LyingGuest(answer))
    result = await session.run("1")
    assert {display.mime for display in result.displays} == {"image/png"}
    assert sum(len(display.data) for display in result.displays) <= 16 << 20
    await session.close()


async def test_a_result_that_comes_twice_counts_once() -> None:
    def answer(guest: LyingGuest, message: Frame) -> None:
        for value in ("first", "second"):
            guest.say({"t": "result", "id": message["id"], "status": "ok", "value": value})

    session = await session_with(LyingGuest(answer))
    values = [(await session.run("1")).value for _ in range(3)]
    assert values == ["first"] * 3
    await session.close()


async def test_late_words_of_an_action_that_is_over_change_nothing() -> None:
    def answer(guest: LyingGuest, message: Frame) -> None:
        number = message["id"]
        assert isinstance(number, int)
        guest.say({"t": "out", "id": number - 1, "s": "stdout"}, b"late")
        guest.say({"t": "result", "id": number, "status": "ok", "value": "now"})

    session = await session_with(LyingGuest(answer))
    await session.run("1")
    result = await session.run("2")
    assert (result.stdout, result.value) == ("", "now")
    await session.close()


async def test_silence_is_told_as_died_by_the_hosts_own_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guest_session, "SLACK_SECONDS", 0.0)
    session = await session_with(LyingGuest(lambda guest, message: None))
    async with asyncio.timeout(30):
        result = await session.run("1+1", timeout=0.1)
    assert (result.status, result.state_lost) == ("died", True)
    assert "in time" in result.why
    await session.close()


async def test_a_slow_drip_does_not_put_the_end_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_session, "SLACK_SECONDS", 0.0)
    drips: set[asyncio.Task[None]] = set()

    async def drip(guest: LyingGuest) -> None:
        guest.raw(header(1000, 0))
        while not guest.closed:
            guest.raw(b" ")
            await asyncio.sleep(0.01)

    def answer(guest: LyingGuest, message: Frame) -> None:
        drips.add(asyncio.create_task(drip(guest)))

    session = await session_with(LyingGuest(answer))
    async with asyncio.timeout(30):
        result = await session.run("1+1", timeout=0.1)
        assert result.status == "died"
        await asyncio.gather(*drips)
    await session.close()


async def test_an_interrupt_that_nobody_heeds_ends_when_its_caller_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guest_session, "SLACK_SECONDS", 0.1)
    asked = asyncio.Event()
    guest = LyingGuest(lambda guest, message: asked.set())
    session = await session_with(guest)
    running = asyncio.create_task(session.run("1+1"))
    await asked.wait()
    running.cancel()
    async with asyncio.timeout(30):
        await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
    assert not session.alive
    assert "interrupt" in [message["t"] for message in guest.heard]
    await session.close()


@pytest.mark.parametrize(
    "first",
    [
        [header(2**32 - 1, 0)],
        [b"HTTP/1.1 500 no\r\n\r\n"],
        [b""],
        [{"t": "ready", "generation": 1}],
        [{"t": "hello", "protocol": 99}],
        [{"t": "hello", "protocol": "1"}],
        [HELLO, {"t": "call", "id": 1, "op": None, "name": "f", "args": {}}],
    ],
    ids=str,
)
async def test_a_guest_that_begins_with_a_lie_does_not_start(first: list[bytes | Frame]) -> None:
    guest = LyingGuest(lambda guest, message: None)
    guest._out = asyncio.Queue()
    for word in first:
        if isinstance(word, bytes):
            guest.raw(word)
        else:
            guest.say(word)
    guest.words = "Traceback: no such file"
    session = GuestSession(guest, "a lie", end_nothing)
    with pytest.raises(SandboxError, match="did not start"):
        async with asyncio.timeout(10):
            await session.start()
    await session.close()


async def test_more_calls_than_agreed_end_the_session_and_every_handler() -> None:
    running = 0

    async def wait_for_ever(call: GuestCall) -> GuestReply:
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1
        return GuestReply(ok=True)

    def answer(guest: LyingGuest, message: Frame) -> None:
        for n in range(1, 200):
            call: Frame = {"t": "call", "id": n, "op": message["id"], "name": "f", "args": {}}
            guest.say(call)

    session = GuestSession(LyingGuest(answer), "a lie", end_nothing)
    await session.start()
    await session.configure(SessionSpec("run", "step", 1), wait_for_ever)
    async with asyncio.timeout(10):
        result = await session.run("1")
        await session.close()
    assert result.status == "died"
    assert running == 0


def transfer_that_says(*words: tuple[Frame, bytes]) -> LyingGuest:
    def answer(guest: LyingGuest, message: Frame) -> None:
        if message["t"] == "job":
            for frame, blob in words:
                guest.say({"id": message["id"], **frame}, blob)

    return LyingGuest(answer)


async def test_a_file_larger_than_it_was_said_to_be_is_cut_off() -> None:
    piece: tuple[Frame, bytes] = ({"t": "chunk"}, bytes(1000))
    guest = transfer_that_says(*[piece] * 10, ({"t": "done"}, b""))
    session = await session_with(guest)
    with pytest.raises(FileTooLarge):
        await session.read_file("x", 5000)
    assert session.alive
    await session.close()


async def test_an_endless_file_ends_the_session_before_it_fills_the_memory() -> None:
    piece: tuple[Frame, bytes] = ({"t": "chunk"}, bytes(1 << 20))
    guest = transfer_that_says(*[piece] * 60)
    session = await session_with(guest)
    tracemalloc.start()
    try:
        with pytest.raises((SessionClosed, FileTooLarge)):
            await session.read_file("x", 3 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 90 << 20  # 60 MB are the test's own
    await session.close()


async def test_a_list_of_lies_gives_only_clean_names() -> None:
    entries: list[JSON] = [
        ["ok.txt", 5, 1.0],
        ["../up", 5, 1.0],
        ["/root", 5, 1.0],
        ["a\nb", 5, 1.0],
        ["a\\b", 5, 1.0],
        ["n", -1, 1.0],
        ["n", True, 1.0],
        ["n", "5", 1.0],
        ["n", 5, "now"],
        ["n" * 5000, 5, 1.0],
        ["late", 5, 1e300],
        [],
        None,
        {"name": "x"},
    ]
    guest = transfer_that_says(({"t": "files", "files": entries}, b""), ({"t": "done"}, b""))
    session = await session_with(guest)
    found = await session.list_files()
    assert [file.name for file in found] == ["ok.txt", "late"]
    await session.close()


async def test_calls_that_are_given_up_at_once_are_no_more_than_agreed() -> None:
    """What a real sandbox sends for code that calls and goes away, over and over."""

    def answer(guest: LyingGuest, message: Frame) -> None:
        for n in range(1, 3000):
            guest.say({"t": "call", "id": n, "op": message["id"], "name": "f", "args": {}})
            guest.say({"t": "cancel", "id": n})
        guest.say({"t": "result", "id": message["id"], "status": "ok", "value": "2"})

    session = await session_with(LyingGuest(answer))
    async with asyncio.timeout(30):
        assert (await session.run("1+1")).value == "2"
    await session.close()


async def test_calls_without_end_do_not_stop_the_hosts_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guest_session, "SLACK_SECONDS", 0.0)
    calling: set[asyncio.Task[None]] = set()

    async def call(guest: LyingGuest, number: JSON) -> None:
        n = 0
        while not guest.closed:
            n += 1
            guest.say({"t": "call", "id": n, "op": number, "name": "f", "args": {}})
            await asyncio.sleep(0)

    def answer(guest: LyingGuest, message: Frame) -> None:
        if message["t"] == "exec":
            calling.add(asyncio.create_task(call(guest, message["id"])))

    session = await session_with(LyingGuest(answer))
    async with asyncio.timeout(30):
        result = await session.run("1+1", timeout=0.1)
        assert result.status == "died"
        await asyncio.gather(*calling)
    await session.close()


DRIPS: dict[str, Frame] = {
    "credit for nothing": {"t": "credit", "n": 0},
    "a file's name, again and again": {"t": "files", "files": [["a", 1, 1.0]]},
}


@pytest.mark.parametrize("name", DRIPS)
async def test_a_transfer_that_drips_ends_like_one_that_is_silent(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(transfers, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(transfers, "LEAST_BYTES_PER_SECOND", 1 << 30)
    drips: set[asyncio.Task[None]] = set()

    async def drip(guest: LyingGuest, number: JSON) -> None:
        while not guest.closed:
            guest.say({"id": number, **DRIPS[name]})
            await asyncio.sleep(0.01)

    def answer(guest: LyingGuest, message: Frame) -> None:
        if message["t"] == "job":
            drips.add(asyncio.create_task(drip(guest, message["id"])))

    session = await session_with(LyingGuest(answer))
    async with asyncio.timeout(30):
        with pytest.raises(TransferFailed, match="stopped in the middle"):
            await session.list_files()
        await session.close()
        await asyncio.gather(*drips)


@pytest.mark.parametrize("frame", [{"t": "chunk"}, {"t": "files", "files": []}], ids=str)
async def test_pieces_without_anything_in_them_end_the_session(frame: Frame) -> None:
    session = await session_with(transfer_that_says((frame, b"")))
    async with asyncio.timeout(10):
        with pytest.raises(SessionClosed):
            await session.list_files()
    await session.close()


@pytest.mark.parametrize("kind", ["missing", "large", 7])
async def test_a_workspace_that_cannot_be_listed_is_one_clear_failure(kind: object) -> None:
    failed: Frame = {"t": "failed", "kind": kind, "error": "not found"}
    session = await session_with(transfer_that_says((failed, b"")))
    with pytest.raises(TransferFailed, match="not found"):
        await session.list_files()
    await session.close()


async def test_silence_in_a_transfer_is_one_clear_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "SILENCE_SECONDS", 0.1)
    session = await session_with(transfer_that_says())
    async with asyncio.timeout(30):
        with pytest.raises(TransferFailed, match="stopped in the middle"):
            await session.list_files()
        with pytest.raises(TransferFailed):
            await session.write_file("x", b"data")
    await session.close()


async def test_credit_without_measure_does_not_make_the_host_send_all_at_once() -> None:
    taken = 0
    a_window_full = asyncio.Event()

    def answer(guest: LyingGuest, message: Frame) -> None:
        if message["t"] == "job":
            guest.say({"t": "credit", "id": message["id"], "n": 2**50})

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(64):
            taken += 1 << 20
            if taken >= transfers.WINDOW:
                a_window_full.set()
            yield bytes(1 << 20)

    session = await session_with(LyingGuest(answer))
    sending = asyncio.create_task(session.import_workspace(endless()))
    async with asyncio.timeout(10):
        await a_window_full.wait()
        for _ in range(1000):
            await asyncio.sleep(0)
    assert taken <= 10 << 20
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await session.close()


async def test_a_session_can_be_closed_twice_and_in_the_middle_of_everything() -> None:
    session = GuestSession(LyingGuest(lambda guest, message: None), "a lie", end_nothing)
    await session.start()
    await session.configure(SessionSpec("run", "step", 1), answer_true)
    running = asyncio.create_task(session.run("1"))
    listing = asyncio.create_task(session.list_files())
    for _ in range(5):
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await asyncio.gather(session.close(), session.close())
        assert (await running).status == "died"
        with pytest.raises(SessionClosed):
            await listing
