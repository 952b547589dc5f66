"""The work of `planner sandbox build` and `clean`: the image, and leftovers."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from planner_app.cli.checks import engine_or_raise
from planner_app.cli.context import Context, emit, say

if TYPE_CHECKING:
    from docker import DockerClient


def build_image(args: argparse.Namespace, context: Context) -> int:
    """Build what is missing of the image; progress on stderr, its tag on stdout."""
    from planner_app.sandbox.image import ensure_image

    settings = context.settings()
    packages, home = settings.sandbox.packages, settings.paths.data
    with _engine() as client:
        tag = ensure_image(client, packages, lambda line: say(f"image: {line}"), home)
    emit({"image": tag}) if args.json else print(tag)
    return 0


def clean_up(args: argparse.Namespace, context: Context) -> int:
    """Remove left-over containers of this data folder, and images of earlier versions."""
    from planner_app.sandbox import remove_leftovers
    from planner_app.sandbox.image import remove_old_images

    settings = context.settings()
    with _engine() as client:
        containers = remove_leftovers(client, settings.paths.data)
        images = remove_old_images(client, settings.sandbox.packages, settings.paths.data)
    if args.json:
        emit({"containers": containers, "images": images})
        return 0
    for kind, names in (("container", containers), ("image", images)):
        for name in names:
            print(f"removed {kind} {name}")
    if not containers and not images:
        say("nothing was left over")
    return 0


@contextlib.contextmanager
def _engine() -> Iterator[DockerClient]:
    engine_or_raise()
    from planner_app.sandbox.engine_client import open_client

    with contextlib.closing(open_client()) as client:
        yield client
