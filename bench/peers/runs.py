"""Measures other people's executors, run by the interpreter of the environment they live in.

python bench/peers/runs.py PEER IMAGE ROUNDS     prints one JSON object

Nothing of this program is imported here: the environment has only the peers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

LINES = 160
LENGTH = 65536
FLOOD = f"import sys\nfor _ in range({LINES}): sys.stdout.write('x' * {LENGTH})"
"""10 MiB of output."""
GATEWAY = ["python3", "-m", "kernel_gateway", "--KernelGatewayApp.ip=0.0.0.0"]
RUN = "x" * 64
Ask = Callable[[str], Awaitable[str]]


async def measured(ask: Ask, began: float, rounds: int) -> dict[str, Any]:
    """Times in milliseconds, and how much of what was asked for came back."""
    first = await ask("1+1")
    found: dict[str, Any] = {"ready": (time.perf_counter() - began) * 1000, "warm": [], "lost": 0}
    found["lost"] += "2" not in first
    for _ in range(rounds):
        start = time.perf_counter()
        answer = await ask("1+1")
        found["warm"].append((time.perf_counter() - start) * 1000)
        found["lost"] += "2" not in answer
    start = time.perf_counter()
    try:
        text = await ask(FLOOD)
    except Exception as error:  # noqa: BLE001 - what it raises is its own affair, and is told
        text, found["complaint"] = "", f"{type(error).__name__}: {error}"[:200]
    found["output_ms"] = (time.perf_counter() - start) * 1000
    found["output_chars"] = text.count(RUN) * len(RUN)
    return found


async def smolagents(image: str, rounds: int) -> dict[str, Any]:
    """Its DockerExecutor, in an image of ours that has the kernel gateway it expects."""
    from smolagents.monitoring import AgentLogger, LogLevel
    from smolagents.remote_executors import DockerExecutor

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*GATEWAY, "--KernelGatewayApp.port=8888"]
    began = time.perf_counter()
    executor = DockerExecutor(
        [],
        AgentLogger(level=LogLevel.OFF),
        image_name=image,
        build_new_image=False,
        port=port,
        container_run_kwargs={"command": command},
    )

    async def ask(code: str) -> str:
        done = executor.run_code_raise_errors(code)
        return f"{done.logs}{'' if done.output is None else done.output}"

    try:
        return {"version": version("smolagents"), **await measured(ask, began, rounds)}
    finally:
        executor.cleanup()


async def ipybox(_image: str, rounds: int) -> dict[str, Any]:
    """Its CodeExecutor, which runs a local kernel: this release has no containers."""
    from ipybox import CodeExecutor

    began = time.perf_counter()
    async with CodeExecutor() as executor:

        async def ask(code: str) -> str:
            return (await executor.execute(code)).text or ""

        return {"version": version("ipybox"), **await measured(ask, began, rounds)}


PEERS = {"smolagents": smolagents, "ipybox": ipybox}


def main() -> None:
    name, image, rounds = sys.argv[1:4]
    with contextlib.redirect_stdout(sys.stderr):  # theirs is to hold one object only
        found = asyncio.run(PEERS[name](image, int(rounds)))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
