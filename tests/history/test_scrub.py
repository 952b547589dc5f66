"""Secrets leave texts, ordinary words stay, and scrubbing twice changes nothing more."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_app.history.scrub import REMOVED, Scrubber, secrets_in

KEY = "k9/Zq+very secret=="


@pytest.mark.parametrize(
    "secret",
    [
        "sk-" + "a1B2" * 8,
        "sk-ant-api03-" + "a1B2_-" * 8,
        "sk-proj-" + "x" * 30,
        "gsk_" + "a" * 40,
        "hf_" + "a" * 34,
        "AIza" + "b" * 35,
        "AKIA" + "C" * 16,
        "ASIA" + "C" * 16,
        "xai-" + "a" * 40,
        "tvly-" + "a" * 30,
        "nvapi-" + "a" * 60,
        "ghp_" + "d" * 36,
        "gho_" + "d" * 36,
        "github_pat_" + "e" * 50,
        "xoxb-" + "1" * 24,
        "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + "." + "c" * 20,
    ],
)
def test_usual_keys_are_known_by_their_form(secret: str) -> None:
    scrubbed = Scrubber().text(f"use {secret}, please")
    assert scrubbed == f"use {REMOVED}, please"


def test_headers_addresses_and_private_keys_lose_their_secret_part() -> None:
    scrub = Scrubber().text
    assert (
        scrub("Authorization: Bearer abcdefghijklmnopqrstuvwxyz")
        == f"Authorization: Bearer {REMOVED}"
    )
    assert scrub("postgres://me:hunter22@host/db") == f"postgres://{REMOVED}@host/db"
    pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----"
    assert scrub(f"a {pem} b") == f"a {REMOVED} b"


@pytest.mark.parametrize(
    "text",
    [
        "the task-force of 12 risk-averse people",
        "https://example.org/a:b@c",
        "sk-learn and ask-me-anything",
        "def token_count(text): return 5",
        "sha256 " + "ab" * 32,
        "max_tokens=4096",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert Scrubber().text(text) == text


def test_the_environments_secrets_are_found_by_the_names_of_their_variables() -> None:
    env = {
        "DEEPSEEK_API_KEY": KEY,
        "AWS_SECRET_ACCESS_KEY": "x" * 20,
        "GITHUB_TOKEN": "ordinary-looking",
        "PGPASSWORD": "correct horse",
        "MAX_TOKENS": "123456789",
        "SHORT_API_KEY": "abc",
        "POSTGRES_PASSWORD": "postgres",
        "HOME": "/home/somebody",
        "TOKENIZERS_PARALLELISM": "false-false",
    }
    assert set(secrets_in(env)) == {KEY, "x" * 20, "ordinary-looking", "correct horse"}


def test_a_known_secret_goes_in_every_form() -> None:
    scrubber = Scrubber([KEY])
    quoted = "k9%2FZq%2Bvery%20secret%3D%3D"
    assert scrubber.text(f"[{KEY}] [{quoted}]") == f"[{REMOVED}] [{REMOVED}]"
    odd = 'with "quotes" inside'
    assert odd not in json.loads(Scrubber([odd]).text(json.dumps({"a": odd})))["a"]


def test_json_is_scrubbed_at_every_depth() -> None:
    value = {"a": [KEY, {"b": f"x{KEY}y", KEY: 1}], "n": 2.5, "none": None, "t": True}
    scrubbed = Scrubber([KEY]).json(value)
    assert KEY not in json.dumps(scrubbed)
    assert (scrubbed["n"], scrubbed["none"], scrubbed["t"]) == (2.5, None, True)
    assert scrubbed["a"][1]["b"] == f"x{REMOVED}y"


def test_a_secret_within_another_leaves_no_part_of_the_longer() -> None:
    assert Scrubber(["secret-one", "secret-one-two"]).text("secret-one-two") == REMOVED


@given(st.text(max_size=200), st.lists(st.text(min_size=8, max_size=20), max_size=3))
def test_scrubbing_twice_is_scrubbing_once(text: str, secrets: list[str]) -> None:
    scrubber = Scrubber(s for s in secrets if s not in REMOVED)
    once = scrubber.text(text + "".join(secrets))
    if not any(part in REMOVED or REMOVED in part for part in secrets):
        assert scrubber.text(once) == once


def test_a_huge_text_is_scrubbed_in_linear_time() -> None:
    text = "://" * 200_000 + "a:" * 200_000 + "-----BEGIN PRIVATE KEY-----" * 2_000
    assert Scrubber([KEY]).text(text).startswith("://")
