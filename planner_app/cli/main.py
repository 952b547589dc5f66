"""`main`: parse, run one command, and turn whatever goes wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from planner_app.cli.exits import INTERRUPTED

if TYPE_CHECKING:
    from pathlib import Path

    from planner_app.domain.errors import PlannerError

LONGEST = 700
"""Characters of a line; what others said of a failure can be endless."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Never raises for a person's mistake."""
    try:
        _open_streams()
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        from planner_app.cli.context import let_go_of_stdout

        let_go_of_stdout()
        return 0
    except KeyboardInterrupt:
        print("planner: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last net: said in one line, kept in the log
        return _report(error)
    return code


def _open_streams() -> None:
    """Streams that were closed lead nowhere; what does not fit the locale is escaped."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: Sequence[str]) -> int:
    from planner_app.cli.context import Context
    from planner_app.cli.parser import Handler, build_parser

    try:
        options = build_parser().parse(arguments)
    except SystemExit as done:  # --help and --version have printed
        return int(done.code or 0)
    handler: Handler = options.handler
    return handler(options, Context.of_process())


def _report(error: Exception) -> int:
    """One line on stderr; what nobody foresaw also goes to the log with its traceback."""
    from planner_app.cli.context import one_line

    foreseen = _foreseen(error)
    if os.environ.get("PLANNER_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    if foreseen is not None:
        text = one_line(str(foreseen))
        print(f"planner: {text if len(text) <= LONGEST else text[:LONGEST] + '…'}", file=sys.stderr)
        return foreseen.exit_code
    where = _log(error)
    said = f"{type(error).__name__}: {one_line(str(error))[:200]}"
    print(f"planner: unexpected {said}; {where}", file=sys.stderr)
    return 1


def _foreseen(error: BaseException) -> PlannerError | None:
    """The error a person can act on; a task group wraps it when several things ran at once."""
    from planner_app.domain.errors import PlannerError

    if isinstance(error, PlannerError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = [_foreseen(inner) for inner in error.exceptions]
        if all(found):
            return found[0]
    return None


def _log(error: Exception) -> str:
    """Write the traceback to the log file; says where, or why not."""
    import traceback
    from datetime import UTC, datetime

    from planner_app.settings_paths import find_paths

    text = "".join(traceback.format_exception(error))
    path: Path | None = None
    try:
        path = find_paths(os.environ).log_file
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{datetime.now(UTC).isoformat()} pid {os.getpid()}\n{text}\n")
    except Exception as failed:  # noqa: BLE001 - no place for it, or a program not installed whole
        return f"no traceback was kept ({path or 'no folder'}: {failed}); PLANNER_DEBUG=1 shows it"
    return f"the traceback is in {path}"
