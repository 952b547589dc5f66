"""Where the container engine listens, and whether it answers there.

Standard library only: it is asked before anything is installed, and at every start, where the
docker library's import (0.2 s) would be felt. The order is the one of the docker client:
DOCKER_HOST, DOCKER_CONTEXT, the client's current context, the default socket.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
UNKNOWN_CONTEXT = "context:"
PING_SECONDS = 3.0
MAX_ANSWER = 1_000_000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An engine's address and who chose it."""

    url: str
    """unix://, tcp:// or http(s):// address; others are refused when they are asked."""
    origin: Literal["DOCKER_HOST", "DOCKER_CONTEXT", "docker context", "default"]
    certificates: Path | None = None
    """Folder with ca.pem (whom to believe), cert.pem and key.pem (who we are); each may be
    missing. None: plain, unless the address is https://."""
    verify: bool = True
    """False: a TLS engine is believed to be whoever it says; a context may ask for that."""

    @property
    def is_default(self) -> bool:
        """Nobody chose an address, so an engine of our own may be started there."""
        return self.origin == "default"

    @property
    def is_tls(self) -> bool:
        """Whether a TCP connection to it is encrypted."""
        scheme = urlsplit(self.url).scheme
        return scheme == "https" or (scheme == "tcp" and self.certificates is not None)

    def certificate(self, name: str) -> Path | None:
        """A file of the certificates' folder; None when it is not there."""
        file = self.certificates / name if self.certificates is not None else None
        return file if file is not None and file.is_file() else None

    def tls(self) -> ssl.SSLContext | None:
        """For connections to it; None: plain. Raises OSError for certificates that are none."""
        if not self.is_tls:
            return None
        authority = self.certificate("ca.pem")
        context = ssl.create_default_context(cafile=str(authority) if authority else None)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if (own := self.certificate("cert.pem")) is not None:
            context.load_cert_chain(own, self.certificate("key.pem"))
        return context


@dataclass(frozen=True, slots=True)
class Ping:
    """What the engine said when asked whether it is there."""

    kind: Literal["ok", "absent", "denied", "silent"]
    """absent: nothing listens; denied: no permission; silent: something is there and is no help."""
    why: str = ""
    version: str = ""
    api_version: str = ""
    """The newest version of its language that the engine speaks; empty: it did not tell."""
    is_podman: bool = False
    """Podman's own service, which speaks Docker's language with an accent."""


def find_endpoint() -> Endpoint:
    """The address that the docker library would use, too."""
    host = os.environ.get("DOCKER_HOST", "")
    if host:
        wants_tls = bool(os.environ.get("DOCKER_TLS_VERIFY"))
        folder = Path(os.environ.get("DOCKER_CERT_PATH") or _client_folder())
        return Endpoint(host, "DOCKER_HOST", folder if wants_tls else None)
    chosen = os.environ.get("DOCKER_CONTEXT", "")
    context = chosen or _current_context()
    if context and context != "default":
        return _endpoint_of_context(context, chosen=bool(chosen))
    return Endpoint(DEFAULT_SOCKET, "default")


def ping(endpoint: Endpoint, seconds: float = PING_SECONDS) -> Ping:
    """Ask the engine for its version; never raises for an engine that is not there."""
    at = f"the container engine at {endpoint.url}"
    try:
        return _ask(_connection(endpoint, seconds), endpoint.url)
    except PermissionError:
        return Ping("denied", f"no permission to use {at}")
    except (FileNotFoundError, ConnectionRefusedError):
        return Ping("absent", f"no container engine answers at {endpoint.url}")
    except TimeoutError:
        return Ping("silent", f"{at} gives no answer in {seconds:g} s")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Ping("silent", f"{at} is no help: {_line(error)}")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(endpoint: Endpoint, seconds: float) -> http.client.HTTPConnection:
    parts = urlsplit(endpoint.url)
    if parts.scheme == "unix":
        return _UnixConnection(parts.path, seconds)
    if endpoint.url.startswith(UNKNOWN_CONTEXT):
        raise ValueError(f"there is no such context in {_client_folder()}")
    if parts.scheme == "ssh":
        raise ValueError("engines are not reached by ssh; forward its socket to a local one")
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise ValueError("its address is neither unix:// nor tcp://")
    context = endpoint.tls()
    if context is None:
        return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=seconds)
    return http.client.HTTPSConnection(
        parts.hostname, parts.port or 2376, timeout=seconds, context=context
    )


def _ask(connection: http.client.HTTPConnection, url: str) -> Ping:
    try:
        connection.request("GET", "/version")
        response = connection.getresponse()
        return _answer(response.status, response.read(MAX_ANSWER), url)
    finally:
        connection.close()


def _answer(status: int, body: bytes, url: str) -> Ping:
    if status in {401, 403}:
        return Ping("denied", f"the container engine at {url} refused access ({status})")
    if status != 200:
        said = _line(body.decode("utf-8", "replace"))[:100]
        said = f"{status}: {said}" if said else f"{status}"
        return Ping("silent", f"the container engine at {url} answered {said}")
    told = json.loads(body)
    if not isinstance(told, dict):
        return Ping("ok")
    return Ping(
        "ok",
        version=str(told.get("Version", "")),
        api_version=str(told.get("ApiVersion", "")),
        is_podman="Podman" in str(told.get("Components")),
    )


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _client_folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _current_context() -> str:
    try:
        config = json.loads((_client_folder() / "config.json").read_text())
    except (OSError, ValueError):
        return ""  # no client configuration: the default socket
    name = config.get("currentContext", "") if isinstance(config, dict) else ""
    return name if isinstance(name, str) else ""


def _endpoint_of_context(name: str, *, chosen: bool) -> Endpoint:
    """Contexts are folders named by the sha256 of the context's name."""
    origin: Literal["DOCKER_CONTEXT", "docker context"] = (
        "DOCKER_CONTEXT" if chosen else "docker context"
    )
    folder = hashlib.sha256(name.encode()).hexdigest()
    contexts = _client_folder() / "contexts"
    try:
        meta = json.loads((contexts / "meta" / folder / "meta.json").read_text())
        told = meta["Endpoints"]["docker"]
        host, verify = str(told["Host"]), told.get("SkipTLSVerify") is not True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Endpoint(f"{UNKNOWN_CONTEXT}{name}", origin)  # pinged in vain, and then named
    certificates = contexts / "tls" / folder / "docker"
    if not certificates.is_dir() and (verify or not host.startswith("tcp://")):
        return Endpoint(host, origin)
    return Endpoint(host, origin, certificates, verify)
