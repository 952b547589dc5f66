"""Which addresses may be asked at all: pure rules for URLs and for IP addresses.

The fetcher sends exactly what `WebAddress` holds, and nothing parses the text a second time: two
parsers that disagree are how a checked address becomes another one.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urljoin, urlsplit

from planner_app.broker.port import ToolRefused
from planner_app.domain.errors import BadInput

MAX_URL_CHARS = 4096
PORTS = frozenset({80, 443, 8080, 8443})
"""Ports of the web. Others are refused unless a person allowed that host with that port."""

_DEFAULT_PORT = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An http or https address in normal form."""

    scheme: Literal["http", "https"]
    """As it says."""
    host: str
    """Lower-case ASCII name or address; no brackets, no trailing dot."""
    port: int
    """The port to connect to, never implied."""
    target: str
    """Path and query as they go on the wire, ASCII; begins with a slash. No fragment."""

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port, as in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(url: str, allowed: AllowedHosts | None = None) -> WebAddress:
    """Read an address that is to be asked. ToolRefused with the reason for one that is not.

    Refused: other schemes than http and https, user names, control characters, spaces,
    backslashes, numeric hosts that are no plain address, and ports outside of `PORTS`, unless
    `allowed` names the host with that port.
    """
    address = read_url(url)
    if address.port not in PORTS and not (allowed and allowed.permits(address.host, address.port)):
        raise _refused(url, f"port {address.port} is not one of the web's ({_listed(PORTS)})")
    return address


def read_url(url: str) -> WebAddress:
    """As `parse_url`, without the rule about ports: to judge or compare an address."""
    if len(url) > MAX_URL_CHARS:
        raise _refused(url, f"it is longer than {MAX_URL_CHARS} characters")
    if re.search(r"[\x00-\x20\x7f-\xa0\u2000-\u200f\u2028-\u202f\u2060\ufeff\\]", url):
        raise _refused(url, "it holds a space, a control character or a backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused(url, str(error)) from None
    scheme: Literal["http", "https"]
    if parts.scheme == "http":
        scheme = "http"
    elif parts.scheme == "https":
        scheme = "https"
    else:
        raise _refused(url, "only http and https are fetched", "give the full https:// address")
    if "@" in parts.netloc:
        raise _refused(url, "it holds a user name")
    host = _host(parts.netloc, parts.hostname or "", url)
    port = _DEFAULT_PORT[scheme] if port is None else port
    return WebAddress(scheme, host, port, _target(parts.path, parts.query))


def normal_url(url: str) -> str:
    """The address as it is compared: parsed, without fragment; unreadable ones as they are."""
    try:
        return str(read_url(url))
    except ToolRefused:
        return url


def join_url(base: WebAddress, location: str) -> str:
    """Where a redirect leads, still to be parsed and checked. Non-ASCII is UTF-8."""
    try:
        return urljoin(str(base), location.strip())
    except ValueError:
        return location


def _host(netloc: str, hostname: str, url: str) -> str:
    if "%" in netloc:
        raise _refused(url, "its host holds a percent sign")
    if netloc.startswith("["):
        try:
            return str(ipaddress.IPv6Address(hostname))
        except ValueError:
            raise _refused(url, "its host is no IPv6 address") from None
    host = _ascii(hostname, url).removesuffix(".")
    labels = host.split(".")
    if not host or len(host) > 253:
        raise _refused(url, "it has no host" if not host else "its host is too long")
    if not all(re.fullmatch(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", part) for part in labels):
        raise _refused(url, "its host is not a name")
    if re.fullmatch(r"\d+|0x[0-9a-f]*", labels[-1]):
        try:  # the forms that systems read as an address: 0x7f.1, 2130706433, 0177.0.0.1
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise _refused(url, "its host is a number but no plain IPv4 address") from None
    return host


def _ascii(hostname: str, url: str) -> str:
    if hostname.isascii():
        return hostname.lower()
    import idna

    try:
        return idna.encode(hostname, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise _refused(url, "its host is not a name that can be looked up") from None


def _target(path: str, query: str) -> str:
    """What is not ASCII as UTF-8 in percent form; percent signs that are there stay."""
    safe = "!#$%&'()*+,/:;=?@[]~-._"
    target = quote(path, safe=safe, errors="replace") or "/"
    if query:
        target += "?" + quote(query, safe=safe + "?", errors="replace")
    return target


def _refused(url: str, reason: str, hint: str = "") -> ToolRefused:
    shown = url if len(url) <= 200 else url[:200] + "..."
    return ToolRefused("address", f"cannot ask {shown!r}: {reason}", hint)


def _listed(ports: frozenset[int]) -> str:
    return ", ".join(str(port) for port in sorted(ports))


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Hosts that a person allows although their addresses are private, such as an intranet's."""

    names: frozenset[tuple[str, int | None]] = frozenset()
    """Lower-case host and port; None: the web's ports. `*.x.org` is every name below x.org."""

    @classmethod
    def parse(cls, entries: tuple[str, ...]) -> AllowedHosts:
        """From `host`, `host:port` or `*.domain`; an IPv6 address stands in brackets."""
        pairs: set[tuple[str, int | None]] = set()
        for entry in entries:
            found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?", entry.lower())
            if found is None:
                raise BadInput(f"{entry[:80]!r} is not a host", "use intranet.example or host:3000")
            port = int(found.group(3)) if found.group(3) else None
            pairs.add((found.group(1) or found.group(2), port))
        return cls(frozenset(pairs))

    def permits(self, host: str, port: int) -> bool:
        """Whether the person allowed this host at this port."""
        return any(
            (name == host or (name.startswith("*.") and host.endswith(name[1:])))
            and (port in PORTS if allowed_port is None else port == allowed_port)
            for name, allowed_port in self.names
        )


# Special ranges beside what `is_global` says, whose answer differs between Python versions.
_BLOCKED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT; a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's own services behind a public address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b::/96",  # these and 2002:, 2001:0: carry an IPv4 address inside
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)


def blocked_reason(address: str) -> str | None:
    """Why a connection to this IP address is refused; None if it is public."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "not an IP address"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return blocked_reason(str(ip.ipv4_mapped))
    for network in _BLOCKED:
        if ip.version == network.version and ip in network:
            return f"in {network}"
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return "not a public address"
    return None
