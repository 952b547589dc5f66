"""A reply is put together from what a stream gives, whichever way its thoughts come."""

from __future__ import annotations

import pytest

from planner_app.models.assembly import Assembly
from planner_app.models.port import Delta
from planner_app.models.profiles import ThinkMode


def put_together(mode: ThinkMode, *pieces: tuple[str, str]) -> tuple[str, str, list[Delta]]:
    """Text and thoughts of a reply whose pieces came as `field` or `content`."""
    heard: list[Delta] = []
    assembly = Assembly(mode, heard.append, 10_000)
    for kind, text in pieces:
        (assembly.add_reasoning if kind == "field" else assembly.add_text)(text)
    assembly.finish("stop")
    return assembly.text, assembly.reasoning, heard


@pytest.mark.parametrize("mode", ["field", "auto", "assume_think"])
def test_thoughts_may_come_in_a_field_and_inline_in_one_reply(mode: ThinkMode) -> None:
    pieces = (("field", "First. "), ("content", "<think>Second.</think>Yes."))
    assert put_together(mode, *pieces)[:2] == ("Yes.", "First. Second.")


@pytest.mark.parametrize("mode", ["field", "auto", "assume_think"])
def test_text_is_no_thought_when_the_thought_comes_after_it_in_a_field(mode: ThinkMode) -> None:
    pieces = (("content", "Yes"), ("field", "Late."), ("content", "."))
    assert put_together(mode, *pieces)[:2] == ("Yes.", "Late.")


def test_a_thought_that_comes_both_ways_is_kept_once() -> None:
    pieces = (("field", "I think."), ("content", "<think>\nI think.\n</think>\nYes."))
    assert put_together("auto", *pieces)[:2] == ("Yes.", "I think.")


@pytest.mark.parametrize(
    "pieces",
    [
        (("content", "<think>\n\n</think>\n\nYes."),),
        (("field", "\n\n"), ("content", "Yes.")),
        (("field", "\n"), ("content", "<think></think>Yes.")),
    ],
)
def test_white_space_between_the_tags_is_no_thought(pieces: tuple[tuple[str, str], ...]) -> None:
    assert put_together("auto", *pieces)[:2] == ("Yes.", "")


def test_what_was_given_out_piece_by_piece_is_what_the_reply_holds() -> None:
    pieces = [("content", piece) for piece in "<think>One, two.</think>Three <b>."]
    text, reasoning, heard = put_together("auto", *pieces)
    assert (text, reasoning) == ("Three <b>.", "One, two.")
    assert "".join(d.text for d in heard if d.kind == "text") == text
    assert "".join(d.text for d in heard if d.kind == "reasoning") == reasoning


def test_a_long_signed_thought_goes_back_whole_even_when_its_end_says_it_again() -> None:
    assembly = Assembly("field", lambda _: None, 10_000)
    words = [f"{n} " for n in range(500)]
    for word in words:
        assembly.add_blocks([{"type": "thinking", "thinking": word, "signature": None}])
    assembly.add_blocks([{"type": "thinking", "thinking": "".join(words), "signature": "s1"}])
    assembly.add_blocks([{"type": "thinking", "thinking": "more", "signature": "s2"}])
    assembly.add_blocks([{"type": "thinking", "thinking": "cut off", "signature": ""}])
    state = assembly.provider_state("anthropic")
    assert state is not None
    assert state["thinking_blocks"] == [
        {"type": "thinking", "thinking": "".join(words), "signature": "s1"},
        {"type": "thinking", "thinking": "more", "signature": "s2"},
    ]
