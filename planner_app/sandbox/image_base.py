"""The lowest layer of the sandbox image: a small Linux with Python, from a registry or from Debian.

Where a registry answers, a slim Python image is pulled and gets the fonts by apt. Elsewhere
mmdebstrap makes the same from Debian's packages, which needs no registry at all.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from planner_app.domain.errors import EngineMissing, ImageMissing
from planner_app.sandbox import image_build
from planner_app.sandbox.engine_setup import Say, apt_install

if TYPE_CHECKING:
    from docker import DockerClient

PYTHON_VERSION: Final = "3.13"
"""The Python of the image: of the pulled base, and of the Debian suite."""
PULLED_BASE: Final = f"python:{PYTHON_VERSION}-slim"
DEBIAN_SUITE: Final = "trixie"
SYSTEM_PACKAGES: Final = (
    "fonts-freefont-ttf",  # Indic scripts, Thai, Hebrew, Ethiopic
    "fonts-khmeros",
    "fonts-lohit-telu",
    "fonts-sil-padauk",  # Burmese
    "fonts-symbola",  # signs and emoji
    "fonts-tibetan-machine",
    "fonts-wqy-microhei",  # Chinese, Japanese, Korean in 5 MB
    "libstdc++6",
)
"""Small fonts for most scripts, so that a chart's labels show no boxes: build_site.py names them
to matplotlib. And the C++ library that wheels link to."""
LEFT_OUT: Final = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")

_HINT = (
    "let the engine reach a registry, or run `planner sandbox build` as root on Debian or Ubuntu"
)


def recipe() -> bytes:
    """All that decides what the base holds, for its content hash."""
    return repr((PULLED_BASE, DEBIAN_SUITE, SYSTEM_PACKAGES, LEFT_OUT)).encode()


def make_base(
    client: DockerClient, tag: str, labels: dict[str, str], folder: Path, sandbox: Path, say: Say
) -> None:
    """Put the base image into the engine under `tag`.

    `folder` takes the root filesystem's archive (110 MB) for a moment, `sandbox` is the bundled
    tree. Raises ImageMissing when neither way works.
    """
    why_not_pulled = "no registry answers"
    if image_build.registry_answers(client, PULLED_BASE):
        try:
            _from_registry(client, tag, labels, sandbox, say)
        except (ImageMissing, EngineMissing) as error:
            why_not_pulled = error.message
        else:
            return
    say(f"base: {why_not_pulled}, so a Debian root is built (about 30 s)")
    archive = folder / "root.tar"
    try:
        _debian_root(archive, why_not_pulled, say)
        image_build.import_root(client, archive, tag, labels)
    finally:
        archive.unlink(missing_ok=True)


def _from_registry(
    client: DockerClient, tag: str, labels: dict[str, str], sandbox: Path, say: Say
) -> None:
    say(f"base: pulling {PULLED_BASE} and adding fonts (about 30 s)")
    image_build.pull(client, PULLED_BASE)
    image_build.build(
        client,
        tag,
        [("Dockerfile", sandbox / "Dockerfile.base")],
        arguments={"BASE": PULLED_BASE, "PACKAGES": " ".join(SYSTEM_PACKAGES)},
        labels=labels,
        network="default",
    )


def _debian_root(archive: Path, why_not_pulled: str, say: Say) -> None:
    if shutil.which("mmdebstrap") is None:
        installed = apt_install(["mmdebstrap", "debian-archive-keyring"], say)
        if not installed.ok:
            raise ImageMissing(
                f"the sandbox image has no base: {why_not_pulled}, and mmdebstrap, which makes"
                f" one from Debian's packages, could not be installed ({installed.why})",
                _HINT,
            )
    left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    packages = ",".join(("python3", *SYSTEM_PACKAGES))
    command = ["mmdebstrap", "--quiet", "--variant=essential", *left_out]
    command += [f"--include={packages}", DEBIAN_SUITE, str(archive)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ImageMissing("mmdebstrap made no Debian root in 15 minutes", _HINT) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        complaint = (lines or done.stderr.splitlines() or ["it said nothing"])[-1]
        raise ImageMissing(f"mmdebstrap could not make a Debian root: {complaint[:300]}", _HINT)
