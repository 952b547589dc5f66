"""The network policy of a run: where its requests may go, and what is asked of a person."""

from __future__ import annotations

import re
from typing import Literal

from planner_app.broker.addresses import WebAddress
from planner_app.broker.port import NetPolicy
from planner_app.domain.errors import BadInput

SEARCH = "search"
"""The word in a list of hosts that allows searching."""

Verdict = Literal["yes", "ask", "no"]

_HOST = re.compile(
    r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def parse_policy(text: str) -> NetPolicy:
    """Read `open`, `seen`, `off`, or host names separated by commas or spaces.

    `*.example.org` stands for every name below example.org, at any depth, but not for
    example.org itself; name both to allow both. `search` in the list allows searching.
    Raises BadInput for anything else.
    """
    word = text.strip().lower()
    if word == "open":
        return NetPolicy("open")
    if word == "seen":
        return NetPolicy("seen")
    if word == "off":
        return NetPolicy("off")
    names = [part for part in re.split(r"[\s,]+", word) if part]
    if not names:
        raise BadInput("the network policy is empty", _EXAMPLE)
    hosts = frozenset(_host(name) for name in names)
    return NetPolicy("hosts", hosts)


_EXAMPLE = "use open, seen, off, or hosts such as docs.python.org,*.wikipedia.org"


def _host(name: str) -> str:
    if name in ("open", "seen", "off"):
        raise BadInput(f"{name} stands alone as a network policy", _EXAMPLE)
    if not name.isascii():
        import idna

        wildcard = "*." if name.startswith("*.") else ""
        try:
            encoded = idna.encode(name.removeprefix("*."), uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise BadInput(f"{name[:80]!r} is not a host name", _EXAMPLE) from None
        name = wildcard + encoded
    dotted = "." in name.removeprefix("*.")
    if not _HOST.fullmatch(name) or not (dotted or name in (SEARCH, "localhost")):
        raise BadInput(f"{name[:80]!r} is not a host name", _EXAMPLE)
    return name


def policy_text(policy: NetPolicy) -> str:
    """The policy as `parse_policy` reads it."""
    return ",".join(sorted(policy.hosts)) if policy.mode == "hosts" else policy.mode


def judge_url(policy: NetPolicy, address: WebAddress, seen: bool) -> tuple[Verdict, str]:
    """Whether the policy lets a request go there, and the reason if it does not.

    `seen`: the address came from the task, a hit or a fetched page. A redirect's target is judged
    like any other address.
    """
    if policy.mode == "open":
        return "yes", ""
    if policy.mode == "off":
        return "no", "the network is off for this task"
    if policy.mode == "seen":
        if seen:
            return "yes", ""
        return "ask", "the address came neither from the task nor from a search hit or fetched page"
    if any(_covers(pattern, address.host) for pattern in policy.hosts):
        return "yes", ""
    return "no", f"only these hosts are allowed for this task: {policy_text(policy)}"


def judge_search(policy: NetPolicy) -> tuple[Verdict, str]:
    """Whether the policy lets a search go out, and the reason if it does not."""
    if policy.mode == "off":
        return "no", "the network is off for this task"
    if policy.mode == "hosts" and SEARCH not in policy.hosts:
        return "no", f"only these hosts are allowed for this task: {policy_text(policy)}"
    return "yes", ""


def _covers(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern and pattern != SEARCH
