"""`planner config`: where the settings are, what holds and why, and changing one."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context, emit
from planner_app.cli.parser import Commands


def register(commands: Commands) -> None:
    """Add `config path|show|set`."""
    parser = commands.add(
        "config",
        "show and change settings",
        ["planner config show", "planner config set budget.usd 5"],
    )
    actions = Commands(parser, "action", required=True)
    actions.add("path", "where files are kept", ["planner config path"], show_paths)
    show = actions.add(
        "show",
        "every value and where it comes from, secrets masked",
        ["planner config show", "planner config show budget"],
        show_values,
    )
    show.add_argument("prefix", nargs="?", default="", metavar="KEY", help="only keys below this")
    change = actions.add(
        "set",
        "write one value into config.toml, comments kept",
        [
            "planner config set budget.usd 5",
            "planner config set teams.default.planner ollama_chat/qwq",
        ],
        set_one,
    )
    change.add_argument("key", metavar="KEY", help="such as budget.usd")
    change.add_argument("value", metavar="VALUE", help="a TOML value, or a word")


def show_paths(args: argparse.Namespace, context: Context) -> int:
    """Print the folders and files."""
    from planner_app.settings_paths import find_project_file

    paths = context.paths()
    project = find_project_file(context.cwd)
    rows = {
        "config": paths.config_file,
        "project": project,
        "profiles": paths.profiles_file,
        "tools": paths.tools,
        "history": paths.database,
        "logs": paths.logs,
    }
    if args.json:
        emit({name: str(path) if path else None for name, path in rows.items()})
        return 0
    for name, path in rows.items():
        if path is not None:
            print(f"{name:<9} {path}{'' if path.exists() else '  (not there yet)'}")
    return 0


def show_values(args: argparse.Namespace, context: Context) -> int:
    """Print every value with its origin, and which keys are found."""
    from planner_app.settings_keys import keys_in_environment

    settings = context.settings()
    rows = [
        row
        for row in settings.listed()
        if not args.prefix or row.key == args.prefix or row.key.startswith(args.prefix + ".")
    ]
    keys = [] if args.prefix else list(keys_in_environment(context.env).values())
    if args.json:
        emit(
            {
                "values": {row.key: {"value": row.value, "origin": row.origin} for row in rows},
                "keys": {
                    key.variable: {"origin": key.origin, "problem": key.problem} for key in keys
                },
            }
        )
        return 0
    if not rows:
        from planner_app.domain.errors import NotFound
        from planner_app.settings_layers import known_keys, nearest

        close = nearest(args.prefix, known_keys())
        raise NotFound(
            f"no key {args.prefix!r}",
            f"did you mean {close}?" if close else "planner config show lists all",
        )
    for row in rows:
        print(f"{row.key:<28} {_shown(row.value):<30} {row.origin}")
    for key in keys:
        print(f"{key.variable:<28} {'(set, not shown)':<30} {key.problem or key.origin}")
    return 0


def set_one(args: argparse.Namespace, context: Context) -> int:
    """Write one value."""
    from planner_app.settings_edit import parse_key, set_value
    from planner_app.settings_layers import dotted, mask

    path = context.paths().config_file
    value = mask(set_value(path, args.key, args.value))
    key = dotted(parse_key(args.key))
    settings = context.settings()
    origin = settings.origins.get(key, str(path))
    if args.json:
        emit({"key": key, "value": value, "file": str(path), "holds": origin == str(path)})
        return 0
    print(f"{key} = {_shown(value)} in {path}")
    if origin != str(path):
        print(f"but {origin} sets it too, and wins")
    return 0


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "(empty)"
    return str(value)
