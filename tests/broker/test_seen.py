"""What a person may rely on about which addresses count as seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.broker.seen import SeenAddresses, addresses_in


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("see https://example.org/a.", {"https://example.org/a"}),
        ("(https://example.org/a_(b)), then", {"https://example.org/a_(b)"}),
        ("[label](https://example.org/x?a=1#top) and", {"https://example.org/x?a=1"}),
        ("[https://a.org/](https://b.org/)", {"https://a.org/", "https://b.org/"}),
        (
            "<HTTP://Example.org>, \u201chttps://x.org/y\u201d",
            {"http://example.org/", "https://x.org/y"},
        ),
        ("**https://example.org/a**", {"https://example.org/a"}),
        ("ftp://example.org mailto:a@example.org example.org", set()),
        ("http:// and https://", set()),
    ],
)
def test_addresses_are_read_from_text_and_links(text: str, addresses: set[str]) -> None:
    assert addresses_in(text) == addresses


def test_only_the_very_address_is_seen() -> None:
    seen = SeenAddresses()
    seen.add("https://Example.org/hit#part")
    seen.add_text("compare https://example.org/list?page=1 please")
    assert "https://example.org/hit" in seen
    assert "https://example.org/list?page=1#x" in seen
    assert "https://example.org/list?page=2" not in seen
    assert "https://example.org/" not in seen
    assert "https://example.org/hit?leak=secret" not in seen
    assert "http://example.org/hit" not in seen


@given(st.text(max_size=200))
def test_no_text_makes_the_search_for_addresses_stumble(text: str) -> None:
    for url in addresses_in(f"{text} https://example.org/{text}"):
        assert url.startswith(("http://", "https://"))
