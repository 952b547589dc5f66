"""What every command promises: help with an example, JSON, and one line for a mistake."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from planner_app.cli.parser import Parser, build_parser
from planner_app.domain.errors import BadInput

PROMISED = {
    "run", "continue", "tasks", "find", "artifacts", "show", "watch", "cancel", "pause", "resume",
    "interrupt", "retry", "steer", "answer", "approve", "reject", "budget", "replay", "worker",
    "sandbox", "web", "models", "doctor", "config",
}  # fmt: skip
RUN_FLAGS = {
    "--background", "--file", "--dir", "--team", "--planner", "--executor", "--checker",
    "--approve", "--net", "--max-usd", "--max-tokens", "--max-minutes", "--max-calls",
    "--max-actions", "--schema", "--tool", "--tag", "--out", "--sandbox", "--no-input", "--json",
    "--example",
}  # fmt: skip


def _choices(parser: argparse.ArgumentParser) -> dict[str, Parser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _all(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[tuple]:
    for name, child in _choices(parser).items():
        yield (*path, name), child
        yield from _all(child, (*path, name))


COMMANDS = dict(_all(build_parser()))
LEAVES = {path: parser for path, parser in COMMANDS.items() if not _choices(parser)}


def _flags(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings}


def test_every_promised_command_is_there() -> None:
    assert {path[0] for path in COMMANDS} >= PROMISED
    subcommands = {" ".join(path) for path in COMMANDS if len(path) == 2}
    assert subcommands == {
        "worker start", "worker stop", "worker status", "worker run", "sandbox build",
        "sandbox exec", "sandbox clean", "web fetch", "web search", "config path", "config show",
        "config set",
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example_that_parses(path: tuple[str, ...]) -> None:
    import shlex

    text = COMMANDS[path].format_help()
    _, found, examples = text.rpartition("\nexample")
    assert found
    lines = [line.strip() for line in examples.splitlines() if "planner " in line]
    assert lines
    for line in lines:
        command = line[line.index("planner ") :].replace('"Compare ..."', '"Compare"')
        words = shlex.split(command)[1:]
        assert words[: len(path)] == list(path)
        build_parser().parse(words)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_speaks_json(path: tuple[str, ...]) -> None:
    assert "--json" in _flags(LEAVES[path])


def test_run_and_continue_have_all_flags() -> None:
    assert _flags(COMMANDS[("run",)]) >= RUN_FLAGS
    assert _flags(COMMANDS[("continue",)]) >= RUN_FLAGS - {"--example"}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("rnu x", "did you mean run?"),
        ("run x --fiel y", "did you mean --file?"),
        ("run x --json=3", "--json"),
        ("run x --approve alwys", "--approve cannot be 'alwys'"),
        ("run x --sandbox dokcer", "did you mean docker?"),
        ("tasks --status dne", "did you mean done?"),
        ("show", "RUN"),
        ("config", "ACTION"),
        ("config shwo", "did you mean show?"),
        ("reject last", "--reason"),
        ("tasks --limit x", "--limit"),
        ("what is this", "unknown command 'what'"),
    ],
)
def test_a_mistake_is_bad_input_that_names_the_remedy(typed: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        build_parser().parse(typed.split())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_without_its_command_is_understood() -> None:
    with pytest.raises(BadInput, match="planner run"):
        build_parser().parse(["Which of these is cheapest?"])


def test_flags_are_never_guessed_from_their_beginnings() -> None:
    with pytest.raises(BadInput):
        build_parser().parse(["run", "x", "--max-u", "3"])


def test_the_help_of_run_states_the_caps_of_attachments() -> None:
    from planner_app.queue.attachments import MAX_FILES
    from planner_app.settings import AttachmentSettings
    from planner_app.settings_limits import RULES

    told = " ".join(COMMANDS[("run",)].format_help().split())
    caps = AttachmentSettings()
    assert f"at most {caps.max_file // 1024**2} MB each" in told
    assert f"{caps.max_total // 1024**2} MB in all" in told
    assert f"at most {MAX_FILES:,} files" in told
    assert all(f"{name}=" in told for name in RULES)
