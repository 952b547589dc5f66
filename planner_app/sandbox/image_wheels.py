"""Resolve the sandbox's Python packages on the host, for the image's Python and architecture.

The image is then built without a network. uv does the work: it comes with the program as a
dependency, and takes wheels only, so that nothing of a package runs on the host.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from planner_app.domain.errors import BadInput, ImageMissing

PLATFORMS = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}

PACKAGES_WITH_TESTS = ("matplotlib", "pandas", "pyarrow", "scipy", "sklearn", "sympy")
"""Their tests stay out: 60 MB, and a third of the compiling. numpy keeps its own, since
numpy.testing imports from them."""

_HINT = (
    "see that the package index can be reached and [sandbox] packages is right,"
    " then run `planner sandbox build`"
)

_REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"  # name
    r"(?:\[[A-Za-z0-9._, -]+\])?"  # extras
    r"\s*(?:(?:[<>=!~]=?|===)\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*"  # versions
)


def checked_packages(packages: Sequence[str]) -> tuple[str, ...]:
    """The settings' extra packages, sorted and without repeats.

    Names with versions only: an address or an option in their place raises BadInput.
    """
    for package in packages:
        if not _REQUIREMENT.fullmatch(package.strip()):
            raise BadInput(
                f"[sandbox] packages: {package!r} is not a package",
                'write a name with or without versions, like "polars" or "networkx>=3,<4"',
            )
    return tuple(sorted({package.strip() for package in packages}))


class _UvFailed(Exception):
    """Its argument is what uv said, as one line."""


def install_bundled(requirements: Path, target: Path, arch: str, python: str) -> None:
    """Put the bundled packages, pinned and checked by hash, into the folder `target`."""
    try:
        _uv(
            "pip", "install", "--require-hashes", "--target", str(target),
            *_for_image(arch, python), "-r", str(requirements),
            folder=target.parent,
        )  # fmt: skip
    except _UvFailed as failed:
        raise _not_to_be_had(failed) from None
    unneeded = [target / "pyarrow" / "include"]
    for package in PACKAGES_WITH_TESTS:
        unneeded += sorted((target / package).rglob("tests"))
    for folder in unneeded:
        shutil.rmtree(folder, ignore_errors=True)  # one in another is gone already


def install_extra(
    packages: Sequence[str], requirements: Path, target: Path, arch: str, python: str
) -> bool:
    """Put what `packages` need beyond the bundled ones into `target`; False when that is nothing.

    Versions are chosen to fit the bundled ones. Raises BadInput when that cannot be, when a
    package does not exist or has no wheel, ImageMissing when the index gives no answer.
    """
    try:
        return _install_extra(packages, requirements, target, arch, python)
    except _UvFailed as failed:
        why = _unsolvable(str(failed))
        if why is None:
            raise _not_to_be_had(failed) from None
        raise BadInput(
            f"[sandbox] packages: {why}", "correct it there; images that are built stay as they are"
        ) from None


def _install_extra(
    packages: Sequence[str], requirements: Path, target: Path, arch: str, python: str
) -> bool:
    wanted = target.parent / "wanted.in"
    wanted.write_text("".join(f"{package}\n" for package in packages))
    chosen = _uv(
        "pip", "compile", "--no-header", "--no-annotate", *_for_image(arch, python),
        "-c", str(requirements), str(wanted),
        folder=target.parent,
    )  # fmt: skip
    bundled = _names(requirements.read_text())
    missing = [line for line in chosen.splitlines() if not _names(line) <= bundled]
    if not missing:
        return False
    lock = target.parent / "extra.txt"
    lock.write_text("".join(f"{line}\n" for line in missing))
    _uv(
        "pip", "install", "--no-deps", "--target", str(target),
        *_for_image(arch, python), "-r", str(lock),
        folder=target.parent,
    )  # fmt: skip
    return True


def _for_image(arch: str, python: str) -> list[str]:
    platform = PLATFORMS.get(arch)
    if platform is None:
        known = " or ".join(PLATFORMS)
        raise ImageMissing(f"the engine runs on {arch}, and the sandbox image needs {known}")
    return ["--python-version", python, "--python-platform", platform, "--only-binary", ":all:"]


def _names(lock: str) -> set[str]:
    """The normalised names of all pinned packages in a lock file's text."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", lock, flags=re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


def _uv(*arguments: str, folder: Path) -> str:
    """Run uv in `folder`, away from any project's configuration; its standard output."""
    from uv import find_uv_bin

    try:
        command = [find_uv_bin(), *arguments, "--quiet", "--python", sys.executable]
    except FileNotFoundError as error:
        raise ImageMissing("uv, which fetches the packages, is gone", _HINT) from error
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ImageMissing("the sandbox's packages did not come in 15 minutes", _HINT) from error
    if done.returncode != 0:
        raise _UvFailed(_complaint(done.stderr))
    return done.stdout


def _not_to_be_had(failed: _UvFailed) -> ImageMissing:
    return ImageMissing(f"the sandbox's packages cannot be had: {str(failed)[:400]}", _HINT)


def _unsolvable(said: str) -> str | None:
    """What is wrong with the wanted packages, from uv's words; None: something else is."""
    if "No solution found" not in said:
        return None
    if found := re.search(r"(\S+) was not found in the package registry", said):
        return f"there is no package {found[1]!r}"
    if found := re.search(r"(?:all versions of )?(\S+) ha(?:ve|s) no (?:usable )?wheels?\b", said):
        return f"{found[1]!r} has no wheel for the sandbox's Python, and nothing is built there"
    why = re.sub(r"^.*?\bBecause ", "", said).partition(", we can conclude")[0]
    return f"no versions go together, because {why}"[:400]


def _complaint(stderr: str) -> str:
    """uv's drawing of a problem, as one line."""
    words = re.sub(r"[^\x20-\x7e]", " ", stderr)
    return " ".join(words.split()) or "uv said nothing"
