"""Old sandbox images go by themselves, and only those that nobody needs."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from planner_app.domain.errors import ImageMissing
from planner_app.sandbox.image import (
    ensure_image,
    image_tag,
    needed_tags,
    remove_old_images,
)
from planner_app.sandbox.image_build import PART_LABEL
from planner_app.sandbox.image_use import hold, note_need, used_tags
from tests.integration.private_engine import PrivateEngine, dockerd, private_engine

pytestmark = pytest.mark.docker

HOLDER = "import sys; from planner_app.sandbox.image_use import hold; hold(sys.argv[1]);"
HOLDER += "print('held', flush=True); sys.stdin.read()"


@pytest.fixture(scope="module")
def own_engine(
    tmp_path_factory: pytest.TempPathFactory, small_base: Path
) -> Iterator[PrivateEngine]:
    folder = tmp_path_factory.mktemp("engine")
    with private_engine(folder, small_base, dockerd(folder)) as engine:
        yield engine


@pytest.fixture
def client(
    own_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """An engine whose images nobody has used yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("planner_app.sandbox.image_use._held", {})
    with contextlib.closing(own_engine.client()) as client:
        yield client


def add_image(client: Any, tag: str) -> str:
    """A tiny image that says it is one of ours."""
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as archive:
        entry = tarfile.TarInfo(tag.replace(":", "-"))
        archive.addfile(entry)
    changes = [f"LABEL {PART_LABEL}=image"]
    client.api.import_image_from_data(empty.getvalue(), repository=tag, changes=changes)
    return tag


def tags_in(client: Any) -> set[str]:
    return {tag for found in client.images.list() for tag in found.tags}


@contextlib.contextmanager
def another_process_that_uses(tag: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tag], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    try:
        yield
    finally:
        process.communicate()


def test_what_nobody_needs_goes_and_nothing_else(client: Any, tmp_path: Path) -> None:
    mine, others = tmp_path / "mine", tmp_path / "others"
    mine.mkdir()
    others.mkdir()
    own = add_image(client, "made-from-ours:1")
    old, before, theirs, used, contained, gone = (
        add_image(client, f"planner-sandbox:{name}")
        for name in ("old", "before", "theirs", "used", "contained", "gone")
    )
    note_need(mine, [before])
    note_need(others, ["planner-sandbox-site:theirs", theirs])
    note_need(tmp_path / "new", [gone])
    assert gone in used_tags()
    (tmp_path / "new").rmdir()
    container = client.api.create_container(contained, ["none"])
    with another_process_that_uses(used):
        removed = remove_old_images(client, home=mine)
        assert set(removed) == {old, before, gone}
        assert {own, theirs, used, contained, image_tag()} <= tags_in(client)
    client.api.remove_container(container["Id"])
    assert set(remove_old_images(client, home=mine)) == {used, contained}
    assert {theirs, image_tag(), *needed_tags()[2:]} <= tags_in(client)
    note_need(others, needed_tags())
    assert remove_old_images(client) == [theirs]


def test_a_build_takes_away_what_the_data_folder_used_before(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    old = add_image(client, "planner-sandbox:0123456789abcdef")
    note_need(home, [old])
    client.images.remove(image_tag())
    said: list[str] = []
    assert ensure_image(client, say=said.append, home=home) == image_tag()
    assert said[-1] == f"removed {old}, which nobody needs any more"
    assert old not in tags_in(client)
    assert image_tag() in tags_in(client)
    assert set(needed_tags()) <= used_tags()


def test_without_a_cache_to_write_nothing_is_removed_by_guess(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    old = add_image(client, "planner-sandbox:old")
    note_need(tmp_path, [old])
    hold(old)
    with pytest.raises(ImageMissing, match="cannot be known"):
        remove_old_images(client)
    assert old in tags_in(client)
    client.images.remove(old)
