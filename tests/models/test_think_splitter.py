"""Reasoning is split from text the same however a stream is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.models.think import (
    SplitMode,
    ThinkSplitter,
    split_think,
    without_answer_tags,
)

THINKS = "<|channel|>analysis<|message|>"
SAYS = "<|start|>assistant<|channel|>final"
CALLS = "<|start|>assistant<|channel|>commentary to=functions.f<|message|>c<|call|>"

CASES: list[tuple[SplitMode, str, str, str]] = [
    ("auto", "<think>\na < b </thin k> <\n</think>\n\nANS <think> x", "\na < b </thin k> <\n",
     "\n\nANS <think> x"),
    ("auto", "\n <think>x</think>y", "x", "y"),
    ("auto", "<thinking>x</thinking>y", "x", "y"),
    ("auto", 'plain {"a":"</think>"}', "", 'plain {"a":"</think>"}'),
    ("auto", "  \n plain", "", "  \n plain"),
    ("auto", "<th", "", "<th"),
    ("auto", "<think>never closed </thi", "never closed </thi", ""),
    ("auto", "<think>a</think>\n<think>b</think>c", "ab", "c"),
    ("auto", "[THINK]x[/THINK]y", "x", "y"),
    ("auto", "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>y",
     "x", "y"),
    # gpt-oss names a channel for each message; servers leave marks out, or put others in.
    ("auto", f"<|start|>assistant{THINKS}x<|end|>\n{SAYS} <|constrain|>json<|message|>7<|return|>",
     "x", "7"),
    ("auto", "<|channel|>final<|message|>y <|x|> < z<|end|>", "", "y <|x|> < z"),
    ("auto", f"{THINKS}a<|end|><|start|>assistant{THINKS}b<|end|>{CALLS}{SAYS}<|message|>y",
     "abc", "y"),
    ("auto", "<|channel|>analysis<|message|>x<|channel|>final<|message|>y", "x", "y"),
    ("auto", "<|channel|>analysis<|message|>x<|end|> y", "x", "y"),
    ("auto", "<|start|>assistant<|message|>y", "", "y"),
    ("auto", "<|start|>assistant y", "", "y"),
    ("auto", "<|channel|>analysis<|message|>x <|en", "x <|en", ""),
    ("off", "<|channel|>final<|message|>y", "", "<|channel|>final<|message|>y"),
    ("auto", "<seed:think>x</seed:think>y", "x", "y"),
    ("auto", "", "", ""),
    ("assume_think", "reason</think>ans", "reason", "ans"),
    ("assume_think", "<think>reason</think>ans", "reason", "ans"),
    ("assume_think", "reason</think>a</think>b", "reason", "a</think>b"),
    ("assume_think", "reason</think>\n\n</think>\n\na</think>b", "reason", "\n\na</think>b"),
    ("auto", "<think>reason</think></THINK> </th", "reason", " </th"),
    ("assume_think", "<thi", "<thi", ""),
    ("assume_think", "no end", "no end", ""),
    ("off", "<think>x</think>y", "", "<think>x</think>y"),
    # What stands before the tag: a byte order mark, zero-width characters, exotic white space.
    ("auto", "\ufeff<think>x</think>y", "x", "y"),
    ("auto", "\u200b\n\u3000<think>x</think>y", "x", "y"),
    ("auto", "\ufeffplain", "", "\ufeffplain"),
    # Any case, and tags that only look alike.
    ("auto", "<THINK>x</Think>y", "x", "y"),
    ("auto", "<Thinking>x</THINKING>y", "x", "y"),
    ("assume_think", "x</THINK>y", "x", "y"),
    ("auto", "[think]x[/Think]y", "x", "y"),
    ("auto", "<thinks>x</thinks>", "", "<thinks>x</thinks>"),
    ("auto", "< think>x</think>", "", "< think>x</think>"),
    ("auto", "<think>x</ think>y", "x</ think>y", ""),
    # A thought that speaks of tags ends at the first closing one.
    ("auto", "<think>a<think>b</think>c</think>d", "a<think>b", "c</think>d"),
    ("auto", "<think>say <answer>1</answer></think><answer>2</answer>", "say <answer>1</answer>",
     "<answer>2</answer>"),
    # Tags in the answer are the answer's, also in a code fence.
    ("auto", "```html\n<think>x</think>\n```", "", "```html\n<think>x</think>\n```"),
    ("auto", "<think>a</think>```\n<think>b</think>\n```", "a", "```\n<think>b</think>\n```"),
    ("auto", "<think>a</think>text <think>b</think>", "a", "text <think>b</think>"),
    # A closing tag alone closes only what is known to be open.
    ("auto", "x</think>y", "", "x</think>y"),
    ("auto", "</think>y", "", "</think>y"),
    ("assume_think", "</think>y", "", "y"),
    ("off", "x</think>y", "", "x</think>y"),
    ("assume_think", "a</think>\n<think>b</think>c", "ab", "c"),
    ("assume_think", "\n\nno tag", "\n\nno tag", ""),
    # Nothing was thought.
    ("auto", "<think></think>y", "", "y"),
    ("auto", "<think>\n\n</think>\n\ny", "\n\n", "\n\ny"),
    ("auto", "<think>", "", ""),
    ("auto", "<think>\ud83d\ude00 \U0001f600</think>\udc80", "\ud83d\ude00 \U0001f600", "\udc80"),
]  # fmt: skip


def feed(mode: SplitMode, pieces: list[str]) -> tuple[str, str]:
    splitter = ThinkSplitter(mode)
    deltas = [delta for piece in pieces for delta in splitter.feed(piece)] + splitter.finish()
    assert all(delta.text for delta in deltas)
    kinds = ("reasoning", "text")
    reasoning, text = ("".join(d.text for d in deltas if d.kind == kind) for kind in kinds)
    return reasoning, text


def cut(text: str, places: tuple[int, ...]) -> list[str]:
    return [text[a:b] for a, b in itertools.pairwise((0, *places, len(text)))]


@pytest.mark.parametrize(("mode", "text", "reasoning", "answer"), CASES)
def test_every_way_of_cutting_in_three_gives_the_same(
    mode: SplitMode, text: str, reasoning: str, answer: str
) -> None:
    for places in itertools.combinations(range(len(text) + 1), 2):
        assert feed(mode, cut(text, places)) == (reasoning, answer)
    assert feed(mode, list(text)) == (reasoning, answer)


@given(
    mode=st.sampled_from(["auto", "assume_think", "off"]),
    parts=st.lists(
        st.sampled_from(
            ["<think>", "</think>", "<thinking>", "</thinking>", "<", "</", "think", ">", " ", "\n",
             "a", "<|channel|>analysis<|message|>", "<|end|>", "[/THINK]", "[THINK]", "x<t",
             "\ufeff", "<THINK>", "</Think>", "\u0130", "\u212a", "<thin", "k>", "<|start|>", "<|",
             "<|channel|>", "<|message|>", "final", "assistant", "<|constrain|>", "<|return|>"]
        ),
        max_size=14,
    ),
    data=st.data(),
)  # fmt: skip
def test_any_text_cut_anywhere_splits_alike(
    mode: SplitMode, parts: list[str], data: st.DataObject
) -> None:
    text = "".join(parts)
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=10).map(sorted).map(tuple))
    assert feed(mode, cut(text, places)) == feed(mode, [text])


@given(st.text(max_size=300))
def test_text_without_tags_comes_through_unchanged(text: str) -> None:
    assert feed("off", [text]) == ("", text)
    if not text.lstrip().startswith(("<", "[", "\u25c1")):
        assert feed("auto", [text]) == ("", text)


def test_what_cannot_become_a_tag_is_given_out_at_once() -> None:
    splitter = ThinkSplitter("auto")
    assert splitter.feed("<thi") == []
    assert [delta.text for delta in splitter.feed("nk>I won")] == ["I won"]
    assert [delta.text for delta in splitter.feed("der </th")] == ["der "]
    assert [delta.text for delta in splitter.feed("at")] == ["</that"]


@pytest.mark.parametrize(
    ("text", "unclosed", "tagged"),
    [
        ("<think>a", True, True),
        ("<think>a</think>", False, True),
        ("a", False, False),
        ("<|channel|>analysis<|message|>a<|end|>", True, True),
        ("<|channel|>final<|message|>a", False, True),
    ],
)
def test_an_unclosed_thought_is_told(text: str, unclosed: bool, tagged: bool) -> None:
    split = split_think(text)
    assert (split.unclosed, split.tagged) == (unclosed, tagged)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("<answer>42</answer>", "42"),
        (" <answer>\n42\n</answer> ", "42"),
        ("<ANSWER>42</Answer>", "42"),
        ("<answer>a</answer> or <answer>b</answer>", "<answer>a</answer> or <answer>b</answer>"),
        ("see <answer>", "see <answer>"),
    ],
)
def test_answer_tags_go_only_when_they_hold_all(text: str, inside: str) -> None:
    assert without_answer_tags(text) == inside
