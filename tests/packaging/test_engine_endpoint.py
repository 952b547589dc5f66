"""The engine is looked for where the docker client would look, and faults are told apart."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from planner_app.sandbox.engine_endpoint import Endpoint, find_endpoint, ping
from planner_app.sandbox.engine_setup import check_engine

Serve = Callable[[bytes], str]


@pytest.fixture
def client_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The docker client's configuration, with nothing in it."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def add_context(folder: Path, name: str, host: str) -> None:
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    text = json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}})
    (meta / "meta.json").write_text(text)


def test_the_default_is_the_local_socket(client_folder: Path) -> None:
    assert find_endpoint() == Endpoint("unix:///var/run/docker.sock", "default")
    assert find_endpoint().is_default


def test_the_environment_wins_over_contexts(
    client_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_context(client_folder, "far", "tcp://far:2375")
    (client_folder / "config.json").write_text('{"currentContext": "far"}')
    assert find_endpoint() == Endpoint("tcp://far:2375", "docker context")
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert find_endpoint().is_default
    monkeypatch.setenv("DOCKER_HOST", "tcp://near:2375")
    assert find_endpoint() == Endpoint("tcp://near:2375", "DOCKER_HOST")


def test_tls_certificates_are_found(client_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://near:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert find_endpoint().certificates == client_folder
    assert find_endpoint().is_tls
    monkeypatch.setenv("DOCKER_HOST", "unix:///near.sock")
    assert not find_endpoint().is_tls, "a socket has no use for them"


def test_a_context_may_have_certificates_or_none(client_folder: Path) -> None:
    add_context(client_folder, "far", "tcp://far:2376")
    (client_folder / "config.json").write_text('{"currentContext": "far"}')
    assert not find_endpoint().is_tls
    key = hashlib.sha256(b"far").hexdigest()
    folder = client_folder / "contexts" / "tls" / key / "docker"
    folder.mkdir(parents=True)
    assert find_endpoint() == Endpoint("tcp://far:2376", "docker context", folder)
    assert find_endpoint().is_tls


def test_an_engine_behind_ssh_is_refused_with_the_way_to_reach_it(
    client_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@far:22")
    state = check_engine()
    assert not state.ok
    assert "not reached by ssh" in state.why
    assert "ssh -fNT -L" in state.fix
    assert "me@far:22" in state.fix


def test_a_context_that_does_not_exist_is_named(
    client_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    answer = ping(find_endpoint())
    assert answer.kind == "silent"
    assert "gone" in answer.why
    assert f"no such context in {client_folder}" in answer.why


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"currentContext": 3}'])
def test_a_broken_client_configuration_means_the_default(client_folder: Path, text: str) -> None:
    (client_folder / "config.json").write_text(text)
    assert find_endpoint().is_default


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Listens on a socket and gives every caller the same reply."""
    stop = threading.Event()
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(reply: bytes) -> str:
        listener = socket.socket(socket.AF_UNIX)
        path = tmp_path / "engine.sock"
        listener.bind(str(path))
        listener.listen()
        listeners.append(listener)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(reply)
                if not reply:
                    stop.wait(30)

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return f"unix://{path}"

    yield start
    stop.set()
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()


def http(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def test_an_engine_tells_its_version(serve: Serve) -> None:
    answer = ping(Endpoint(serve(http("200 OK", b'{"Version": "27.1"}')), "default"))
    assert (answer.kind, answer.version) == ("ok", "27.1")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (http("403 Forbidden", b""), "denied"),
        (http("500 Oh", b""), "silent"),
        (http("200 OK", b"<html>"), "silent"),
        (b"SSH-2.0-OpenSSH\r\n", "silent"),
        (b"", "silent"),
    ],
)
def test_whatever_else_listens_there_is_no_engine(serve: Serve, reply: bytes, kind: str) -> None:
    answer = ping(Endpoint(serve(reply), "default"), seconds=0.5)
    assert answer.kind == kind
    assert "engine.sock" in answer.why


def test_nothing_there_is_told_apart_from_no_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(f"unix://{tmp_path}/engine.sock", "default")
    assert ping(endpoint).kind == "absent"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "engine.sock"))
    listener.close()
    assert ping(endpoint).kind == "absent", "a socket that a dead engine left"

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("http.client.HTTPConnection.request", refuse)
    assert ping(endpoint).kind == "denied"


@pytest.mark.parametrize("url", ["", "nonsense", "fd://", "tcp://", "tcp://host:notaport"])
def test_an_address_that_is_none_is_said_in_one_line(url: str) -> None:
    answer = ping(Endpoint(url, "DOCKER_HOST"))
    assert answer.kind == "silent"
    assert "\n" not in answer.why
