"""What a person may rely on about the addresses that tools may ask."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.broker.addresses import (
    PORTS,
    AllowedHosts,
    blocked_reason,
    join_url,
    normal_url,
    parse_url,
)
from planner_app.broker.port import ToolRefused
from planner_app.domain.errors import BadInput


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://example.org", "https://example.org/"),
        ("HTTPS://EXAMPLE.ORG./A?b=c#frag", "https://example.org/A?b=c"),
        ("http://example.org:80/x", "http://example.org/x"),
        ("http://example.org:443/x", "http://example.org:443/x"),
        ("https://example.org:8443/", "https://example.org:8443/"),
        (
            "https://b\u00fccher.example/\u00e9?q=\u00fc",
            "https://xn--bcher-kva.example/%C3%A9?q=%C3%BC",
        ),
        ("https://example.org/a%20b%2Fc", "https://example.org/a%20b%2Fc"),
        ("http://[2606:4700::1111]/", "http://[2606:4700::1111]/"),
        ("http://1.1.1.1/", "http://1.1.1.1/"),
        ("http://\uff11.1.1.1/", "http://1.1.1.1/"),
        ("https://a_b.example.org/", "https://a_b.example.org/"),
    ],
)
def test_an_address_has_one_normal_form(url: str, normal: str) -> None:
    assert str(parse_url(url)) == normal
    assert normal_url(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//example.org/",
        "http://",
        "http:///x",
        "http://user@example.org/",
        "http://user:pw@example.org/",
        "http://example.org\\@evil.org/",
        "http://example.org/a b",
        "http://example.org/\r\nHost: x",
        "http://example.org/\x00",
        "http://exa\u200bmple.org/",
        "http://example.org:22/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://example.org:x/",
        "http://ex%61mple.org/",
        "http://[fe80::1%25eth0]/",
        "http://[::1/",
        "http://[v1.x]/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://1.2.3.4.5/",
        "http://exa..mple.org/",
        "http://-example.org/",
        "http://" + "a" * 64 + ".org/",
        "http://" + "a." * 130 + "org/",
        "http://example.org/" + "a" * 4096,
    ],
)
def test_an_address_that_is_not_to_be_asked_is_refused(url: str) -> None:
    with pytest.raises(ToolRefused) as caught:
        parse_url(url)
    assert caught.value.kind == "address"
    assert len(caught.value.message) < 400


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_of_addresses_stumble(tail: str) -> None:
    for url in (tail, "http://" + tail, "https://example.org" + tail):
        try:
            address = parse_url(url)
        except ToolRefused:
            continue
        text = str(address)
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text
        assert str(parse_url(text)) == text
        assert address.port in PORTS
        seen = urlsplit(text)
        assert seen.hostname == address.host
        assert seen.username is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:168.63.129.16",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "2001:db8::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fd00:ec2::254",
        "ff02::1",
        "not an address",
        "",
    ],
)
def test_an_address_that_is_not_public_is_blocked(address: str) -> None:
    assert blocked_reason(address) is not None


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_not_blocked(address: str) -> None:
    assert blocked_reason(address) is None


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_its_mapped_form(ip: ipaddress.IPv4Address) -> None:
    assert blocked_reason(str(ip)) == blocked_reason(f"::ffff:{ip}")
    if not ip.is_global:
        assert blocked_reason(str(ip)) is not None


def test_a_person_can_allow_a_host_with_its_port_and_nothing_else() -> None:
    allowed = AllowedHosts.parse(("intranet:3000", "wiki.corp.example", "*.lab.example", "[::1]"))
    assert parse_url("http://intranet:3000/", allowed).port == 3000
    for refused in ("http://intranet:3001/", "http://other:3000/", "http://wiki.corp.example:22/"):
        with pytest.raises(ToolRefused):
            parse_url(refused, allowed)
    assert allowed.permits("wiki.corp.example", 443)
    assert allowed.permits("a.lab.example", 80)
    assert allowed.permits("::1", 80)
    assert not allowed.permits("lab.example", 80)
    assert not allowed.permits("evil-wiki.corp.example", 443)
    with pytest.raises(BadInput):
        AllowedHosts.parse(("a:b:c",))


def test_a_redirect_is_joined_to_the_address_it_came_from() -> None:
    base = parse_url("https://example.org/a/b?c")
    assert join_url(base, "../d") == "https://example.org/d"
    assert join_url(base, "//other.org/x") == "https://other.org/x"
    assert join_url(base, "http://[bad") == "http://[bad"
