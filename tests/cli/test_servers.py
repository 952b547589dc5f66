"""Local model servers are found by what they answer, and nothing else is taken for one."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator

import pytest

from planner_app.cli.servers import PLACES, Place, ask_server, find_servers

OLLAMA, VLLM, STUDIO = PLACES
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
    [(b"<html>", 200), (b"{}", 200), (b"[]", 200), (b'{"data": 3}', 200), (b"{}", 404), (b"", 200)],
)
def test_something_else_on_the_port_is_no_server(serve: Serve, body: bytes, status: int) -> None:
    assert ask_server(_at(OLLAMA, serve(body, status)), "127.0.0.1") is None


def test_all_places_are_asked_and_the_order_is_kept(serve: Serve) -> None:
    ollama = _at(OLLAMA, serve(b'{"models": [{"name": "a"}]}', 200))
    nothing = _at(STUDIO, 1)
    vllm = _at(VLLM, serve(b'{"data": [{"id": "b"}]}', 200))
    found = find_servers((vllm, nothing, ollama))
    assert [server.name for server in found] == ["vLLM", "Ollama"]
