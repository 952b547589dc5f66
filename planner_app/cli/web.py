"""`planner web`: search and fetch as the model gets them, with their policy."""

from __future__ import annotations

import argparse

from planner_app.cli.context import Context
from planner_app.cli.parser import Commands


def register(commands: Commands) -> None:
    """Add `web fetch|search`."""
    parser = commands.add(
        "web",
        "search and fetch as the model gets them",
        ["planner web fetch https://example.org", 'planner web search "solid state batteries"'],
    )
    actions = Commands(parser, "action", required=True)
    fetch = actions.add(
        "fetch",
        "fetch a page as readable text",
        ["planner web fetch https://example.org --page 2"],
        fetch_page,
    )
    fetch.add_argument("url", metavar="URL")
    fetch.add_argument("--page", type=int, default=1, metavar="N", help="which part of it (1)")
    search = actions.add(
        "search", "search the web", ['planner web search "solid state batteries"'], search_web
    )
    search.add_argument("words", nargs="+", metavar="WORDS")
    search.add_argument(
        "--max-results", type=int, default=8, metavar="N", help="at most so many (8)"
    )
    search.add_argument("--region", metavar="R", help="country and language, such as us-en")
    search.add_argument("--time", choices=("day", "week", "month", "year"), help="only newer ones")
    for each in (fetch, search):
        each.add_argument("--net", metavar="open|off|HOSTS", help="where it may go")


def fetch_page(args: argparse.Namespace, context: Context) -> int:
    """Fetch and print."""
    from planner_app.cli.webs import fetch

    return fetch(args, context)


def search_web(args: argparse.Namespace, context: Context) -> int:
    """Search and print."""
    from planner_app.cli.webs import search

    return search(args, context)
