"""What `planner web` does: one call of a tool as the model gets it, printed."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING, Any

from planner_app.cli.context import Context, emit, one_line, say
from planner_app.domain.errors import BadInput

if TYPE_CHECKING:
    from pydantic import JsonValue


def fetch(args: argparse.Namespace, context: Context) -> int:
    """Print a page's text; what is missing of it, and where it is from, on stderr."""
    from planner_app.broker.standalone import web_fetch
    from planner_app.view.clean import clean

    if args.page < 1:
        raise BadInput("--page must be 1 or more")
    page = asyncio.run(web_fetch(args.url, page=args.page, **_options(args, context)))
    if args.json:
        emit(page)
        return 0
    found = _table(page)
    say(f"{one_line(str(found.get('title') or found.get('url', '')))}")
    print(clean(str(found.get("text", ""))))
    if found.get("note"):
        say(one_line(str(found["note"])))
    return 0


def search(args: argparse.Namespace, context: Context) -> int:
    """Print the hits, three lines each."""
    from planner_app.broker.standalone import web_search

    hits = asyncio.run(
        web_search(
            " ".join(args.words),
            max_results=args.max_results,
            region=args.region,
            time=args.time,
            **_options(args, context),
        )
    )
    if args.json:
        emit({"hits": hits})
        return 0
    rows = hits if isinstance(hits, list) else []
    if not rows:
        say("nothing was found")
    for row in map(_table, rows):
        date = f" ({row['date']})" if row.get("date") else ""
        print(f"[{row.get('source_id')}] {one_line(str(row.get('title', '')))}{date}")
        print(f"    {one_line(str(row.get('url', '')))}")
        print(f"    {one_line(str(row.get('snippet', '')))}")
    return 0


def _options(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    """Policy and web settings. The address was typed, so `seen` allows it."""
    from planner_app.broker.policy import parse_policy
    from planner_app.settings import Flag

    net = context.settings([Flag("--net", "net.policy", args.net)]).net
    return {
        "policy": parse_policy(net.policy_for(has_attachments=False)),
        "backends": net.search_backends,
        "searxng_url": net.searxng_url,
        "allow_hosts": net.allow_hosts,
    }


def _table(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}
