"""The sandbox image: named by what is in it, built when it is not there.

Three layers, each with a hash over its recipe and the layers below, so that a change rebuilds only
what is above it: the base (Linux, Python, fonts), the packages (bundled, then those of
`[sandbox] packages`), the guest. The last hash is the image's tag: asking whether the image is up
to date is one inspect. `python -m planner_app.sandbox.image` makes sure of engine and image.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from planner_app._bundled import bundled_dir
from planner_app.domain.errors import EngineMissing, ImageMissing, PlannerError
from planner_app.sandbox.image_use import cache_folder, hold, note_need, used_tags

if TYPE_CHECKING:
    from docker import DockerClient

Say = Callable[[str], None]

REPOSITORY = "planner-sandbox"
_SITE_RECIPE = ("Dockerfile", "build_site.py", "requirements.txt")


def image_tag(packages: Sequence[str] = ()) -> str:
    """The name of the image that this program needs, with these extra packages.

    It changes with every file of the bundled `sandbox/` tree. Raises BadInput for a package that
    is not a name with versions.
    """
    return Layers(bundled_dir("sandbox"), packages).image


def needed_tags(packages: Sequence[str] = ()) -> tuple[str, ...]:
    """The image and the layers that it stands on, from the lowest up. Raises BadInput."""
    return tuple(Layers(bundled_dir("sandbox"), packages).all_tags())


def find_image(client: DockerClient, packages: Sequence[str] = ()) -> str | None:
    """The image's tag when the engine holds it, else None. One inspect; builds nothing."""
    from planner_app.sandbox.image_build import has_image

    tag = image_tag(packages)
    return tag if has_image(client, tag) else None


def ensure_image(
    client: DockerClient,
    packages: Sequence[str] = (),
    say: Say = lambda _: None,
    home: Path | None = None,
) -> str:
    """Return the tag of an up-to-date image, after building what is missing of it.

    A few ms when it is there, about a minute when nothing is. Two callers at once build it once.
    `say` gets progress, a line at a time. After a build the images that nobody needs any more are
    removed; the data folder `home` needs none but this one. Raises ImageMissing or EngineMissing
    with one clear line, BadInput for a wrong package name.
    """
    sandbox = bundled_dir("sandbox")
    layers = Layers(sandbox, packages)
    hold(layers.image)
    if find_image(client, packages) is not None:
        return layers.image
    with _building_alone(say), _work_folder() as folder:
        _Builder(client, sandbox, layers, folder, say).build_missing()
    try:
        for gone in remove_old_images(client, packages, home):
            say(f"removed {gone}, which nobody needs any more")
    except PlannerError as error:
        say(f"older images stay: {error.message}")
    return layers.image


def remove_old_images(
    client: DockerClient, packages: Sequence[str] = (), home: Path | None = None
) -> list[str]:
    """Remove images of ours that nobody needs; their names.

    Kept: this program's own and the layers it stands on, what a container or a living process
    uses, and what any data folder of this user used last; `home` needs this program's only.
    Raises EngineMissing, ImageMissing.
    """
    from docker.errors import APIError

    from planner_app.sandbox.image_build import PART_LABEL, engine_errors

    needed = needed_tags(packages)
    if home is not None:
        note_need(home, needed)
    try:
        keep = {*needed, *used_tags()}
    except OSError as error:
        raise ImageMissing(f"which images are in use cannot be known: {error}") from error
    removed: list[str] = []
    with engine_errors("the sandbox images cannot be cleared up"):
        for image in client.api.images(filters={"label": PART_LABEL}):
            for name in sorted(image["RepoTags"] or (), reverse=True):
                # Podman puts a registry before our names; an image that a person made from one
                # of ours has our labels, and a name of its own.
                ours = name.rpartition("/")[2]
                if not ours.startswith(REPOSITORY) or ours in keep:
                    continue
                try:
                    client.images.remove(name)
                except APIError as error:
                    if error.status_code not in (404, 409):  # gone, or in use
                        raise
                else:
                    removed.append(str(name))
    return removed


class Layers:
    """The tags of all layers, each a hash over its recipe and the layer below."""

    def __init__(self, sandbox: Path, packages: Sequence[str]) -> None:
        from planner_app.sandbox.image_base import PYTHON_VERSION, recipe
        from planner_app.sandbox.image_wheels import PACKAGES_WITH_TESTS, checked_packages

        self.packages = checked_packages(packages)
        self.base = self._tag("base", recipe(), (sandbox / "Dockerfile.base").read_bytes())
        site = [(sandbox / name).read_bytes() for name in _SITE_RECIPE]
        self.site = self._tag(
            "site",
            self.base.encode(),
            PYTHON_VERSION.encode(),
            repr(PACKAGES_WITH_TESTS).encode(),
            *site,
        )
        self.extra = self.site
        if self.packages:
            self.extra = self._tag("extra", self.site.encode(), repr(self.packages).encode())
        sources = [part for n, f in _sources(sandbox) for part in (n.encode(), f.read_bytes())]
        self.image = self._tag("", self.extra.encode(), *sources)

    def all_tags(self) -> list[str]:
        return [self.base, self.site, self.extra, self.image]

    @staticmethod
    def _tag(part: str, *contents: bytes) -> str:
        digest = hashlib.sha256()
        for content in contents:
            digest.update(len(content).to_bytes(8, "big") + content)
        name = f"{REPOSITORY}-{part}" if part else REPOSITORY
        return f"{name}:{digest.hexdigest()[:16]}"


def _sources(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and places of our own files in a fixed order: no bytecode, no tool's hidden cache."""
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if file.is_file() and not hidden:
            yield inside.as_posix(), file


class _Builder:
    """Builds the missing layers from the lowest up."""

    def __init__(
        self, client: DockerClient, sandbox: Path, layers: Layers, folder: Path, say: Say
    ) -> None:
        self._client = client
        self._sandbox = sandbox
        self._layers = layers
        self._folder = folder
        self._say = say

    def build_missing(self) -> None:
        if not self._has(self._layers.image):
            if not self._has(self._layers.extra):
                if not self._has(self._layers.site):
                    if not self._has(self._layers.base):
                        self._base()
                    self._bundled_packages()
                self._extra_packages()
            self._guest()

    def _has(self, tag: str) -> bool:
        from planner_app.sandbox.image_build import has_image

        return has_image(self._client, tag)

    def _base(self) -> None:
        from planner_app.sandbox.image_base import make_base

        tag = self._layers.base
        make_base(self._client, tag, _labels("base", tag), self._folder, self._sandbox, self._say)

    def _bundled_packages(self) -> None:
        from planner_app.sandbox.image_base import PYTHON_VERSION
        from planner_app.sandbox.image_wheels import install_bundled

        arch = self._arch()
        self._say(f"packages: fetching wheels for {arch} (about 10 s, 180 MB the first time)")
        target = self._folder / "site"
        install_bundled(self._sandbox / "requirements.txt", target, arch, PYTHON_VERSION)
        self._say("packages: compiling them into the image (about 40 s)")
        self._packages_layer("site", self._layers.base, self._layers.site, target, "/opt/site")

    def _extra_packages(self) -> None:
        from planner_app.sandbox.image_base import PYTHON_VERSION
        from planner_app.sandbox.image_build import name_also
        from planner_app.sandbox.image_wheels import install_extra

        if not self._layers.packages:
            return
        self._say(f"packages: adding {', '.join(self._layers.packages)}")
        target = self._folder / "extra"
        target.mkdir()
        requirements = self._sandbox / "requirements.txt"
        wanted = self._layers.packages
        if not install_extra(wanted, requirements, target, self._arch(), PYTHON_VERSION):
            name_also(self._client, self._layers.site, self._layers.extra)  # all are bundled
            return
        self._packages_layer("extra", self._layers.site, self._layers.extra, target, "/opt/extra")

    def _packages_layer(self, part: str, below: str, tag: str, site: Path, inside: str) -> None:
        from planner_app.sandbox.image_build import build

        recipe = [(name, self._sandbox / name) for name in ("Dockerfile", "build_site.py")]
        build(
            self._client,
            tag,
            [*recipe, ("site", site)],
            arguments={"BASE": below, "SITE": inside},
            labels=_labels(part, tag),
        )
        shutil.rmtree(site)

    def _guest(self) -> None:
        from planner_app.sandbox.image_build import build

        self._say("guest: adding it to the image")
        build(
            self._client,
            self._layers.image,
            [
                ("Dockerfile", self._sandbox / "Dockerfile.guest"),
                *(
                    (name, file)
                    for name, file in _sources(self._sandbox)
                    if name.startswith("guest/")
                ),
            ],
            arguments={"BASE": self._layers.extra},
            labels=_labels("image", self._layers.image),
        )

    def _arch(self) -> str:
        from planner_app.sandbox.image_build import architecture

        return architecture(self._client)


def _labels(part: str, tag: str) -> dict[str, str]:
    from planner_app.sandbox.image_build import HASH_LABEL, PART_LABEL

    return {PART_LABEL: part, HASH_LABEL: tag.rpartition(":")[2]}


@contextlib.contextmanager
def _building_alone(say: Say) -> Iterator[None]:
    """Hold the build lock of this user; the kernel frees it if this process dies."""
    with (cache_folder() / "image.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building the sandbox image; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _work_folder() -> Iterator[Path]:
    """A folder on disk (temporary folders are often in memory) for 0.7 GB, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="image-", dir=cache_folder()) as folder:
        yield Path(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: ensure engine and image; `--check` only asks. Exit 0, or 4 with two lines."""
    parser = argparse.ArgumentParser(
        prog="python -m planner_app.sandbox.image",
        description="Make sure of the container engine and the sandbox image.",
    )
    parser.add_argument("--check", action="store_true", help="only ask, build nothing")
    options = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(f"sandbox: {line}", file=sys.stderr, flush=True)

    try:
        _ensure_all(say, only_ask=options.check)
    except PlannerError as error:
        say(error.message)
        say(f"to do: {error.hint or 'see above, then start again'}")
        return error.exit_code
    return 0


def _ensure_all(say: Say, *, only_ask: bool) -> None:
    from planner_app.sandbox.engine_setup import check_engine, ensure_engine

    state = check_engine() if only_ask else ensure_engine(say)
    if not state.ok:
        raise EngineMissing(state.why, state.fix)
    from planner_app.sandbox.engine_client import open_client

    with contextlib.closing(open_client()) as client:
        if not only_ask:
            ensure_image(client, say=say)
        elif find_image(client) is None:
            raise ImageMissing("the sandbox image is not built yet", "run: planner sandbox build")


if __name__ == "__main__":
    raise SystemExit(main())
