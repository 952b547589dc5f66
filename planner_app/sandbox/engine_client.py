"""Opens the engine's own library where the engine was found, and reads its errors.

One way for all, so that what is pinged, what is attached to, and what builds images is the same
engine. The library alone reads the variables in its own way, and lets the environment's
certificates for the web go before the engine's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner_app.domain.errors import EngineMissing
from planner_app.sandbox.engine_endpoint import Endpoint, Ping, find_endpoint, ping

if TYPE_CHECKING:
    from docker import DockerClient

ENGINE_SECONDS = 60
"""How long one request to the engine may take."""
DOCTOR = "see `planner doctor` for what to do"


def open_client() -> DockerClient:
    """A client of the engine that the person chose; close it. Raises EngineMissing."""
    endpoint = find_endpoint()
    return client_of(endpoint, asked(endpoint), ENGINE_SECONDS)


def asked(endpoint: Endpoint, seconds: float = ENGINE_SECONDS) -> Ping:
    """What the engine says of itself. Raises EngineMissing when it says nothing."""
    answer = ping(endpoint, seconds)
    if answer.kind != "ok":
        raise EngineMissing(answer.why, DOCTOR)
    return answer


def client_of(endpoint: Endpoint, answer: Ping, seconds: int) -> DockerClient:
    """The library's client for an engine that answered; waits `seconds` for each request.

    Raises EngineMissing when the library cannot use it.
    """
    import docker
    from docker.errors import DockerException
    from docker.tls import TLSConfig

    tls: TLSConfig | None = None
    try:
        if endpoint.is_tls:
            own = endpoint.certificate("cert.pem"), endpoint.certificate("key.pem")
            authority = endpoint.certificate("ca.pem")
            tls = TLSConfig(
                client_cert=(str(own[0]), str(own[1])) if all(own) else None,
                ca_cert=str(authority) if authority else None,
                verify=endpoint.verify,
            )
        client = docker.DockerClient(
            base_url=endpoint.url,
            version=answer.api_version or None,
            timeout=seconds,
            tls=tls or False,
        )
    except DockerException as error:
        why = f"the container engine at {endpoint.url} cannot be used: {one_line(error)}"
        raise EngineMissing(why, DOCTOR) from error
    client.api.trust_env = False  # proxies and certificates that are meant for the web
    return client


def no_answer(error: BaseException) -> str:
    """Why a request to the engine came to nothing, in a few words instead of three libraries'."""
    import requests

    if isinstance(error, TimeoutError | requests.exceptions.Timeout):
        return "the container engine gives no answer in time"
    return f"the container engine gives no answer ({_root(error)})"


def _root(error: BaseException) -> str:
    """The system's own words, which the libraries wrap into each other."""
    words = str(error)
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError):
            words = inner.strerror or str(inner)
        inner = inner.__cause__ or inner.__context__
    return one_line(words)


def one_line(text: object) -> str:
    """An error's text as one line of bounded length."""
    return " ".join(str(text).split())[:300]
