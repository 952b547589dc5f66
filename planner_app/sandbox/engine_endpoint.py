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
import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
PING_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An engine's address and who chose it."""

    url: str
    """unix://, tcp://, http(s):// or ssh:// address."""
    origin: Literal["DOCKER_HOST", "DOCKER_CONTEXT", "docker context", "default"]
    certificates: Path | None = None
    """Folder with ca.pem, cert.pem and key.pem for TLS; None: plain."""

    @property
    def is_default(self) -> bool:
        """Nobody chose an address, so an engine of our own may be started there."""
        return self.origin == "default"


@dataclass(frozen=True, slots=True)
class Ping:
    """What the engine said when asked whether it is there."""

    kind: Literal["ok", "absent", "denied", "silent"]
    """absent: nothing listens; denied: no permission; silent: something is there and is no help."""
    why: str = ""
    version: str = ""


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
    if endpoint.url.startswith("ssh://"):
        return _ping_by_client(endpoint)
    try:
        return _ask(_connection(endpoint, seconds), endpoint.url)
    except PermissionError:
        return Ping("denied", f"no permission to use the container engine at {endpoint.url}")
    except (FileNotFoundError, ConnectionRefusedError):
        return Ping("absent", f"no container engine answers at {endpoint.url}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Ping("silent", f"the container engine at {endpoint.url} is no help: {error}")


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
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise ValueError("its address is not unix://, tcp:// or ssh://")
    folder = endpoint.certificates
    if folder is None and parts.scheme != "https":
        return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=seconds)
    context = ssl.create_default_context(cafile=str(folder / "ca.pem") if folder else None)
    if folder:
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return http.client.HTTPSConnection(
        parts.hostname, parts.port or 2376, timeout=seconds, context=context
    )


def _ask(connection: http.client.HTTPConnection, url: str) -> Ping:
    try:
        connection.request("GET", "/version")
        response = connection.getresponse()
        body = response.read(1_000_000)
    finally:
        connection.close()
    if response.status in {401, 403}:
        return Ping("denied", f"the container engine at {url} refused access ({response.status})")
    if response.status != 200:
        return Ping("silent", f"the container engine at {url} answered {response.status}")
    told = json.loads(body)
    version = told.get("Version", "") if isinstance(told, dict) else ""
    return Ping("ok", version=str(version))


def _ping_by_client(endpoint: Endpoint) -> Ping:
    """An engine behind ssh is asked by the docker client, which knows the person's ssh set-up."""
    if shutil.which("docker") is None:
        return Ping("silent", f"{endpoint.url} needs the docker client, which is not on the path")
    command = ["docker", "-H", endpoint.url, "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Ping("silent", f"the container engine at {endpoint.url} is no help: {error}")
    if done.returncode == 0:
        return Ping("ok", version=done.stdout.strip())
    complaint = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return Ping("silent", f"the container engine at {endpoint.url} is no help: {complaint}")


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
        host = str(meta["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError):
        return Endpoint(f"context:{name}", origin)  # pinged in vain, and so named in the error
    certificates = contexts / "tls" / folder / "docker"
    return Endpoint(host, origin, certificates if certificates.is_dir() else None)
