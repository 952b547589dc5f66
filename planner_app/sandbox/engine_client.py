"""Opens the engine's own library where the engine was found, and reads its errors.

One way for all, so that what is pinged, what is attached to, and what builds images is the same
engine: the library alone would read `DOCKER_CERT_PATH` in its own way, and know no ssh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner_app.domain.errors import EngineMissing
from planner_app.sandbox.engine_endpoint import Endpoint, find_endpoint

if TYPE_CHECKING:
    from docker import DockerClient

ENGINE_SECONDS = 60
"""How long one request to the engine may take."""
DOCTOR = "see `planner doctor` for what to do"


def open_client(endpoint: Endpoint | None = None, seconds: int = ENGINE_SECONDS) -> DockerClient:
    """A client of the engine at an address, None: of the one that the person chose; close it.

    Asks it for its version. Raises EngineMissing when it gives none.
    """
    import docker
    import requests
    from docker.errors import DockerException
    from docker.tls import TLSConfig

    endpoint = endpoint or find_endpoint()
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
        return docker.DockerClient(
            base_url=endpoint.url, timeout=seconds, tls=tls or False, use_ssh_client=True
        )
    except (requests.exceptions.RequestException, DockerException) as error:
        why = f"the container engine at {endpoint.url} cannot be used: {no_answer(error)}"
        raise EngineMissing(why, DOCTOR) from error


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
