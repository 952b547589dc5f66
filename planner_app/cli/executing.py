"""The work of `planner sandbox exec`: texts as actions of one session, and what came of each."""

from __future__ import annotations

import argparse
import asyncio
import base64
import dataclasses
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner_app.cli.checks import cpus_or_raise, engine_or_raise
from planner_app.cli.context import Context, emit, one_line, say
from planner_app.cli.exits import INTERRUPTED
from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from planner_app.sandbox import ActionResult, GuestCall, GuestReply, Launcher, Session
    from planner_app.sandbox.limits import Limits
    from planner_app.sandbox.options import SandboxOptions
    from planner_app.settings import Settings

MAX_CODE_BYTES = 16_000_000
"""What is read at all; a session accepts less, and says so as it does to a model."""


@dataclass(frozen=True, slots=True)
class Code:
    """One action to come."""

    name: str
    """Of its file, `-` for stdin, `-c` for a code typed."""
    text: str


def execute_actions(args: argparse.Namespace, context: Context) -> int:
    """Run all actions in one session. Exit 1 when one of them did not end well."""
    from planner_app.sandbox.limits import Limits
    from planner_app.settings import Flag
    from planner_app.settings_limits import read_limit_flags

    settings = context.settings(
        [Flag("--sandbox", "sandbox.kind", args.sandbox), Flag("--team", "team", args.team)]
    )
    typed = read_limit_flags(args.limit)
    if args.timeout is not None:
        typed |= read_limit_flags([f"action_seconds={args.timeout}"])
    settings.choice()  # raises when there is no such team
    limits = Limits.parse(settings.limits(settings.team, typed))
    if not args.actions:
        raise BadInput("there is nothing to run", "name a FILE, `-` for stdin, or -c CODE")
    codes = [_code(flag, text) for flag, text in args.actions]
    if settings.sandbox.kind == "docker":
        engine_or_raise()
        cpus_or_raise(limits.cpus)
    else:
        say("the code runs in a local process, without isolation")
    return asyncio.run(_execute(codes, settings, limits, as_json=args.json))


def _code(flag: str, text: str) -> Code:
    if flag == "-c":
        return Code(flag, text)
    shown = one_line(text)[:120]
    try:
        if text == "-":
            data = sys.stdin.buffer.read(MAX_CODE_BYTES + 1)
        else:
            with Path(text).open("rb") as file:
                data = file.read(MAX_CODE_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"{shown} cannot be read: {why.lower()}") from None
    if len(data) > MAX_CODE_BYTES:
        raise BadInput(f"{shown} is over 16 MB", "load data from a file instead")
    try:
        return Code(shown, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{shown} is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        ) from None


async def _execute(
    codes: Sequence[Code], settings: Settings, limits: Limits, *, as_json: bool
) -> int:
    from planner_app.sandbox import open_launcher

    launcher = await open_launcher(settings.sandbox.kind, _options(settings))
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    runner = _Runner(launcher, limits, interrupted, as_json=as_json)
    worst = 0
    try:
        for code in codes:
            if interrupted.is_set():
                break
            worst = max(worst, 0 if (await runner.run(code)).status == "ok" else 1)
    finally:
        await launcher.close()
        loop.remove_signal_handler(signal.SIGINT)
    return INTERRUPTED if interrupted.is_set() else worst


def _options(settings: Settings) -> SandboxOptions:
    from planner_app.sandbox.options import SandboxOptions

    return SandboxOptions(
        home=settings.paths.data,
        packages=settings.sandbox.packages,
        pool_size=0,
        runtime=settings.sandbox.runtime or "",
        preload=settings.sandbox.preload,
    )


class _Runner:
    """Runs actions in a session, and in another one when that is gone."""

    def __init__(
        self, launcher: Launcher, limits: Limits, interrupted: asyncio.Event, *, as_json: bool
    ) -> None:
        self._launcher = launcher
        self._limits = limits
        self._interrupted = interrupted
        self._as_json = as_json
        self._session: Session | None = None
        self._loss_told = False
        """Whether the last action's result said that its variables are lost."""

    async def run(self, code: Code) -> ActionResult:
        """Run one action and print what came back."""
        from planner_app.sandbox.session import SessionClosed

        session, gone = await self._ready()
        try:
            result = await self._act(session, code.text)
        except SessionClosed:  # it went between the two
            session, gone = await self._ready()
            result = await self._act(session, code.text)
        if gone:
            why = f"the sandbox was gone ({gone}), so it ran in a new one, without files"
            result = dataclasses.replace(
                result,
                state_lost=result.state_lost or not self._loss_told,
                why=f"{result.why}; {why}" if result.why else why,
            )
        self._loss_told = result.state_lost
        if self._as_json:
            emit({"action": code.name, **result_json(result)})
        else:
            _print_result(code.name, result)
        return result

    async def _ready(self) -> tuple[Session, str]:
        """A session that lives, and why the one before is gone, if it is."""
        from planner_app.sandbox import SessionSpec

        session, gone = self._session, ""
        if session is None or session.gone:
            if session is not None:
                gone = session.gone
                await session.close()
            spec = SessionSpec("exec", "exec", 1, self._limits)
            session = self._session = await self._launcher.open(spec, _no_tools)
        return session, gone

    async def _act(self, session: Session, text: str) -> ActionResult:
        """Ctrl-C interrupts the action, and what it printed until then is still shown."""
        show = None if self._as_json else _print_output
        running = asyncio.ensure_future(session.run(text, on_output=show))
        waiting = asyncio.ensure_future(self._interrupted.wait())
        try:
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await session.interrupt()
            return await running
        finally:
            waiting.cancel()


async def _no_tools(call: GuestCall) -> GuestReply:
    from planner_app.sandbox import GuestReply

    return GuestReply(ok=False, error=f"{call.name}: there are no tools in `planner sandbox exec`")


def _print_output(stream: str, text: str) -> None:
    from planner_app.view.clean import clean

    to = sys.stderr if stream == "stderr" else sys.stdout
    to.write(clean(text))
    to.flush()


def _print_result(name: str, result: ActionResult) -> None:
    """What its output, which was printed as it came, has not said."""
    from planner_app.view.clean import clean

    if result.error is not None:
        told = result.error.traceback or f"{result.error.name}: {result.error.message}"
        say(clean(told).rstrip("\n"))
    if result.value is not None:
        print(clean(result.value), flush=True)
    notes = [f"{result.dropped_bytes:,} bytes of output were dropped"] * bool(result.dropped_bytes)
    notes += [f"{d.mime}, {len(d.data):,} bytes" for d in result.displays]
    notes += [f"file {one_line(file)}" for file in result.files]
    if result.why:
        notes.append(f"{result.status}: {result.why}" if result.status != "ok" else result.why)
    if result.oom:
        notes.append("the memory limit was reached")
    if result.state_lost:
        notes.append("state_lost: the variables of earlier actions are gone")
    for note in notes:
        say(f"{name}: {one_line(note)}")


def result_json(result: ActionResult) -> dict[str, Any]:
    """An observation as JSON; images as base64."""
    error = result.error
    return {
        "status": result.status,
        "stdout": result.stdout,
        "stderr": result.stderr,
        "value": result.value,
        "value_type": result.value_type,
        "error": None
        if error is None
        else {"name": error.name, "message": error.message, "traceback": error.traceback},
        "images": [
            {"mime": d.mime, "bytes": len(d.data), "base64": base64.b64encode(d.data).decode()}
            for d in result.displays
            if d.mime.startswith("image/")
        ],
        "displays": [
            {"mime": d.mime, "text": d.data.decode("utf-8", "replace")}
            for d in result.displays
            if not d.mime.startswith("image/")
        ],
        "files": list(result.files),
        "ms": round(result.ms, 3),
        "state_lost": result.state_lost,
        "oom": result.oom,
        "why": result.why,
        "dropped_bytes": result.dropped_bytes,
    }
