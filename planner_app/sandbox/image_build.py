"""Talk to the engine about images: is one there, build one, import one, pull one.

The sandbox image is made of three layers with a content hash each (see image.py); this module
knows nothing of what is in them.
"""

from __future__ import annotations

import contextlib
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from planner_app.domain.errors import EngineMissing, ImageMissing
from planner_app.sandbox.engine_client import no_answer, one_line

if TYPE_CHECKING:
    from docker import DockerClient

HASH_LABEL = "planner.image.hash"
PART_LABEL = "planner.image.part"
REGISTRY_SECONDS = 8
"""How long a registry may take to answer before the Debian root is built instead."""

_HINT = "see what `planner doctor` says of the engine, then run `planner sandbox build`"
_CHUNK = 1 << 20


@contextlib.contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn the engine library's errors into ours, in one line that begins with `what`.

    Raises EngineMissing when the engine went away, ImageMissing for anything it complains about.
    """
    import requests
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:  # before its base class, a failed request
        raise ImageMissing(f"{what}: {one_line(error.explanation or error)}", _HINT) from error
    except (requests.exceptions.RequestException, DockerException) as error:
        raise EngineMissing(f"{what}: {no_answer(error)}", _HINT) from error


def has_image(client: DockerClient, tag: str) -> bool:
    """Whether the engine holds the image: one inspect, about 3 ms. The tag names its content."""
    from docker.errors import ImageNotFound

    with engine_errors("cannot look for the sandbox image"):
        try:
            client.api.inspect_image(tag)
        except ImageNotFound:
            return False
    return True


def name_also(client: DockerClient, tag: str, other: str) -> None:
    """Give an image a second name."""
    repository, _, version = other.rpartition(":")
    with engine_errors(f"the sandbox image {tag} cannot be named {other}"):
        client.api.tag(tag, repository, version)


def architecture(client: DockerClient) -> str:
    """The engine's architecture in Go's words: amd64, arm64, ..."""
    with engine_errors("cannot ask the engine for its architecture"):
        return str(client.version()["Arch"])


def registry_answers(client: DockerClient, reference: str) -> bool:
    """Whether the image can be had from a registry, decided within `REGISTRY_SECONDS`.

    Engines that cannot be asked this way (Podman) are asked by the pull itself.
    """
    import requests
    from docker.errors import APIError

    patience = client.api.timeout
    client.api.timeout = REGISTRY_SECONDS
    try:
        client.api.inspect_distribution(reference)
    except APIError as error:
        return error.status_code in {404, 405, 501} and "page not found" in str(error).lower()
    except requests.exceptions.RequestException:
        return False
    finally:
        client.api.timeout = patience
    return True


def pull(client: DockerClient, reference: str) -> None:
    """Pull an image; raises ImageMissing when the registry refuses."""
    with engine_errors(f"cannot pull {reference}"):
        client.images.pull(reference)


def import_root(client: DockerClient, archive: Path, tag: str, labels: Mapping[str, str]) -> None:
    """Make an image of one layer from a root filesystem's tar archive."""
    changes = [f"LABEL {key}={value}" for key, value in labels.items()]
    with engine_errors("cannot import the root filesystem"):
        # The whole name at once: Podman takes no notice of a tag beside it.
        client.api.import_image(str(archive), repository=tag, changes=changes)
        if not has_image(client, tag):
            raise ImageMissing("the engine did not keep the imported root filesystem")


def build(
    client: DockerClient,
    tag: str,
    context: Iterable[tuple[str, Path]],
    *,
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    network: str = "none",
) -> None:
    """Build an image from a context that is streamed to the engine, never held in memory.

    `context` lists (name in the archive, file or folder); its `Dockerfile` is the recipe. Raises
    ImageMissing with the last complaint of the build.
    """
    said: list[str] = []
    with engine_errors("the sandbox image could not be built"):
        lines = client.api.build(
            fileobj=cast("IO[bytes]", _tar_stream(context)),  # sent chunk by chunk
            custom_context=True,
            tag=tag,
            buildargs=dict(arguments),
            labels=dict(labels),
            network_mode=network,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for line in lines:
            if "stream" in line:
                said = [*said, str(line["stream"])][-12:]
            if "error" in line:
                why = one_line(" ".join([*said[-4:], str(line["error"])])[-300:])
                raise ImageMissing(f"the sandbox image could not be built: {why}", _HINT)


def _tar_stream(context: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """An archive of the context, piece by piece. Owners are root, so that builds are alike."""
    for name, path in context:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if not file.is_file():
                continue
            inside = f"{name}/{file.relative_to(path)}" if file is not path else name
            yield from _tar_member(inside, file)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _tar_member(name: str, file: Path) -> Iterator[bytes]:
    status = file.stat()
    header = tarfile.TarInfo(name)
    header.size = status.st_size
    header.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    header.mtime = int(status.st_mtime)
    yield header.tobuf(format=tarfile.PAX_FORMAT)
    sent = 0
    with file.open("rb") as handle:
        while piece := handle.read(_CHUNK):
            sent += len(piece)
            yield piece
    if sent != status.st_size:
        raise ImageMissing(f"{file} changed while the sandbox image was built", "try again")
    yield b"\0" * (-sent % tarfile.BLOCKSIZE)
