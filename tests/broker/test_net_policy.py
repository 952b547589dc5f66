"""What a person may rely on when a task's network policy is set."""

from __future__ import annotations

import pytest

from planner_app.broker.addresses import parse_url
from planner_app.broker.policy import judge_search, judge_url, parse_policy, policy_text
from planner_app.domain.errors import BadInput


@pytest.mark.parametrize(
    ("policy", "url", "seen", "verdict"),
    [
        ("open", "https://example.org/", False, "yes"),
        ("off", "https://example.org/", True, "no"),
        ("seen", "https://example.org/", True, "yes"),
        ("seen", "https://example.org/", False, "ask"),
        ("example.org", "https://example.org/x", False, "yes"),
        ("example.org", "https://EXAMPLE.org./x", False, "yes"),
        ("example.org", "https://www.example.org/", True, "no"),
        ("example.org", "https://notexample.org/", True, "no"),
        ("example.org", "https://example.org.evil.com/", True, "no"),
        ("*.example.org", "https://www.example.org/", False, "yes"),
        ("*.example.org", "https://a.b.example.org/", False, "yes"),
        ("*.example.org", "https://example.org/", False, "no"),
        ("*.example.org", "https://notexample.org/", False, "no"),
        ("*.b\u00fccher.example", "https://a.xn--bcher-kva.example/", False, "yes"),
        ("a.org, b.org  c.org", "https://c.org/", False, "yes"),
        ("search", "https://search/", False, "no"),
    ],
)
def test_the_policy_decides_where_a_request_goes(
    policy: str, url: str, seen: bool, verdict: str
) -> None:
    decided, reason = judge_url(parse_policy(policy), parse_url(url), seen)
    assert decided == verdict
    assert bool(reason) == (verdict != "yes")


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [("open", "yes"), ("seen", "yes"), ("off", "no"), ("a.org", "no"), ("a.org,search", "yes")],
)
def test_the_policy_decides_whether_a_search_goes_out(policy: str, verdict: str) -> None:
    assert judge_search(parse_policy(policy))[0] == verdict


@pytest.mark.parametrize("text", ["open", "seen", "off", "a.org", "*.a.org,localhost,search"])
def test_a_policy_is_written_as_it_is_read(text: str) -> None:
    policy = parse_policy(text)
    assert parse_policy(policy_text(policy)) == policy
    assert parse_policy(f" {text.upper()} ") == policy


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "opne",
        "open,a.org",
        "https://a.org",
        "a.org:80",
        "*",
        "*.",
        "a..b",
        "*.org*",
        "-a.b",
    ],
)
def test_a_policy_that_is_not_understood_is_bad_input_with_an_example(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_policy(text)
    assert "docs.python.org" in str(caught.value)
