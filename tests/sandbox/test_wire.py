"""The guest's bytes: frames come out however the stream is cut, and a lie is noticed at once."""

from __future__ import annotations

import itertools
import json
import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_app.sandbox.attach import Demultiplexer
from planner_app.sandbox.session import JSON
from planner_app.sandbox.wire import (
    MAX_BLOB,
    MAX_JSON_FROM_GUEST,
    Frame,
    FrameParser,
    WireError,
    number_of,
    pack,
    text_of,
)

values: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
frames = st.tuples(st.dictionaries(st.text(max_size=8), values), st.binary(max_size=300))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def parse(pieces: list[bytes]) -> list[tuple[Frame, bytes]]:
    parser = FrameParser()
    return [frame for piece in pieces for frame in parser.feed(piece)]


@given(st.lists(frames, max_size=5), st.lists(st.integers(0, 10_000), max_size=12))
def test_what_is_packed_comes_out_however_it_is_cut(
    sent: list[tuple[Frame, bytes]], places: list[int]
) -> None:
    data = b"".join(pack(message, blob) for message, blob in sent)
    assert parse(cut(data, places)) == sent


@given(st.lists(frames, min_size=1, max_size=3))
def test_the_guests_own_packer_speaks_the_same_format(sent: list[tuple[Frame, bytes]]) -> None:
    from sandbox.guest import frames as guest

    data = b"".join(pack(message, blob) for message, blob in sent)
    parser = guest.Parser(guest.MAX_JSON_FROM_HOST)
    assert [(message, blob) for message, blob in parser.feed(data)] == sent
    assert b"".join(guest.pack(message, blob) for message, blob in sent) == data  # type: ignore[arg-type]


@settings(max_examples=300)
@given(st.binary(max_size=400), st.lists(st.integers(0, 500), max_size=6))
def test_noise_gives_frames_or_a_wire_error_and_nothing_else(
    noise: bytes, places: list[int]
) -> None:
    try:
        found = parse(cut(noise, places))
    except WireError:
        return
    assert all(isinstance(message, dict) for message, _ in found)


@given(st.binary(min_size=1, max_size=200))
def test_any_text_in_the_place_of_json_is_judged_without_another_error(text: bytes) -> None:
    data = struct.pack(">II", len(text), 0) + text
    try:
        found = parse([data])
    except WireError:
        return
    assert [message for message, _ in found] == [json.loads(text)]


def test_a_header_that_promises_too_much_is_refused_before_anything_is_kept() -> None:
    for sizes in ((MAX_JSON_FROM_GUEST + 1, 0), (2, MAX_BLOB + 1), (2**32 - 1, 2**32 - 1)):
        with pytest.raises(WireError):
            parse([struct.pack(">II", *sizes)])
    for json_size in (0, 1):
        with pytest.raises(WireError):
            parse([struct.pack(">II", json_size, 10)])


@pytest.mark.parametrize(
    "text",
    [
        b"[1]",
        b'"x"',
        b"null",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b"{",
        b'{"a":1}x',
        b'{"\xff":1}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"a":' + b"9" * 100_000 + b"}",
        b'{"a":1e999}',
        b'{"a":-1e400}',
        b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"a":' + b'{"b":' * 300 + b"1" + b"}" * 300 + b"}",
    ],
    ids=lambda text: repr(text[:12]) + str(len(text)),
)
def test_what_is_no_json_object_is_a_wire_error(text: bytes) -> None:
    with pytest.raises(WireError):
        parse([struct.pack(">II", len(text), 0) + text])


def test_many_lists_that_are_not_deep_are_read() -> None:
    text = b'{"a":[' + b",".join([b'[{"b":[1]}]'] * 20_000) + b"]}"
    [(message, _)] = parse([struct.pack(">II", len(text), 0) + text])
    assert isinstance(message["a"], list)
    assert len(message["a"]) == 20_000


@pytest.mark.parametrize("number", ["1e-999", "123456789012345678901234567890", "-0", "1e308"])
def test_odd_numbers_never_become_a_count(number: str) -> None:
    text = f'{{"n":{number}}}'.encode()
    [(message, _)] = parse([struct.pack(">II", len(text), 0) + text])
    found = number_of(message, "n")
    assert found is None or found == 0


@given(values)
def test_a_text_field_is_always_a_text_that_can_be_written(value: JSON) -> None:
    text = text_of({"x": value}, "x", 10, "none")
    assert len(text) <= 10
    text.encode("utf-8")


def test_a_lone_surrogate_in_a_text_does_no_harm() -> None:
    data = rb'{"x":"a\ud800b"}'
    [(message, _)] = parse([struct.pack(">II", len(data), 0) + data])
    text_of(message, "x", 100).encode("utf-8")


def test_a_parser_holds_no_more_than_one_frame_of_an_endless_stream() -> None:
    piece = pack({"t": "out"}, bytes(1 << 16))
    parser = FrameParser()
    tracemalloc.start()
    try:
        for _ in range(500):  # 32 MB
            for _ in parser.feed(piece[:1000]):
                pass
            for _ in parser.feed(piece[1000:]):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


def chunk(kind: int, data: bytes) -> bytes:
    return struct.pack(">B3xI", kind, len(data)) + data


@given(
    st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=50)), max_size=8),
    st.lists(st.integers(0, 2000), max_size=20),
)
def test_the_engines_stream_is_taken_apart_wherever_it_is_cut(
    sent: list[tuple[int, bytes]], places: list[int]
) -> None:
    data = b"".join(chunk(kind, piece) for kind, piece in sent)
    demultiplexer = Demultiplexer()
    out = {False: b"", True: b""}
    for piece in cut(data, places):
        for is_error, found in demultiplexer.feed(piece):
            out[is_error] += found
    assert out[True] == b"".join(piece for kind, piece in sent if kind == 2)
    assert out[False] == b"".join(piece for kind, piece in sent if kind != 2)


def test_a_stream_without_the_engines_headers_is_noticed() -> None:
    with pytest.raises(WireError):
        list(Demultiplexer().feed(b"HTTP/1.1 500 Internal Server Error\r\n"))
