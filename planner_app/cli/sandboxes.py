"""The work of `planner sandbox`: build the image, run files as actions, collect leftovers."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner_app.cli.checks import engine_or_raise
from planner_app.cli.context import Context, emit, one_line, say
from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from docker import DockerClient

    from planner_app.sandbox import ActionResult, GuestCall, GuestReply
    from planner_app.sandbox.options import SandboxOptions
    from planner_app.settings import Settings

MAX_CODE_BYTES = 5_000_000
INTERRUPTED = 130


def build_image(args: argparse.Namespace, context: Context) -> int:
    """Build what is missing of the image; progress on stderr, its tag on stdout."""
    from planner_app.sandbox.image import ensure_image

    packages = context.settings().sandbox.packages
    with _engine() as client:
        tag = ensure_image(client, packages, lambda line: say(f"image: {line}"))
    emit({"image": tag}) if args.json else print(tag)
    return 0


def clean_up(args: argparse.Namespace, context: Context) -> int:
    """Remove left-over containers of this data folder, and images of earlier versions."""
    from planner_app.sandbox import remove_leftovers
    from planner_app.sandbox.image import remove_old_images

    settings = context.settings()
    with _engine() as client:
        containers = remove_leftovers(client, settings.paths.data)
        images = remove_old_images(client, settings.sandbox.packages)
    if args.json:
        emit({"containers": containers, "images": images})
        return 0
    for kind, names in (("container", containers), ("image", images)):
        for name in names:
            print(f"removed {kind} {name}")
    if not containers and not images:
        say("nothing was left over")
    return 0


def execute_files(args: argparse.Namespace, context: Context) -> int:
    """Run each file as an action of one session. Exit 1 when one of them did not end well."""
    from planner_app.settings import Flag

    settings = context.settings(
        [
            Flag("--sandbox", "sandbox.kind", args.sandbox),
            Flag("--timeout", "sandbox.action_seconds", args.timeout),
        ]
    )
    codes = [(name, _read_code(name)) for name in args.files]
    if settings.sandbox.kind == "docker":
        engine_or_raise()
    else:
        say("the code runs in a local process, without isolation")
    return asyncio.run(_execute(codes, settings, as_json=args.json))


@contextlib.contextmanager
def _engine() -> Iterator[DockerClient]:
    engine_or_raise()
    from planner_app.sandbox.engine_client import open_client

    with contextlib.closing(open_client()) as client:
        yield client


def _read_code(name: str) -> str:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_CODE_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_CODE_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror}") from None
    if len(data) > MAX_CODE_BYTES:
        raise BadInput(f"{name} is over 5 MB", "load data from a file instead")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{name} is not UTF-8 text") from None


async def _execute(codes: list[tuple[str, str]], settings: Settings, *, as_json: bool) -> int:
    from planner_app.sandbox import Limits, SessionSpec, open_launcher

    spec = SessionSpec("exec", "exec", 1, Limits.parse(settings.sandbox.limits()))
    launcher = await open_launcher(settings.sandbox.kind, _options(settings))
    worst = 0
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        session = await launcher.open(spec, _no_tools)
        try:
            for name, code in codes:
                result = await _run_one(session, code, interrupted)
                _print_result(name, result, as_json=as_json)
                if interrupted.is_set():
                    return INTERRUPTED
                worst = max(worst, 0 if result.status == "ok" else 1)
        finally:
            await session.close()
    finally:
        await launcher.close()
        loop.remove_signal_handler(signal.SIGINT)
    return worst


def _options(settings: Settings) -> SandboxOptions:
    from planner_app.sandbox.options import SandboxOptions

    return SandboxOptions(
        home=settings.paths.data,
        packages=settings.sandbox.packages,
        pool_size=0,
        runtime=settings.sandbox.runtime or "",
        preload=settings.sandbox.preload,
    )


async def _run_one(session: Any, code: str, interrupted: asyncio.Event) -> ActionResult:
    """One action; Ctrl-C interrupts it, and what it printed until then is still shown."""
    running = asyncio.ensure_future(session.run(code))
    waiting = asyncio.ensure_future(interrupted.wait())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await session.interrupt()
        result: ActionResult = await running
        return result
    finally:
        waiting.cancel()


async def _no_tools(call: GuestCall) -> GuestReply:
    from planner_app.sandbox import GuestReply

    return GuestReply(ok=False, error=f"{call.name}: there are no tools in `planner sandbox exec`")


def _print_result(name: str, result: ActionResult, *, as_json: bool) -> None:
    if as_json:
        emit(result_json(result))
        return
    from planner_app.view.clean import clean

    sys.stdout.write(clean(result.stdout))
    if result.stderr:
        sys.stderr.write(clean(result.stderr))
    if result.error is not None:
        say(clean(result.error.traceback or f"{result.error.name}: {result.error.message}"))
    if result.value is not None:
        print(clean(result.value))
    notes = [f"{result.dropped_bytes:,} bytes of output were dropped"] * bool(result.dropped_bytes)
    notes += [f"image {d.mime}, {len(d.data):,} bytes" for d in result.displays]
    notes += [f"file {one_line(file)}" for file in result.files]
    if result.status not in ("ok", "error"):
        notes.append(f"{result.status}: {result.why}")
    if result.state_lost:
        notes.append("the variables are lost")
    for note in notes:
        say(f"{name}: {note}")
    sys.stdout.flush()


def result_json(result: ActionResult) -> dict[str, Any]:
    """An observation as JSON; images as base64."""
    error = result.error
    return {
        "status": result.status,
        "stdout": result.stdout,
        "stderr": result.stderr,
        "value": result.value,
        "error": None
        if error is None
        else {"name": error.name, "message": error.message, "traceback": error.traceback},
        "images": [
            {"mime": d.mime, "bytes": len(d.data), "base64": base64.b64encode(d.data).decode()}
            for d in result.displays
            if d.mime.startswith("image/")
        ],
        "files": list(result.files),
        "ms": round(result.ms, 3),
        "state_lost": result.state_lost,
        "why": result.why,
        "dropped_bytes": result.dropped_bytes,
    }
