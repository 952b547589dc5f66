"""Local model servers are found by what they answer, and nothing else is taken for one."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from planner_app.cli.servers import ASK_SECONDS, find_servers
from planner_app.domain.errors import ModelMissing
from planner_app.domain.places import PLACES, LocalServer, Place
from planner_app.domain.teams import TeamChoice, choose_team

OLLAMA, VLLM, STUDIO, LLAMA = PLACES
Serve = Callable[[bytes, int], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves one body for every address; gives the port."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(body: bytes, status: int = 200) -> int:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Quiet."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _at(place: Place, port: int) -> Place:
    return Place(place.name, port, place.path, place.prefix, place.base_path)


def ask_server(place: Place, host: str) -> LocalServer | None:
    return next(iter(find_servers((place,), host)), None)


def test_ollama_is_found_with_its_models(serve: Serve) -> None:
    port = serve(json.dumps({"models": [{"name": "qwq:32b"}, {"name": "qwen3"}]}).encode(), 200)
    found = ask_server(_at(OLLAMA, port), "127.0.0.1")
    assert found is not None
    assert found.models == ("ollama_chat/qwq:32b", "ollama_chat/qwen3")
    assert found.api_base == f"http://127.0.0.1:{port}"


def test_an_openai_like_server_is_found_with_its_models(serve: Serve) -> None:
    port = serve(json.dumps({"object": "list", "data": [{"id": "a/b"}]}).encode(), 200)
    found = ask_server(_at(VLLM, port), "127.0.0.1")
    assert found is not None
    assert found.models == ("hosted_vllm/a/b",)
    assert found.api_base.endswith("/v1")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 200), (b"{}", 200), (b"[]", 200), (b'{"data": 3}', 200), (b"{}", 404),
        (b"", 200),
        (b"null", 200), (b"[" * 100_000, 200), (b'{"models": "many"}', 200),
        (b'{"models": [' + b" " * 3_000_000, 200), (b"\xff\xfe\x00", 200),
        (b'{"models": [{"name": "a"}]}', 500), (b'{"data": [{"id": 5}, {"id": 6}]}', 200),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_something_else_on_the_port_is_no_server(serve: Serve, body: bytes, status: int) -> None:
    assert ask_server(_at(OLLAMA, serve(body, status)), "127.0.0.1") is None


def test_names_that_no_model_has_are_left_out(serve: Serve) -> None:
    odd = [
        {"name": n} for n in ("a\nb", "", None, 3, ["x"], "x" * 999, "\x1b[31mred", "fine", "fine")
    ]
    rows = [
        *odd,
        "text",
        None,
        {"size": 3},
        {"name": "nomic-embed-text:latest"},
        {"name": "bge-m3"},
    ]
    found = ask_server(_at(OLLAMA, serve(json.dumps({"models": rows}).encode(), 200)), "127.0.0.1")
    assert found is not None
    assert found.models == ("ollama_chat/fine",)


def test_a_listing_in_both_forms_is_read_once(serve: Serve) -> None:
    both = {"models": [{"name": "m.gguf"}], "data": [{"id": "m.gguf"}]}
    found = ask_server(_at(LLAMA, serve(json.dumps(both).encode(), 200)), "127.0.0.1")
    assert found is not None
    assert found.models == ("openai/m.gguf",)


@pytest.fixture
def rude() -> Iterator[Callable[[bytes, float], int]]:
    """Takes connections, sends something once or again and again, and never ends; the port."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(piece: bytes, pause: float) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(10)

        def talk() -> None:
            with listening, contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" if piece else b"")
                    while not stop.wait(pause):
                        connection.sendall(piece)

        threads.append(threading.Thread(target=talk, daemon=True))
        threads[-1].start()
        return listening.getsockname()[1]

    yield start
    stop.set()
    for thread in threads:
        thread.join(20)


def test_servers_that_never_end_hold_nobody_up(serve: Serve, rude: Callable[..., int]) -> None:
    fine = _at(VLLM, serve(b'{"data": [{"id": "b"}]}', 200))
    silent, drip = _at(OLLAMA, rude(b"", 0.05)), _at(STUDIO, rude(b" ", 0.05))
    flood = _at(LLAMA, rude(b"{" * 500_000, 0.0))
    began = time.monotonic()
    found = find_servers((silent, drip, flood, fine))
    assert [server.name for server in found] == ["vLLM"]
    # Each has the same deadline, and they are asked together: no sum of them is waited for.
    assert time.monotonic() - began < 2 * ASK_SECONDS + 1


def test_a_local_team_takes_a_reasoner_and_a_coder_where_there_are() -> None:
    models = ("ollama_chat/llama3", "ollama_chat/qwen3-coder:30b", "ollama_chat/qwq:32b")
    team = choose_team(TeamChoice(), (), [LocalServer("Ollama", "http://h", models)])
    assert (team.planner, team.executor) == ("ollama_chat/qwq:32b", "ollama_chat/qwen3-coder:30b")
    assert team.api_bases == dict.fromkeys((team.planner, team.executor), "http://h")
    team = choose_team(TeamChoice(), (), [LocalServer("Ollama", "http://h", models[:1])])
    assert team.models == dict.fromkeys(("planner", "executor", "checker"), models[0])


def test_all_places_are_asked_and_the_order_is_kept(serve: Serve) -> None:
    ollama = _at(OLLAMA, serve(b'{"models": [{"name": "a"}]}', 200))
    nothing = _at(STUDIO, 1)
    vllm = _at(VLLM, serve(b'{"data": [{"id": "b"}]}', 200))
    found = find_servers((vllm, nothing, ollama))
    assert [server.name for server in found] == ["vLLM", "Ollama"]


def test_a_server_that_listens_at_the_other_loopback_address_is_found_once() -> None:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"data": [{"id": "m"}]}')

        def log_message(self, *args: object) -> None:
            """Quiet."""

    class Version6(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6

    try:
        server = Version6(("::1", 0), Quiet)
    except OSError:
        pytest.skip("this machine has no IPv6")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        port = server.server_address[1]
        (found,) = find_servers((_at(STUDIO, port),))
    finally:
        server.shutdown()
        server.server_close()
    assert found.api_base == f"http://[::1]:{port}/v1"
    assert found.models == ("lm_studio/m",)


def test_a_server_without_a_model_is_named_with_what_to_do() -> None:
    with pytest.raises(ModelMissing) as raised:
        choose_team(TeamChoice(), (), [LocalServer("Ollama", "http://127.0.0.1:11434", ())])
    assert "Ollama at http://127.0.0.1:11434" in raised.value.message
    assert "ollama pull" in raised.value.hint
