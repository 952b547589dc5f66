"""The parser of the whole command line: argparse with one-line errors and an example per command.

Building it imports nothing but the standard library, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from planner_app.cli.context import Context
from planner_app.domain.errors import BadInput

Handler = Callable[[argparse.Namespace, Context], int]


class Parser(argparse.ArgumentParser):
    """argparse, raising BadInput with the nearest valid word instead of printing its usage."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(**kwargs)

    word_flag = ""
    """The flag that stands for each bare word, where such words may come between other flags, as
    argparse does not let them. Empty: bare words are as argparse takes them."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """See argparse."""
        if self.word_flag and args is not None:
            args = list(self._flagged(args))
        return super().parse_known_args(args, namespace)

    def _flagged(self, words: Sequence[str]) -> Iterator[str]:
        taking = {f for a in self._actions if a.nargs is None for f in a.option_strings}
        left = iter(words)
        for word in left:
            if word in taking and (value := next(left, None)) is not None:
                joined = f"{word}={value}" if word.startswith("--") else f"{word}{value}"
                yield from [joined] if value else [word, value]
            elif word == "-" or not word.startswith("-"):
                yield f"{self.word_flag}={word}"
            else:
                yield word

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options; what is unknown is reported by the command it was given to."""
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        help_hint = f"see `{self.prog} --help`"
        unknown = re.match(r"unrecognized arguments: (.*)", message, re.DOTALL)
        if unknown:
            word = unknown[1].split()[0]
            raise BadInput(f"unknown argument {word[:80]!r}", self._nearest_flag(word) or help_hint)
        choice = re.match(
            r"argument ([^:]+): invalid choice: (['\"])(.*?)\2(?: \(|, maybe)", message, re.DOTALL
        )
        if choice:
            raise BadInput(*self._bad_choice(choice[1], choice[3][:80], help_hint))
        raise BadInput(message.splitlines()[0][:300], help_hint)

    def _nearest_flag(self, word: str) -> str:
        known = [flag for action in self._actions for flag in action.option_strings]
        close = difflib.get_close_matches(word.split("=")[0], known, n=1)
        return f"did you mean {close[0]}? see `{self.prog} --help`" if close else ""

    def _bad_choice(self, name: str, value: str, help_hint: str) -> tuple[str, str]:
        action = next((a for a in self._actions if name in _names(a)), None)
        known = [str(c) for c in action.choices] if action and action.choices else []
        close = difflib.get_close_matches(value, known, n=1)
        hint = f"did you mean {close[0]}?" if close else ""
        if isinstance(action, argparse._SubParsersAction):
            if not close and " " in value:
                hint = f'to delegate it: {self.prog} run "..."'
            return f"unknown command {value!r}", hint or help_hint
        return f"{name} cannot be {value!r}", hint or f"use {', '.join(known)}"


def _names(action: argparse.Action) -> set[str]:
    names = {*action.option_strings, action.dest, "/".join(action.option_strings)}
    if isinstance(action.metavar, str):
        names.add(action.metavar)
    return names


class Commands:
    """Where each group of commands adds its parsers."""

    def __init__(
        self, parent: argparse.ArgumentParser, dest: str = "command", *, required: bool = False
    ) -> None:
        self._actions = parent.add_subparsers(
            dest=dest, metavar=dest.upper(), parser_class=Parser, required=required
        )

    def add(
        self, name: str, help_text: str, examples: Sequence[str], handler: Handler | None = None
    ) -> Parser:
        """A command with its examples. Every command has `--json`."""
        epilog = ("examples:" if len(examples) > 1 else "example:") + "".join(
            f"\n  {line}" for line in examples
        )
        parser: Parser = self._actions.add_parser(
            name,
            help=help_text,
            description=f"{help_text[:1].upper()}{help_text[1:]}.",
            epilog=epilog,
        )
        if handler is not None:
            parser.set_defaults(handler=handler, parser=parser)
            parser.add_argument("--json", action="store_true", help="print JSON")
        return parser


def run_argument(parser: argparse.ArgumentParser) -> None:
    """The argument that names a run."""
    parser.add_argument(
        "run", metavar="RUN", help="a run's or task's id, a unique prefix of one, or `last`"
    )


def build_parser() -> Parser:
    """All commands."""
    from planner_app import __version__
    from planner_app.cli import (
        config,
        doctor,
        follow,
        lists,
        models,
        replay,
        run,
        sandbox,
        steer,
        tui,
        web,
        worker,
    )

    parser = Parser(
        prog="planner",
        description="Delegate a task: a reasoning model plans, a faster one acts in a sandbox.\n"
        "Without a command: the screen.",
        epilog='examples:\n  planner\n  planner run "Which of these three laptops is lightest?"\n'
        "  planner run --example",
    )
    parser.add_argument("--version", action="version", version=f"planner {__version__}")
    parser.set_defaults(handler=tui.open_screen, parser=parser, json=False)
    commands = Commands(parser)
    for group in (run, lists, follow, steer, replay, worker, sandbox, web, models, doctor, config):
        group.register(commands)
    return parser
